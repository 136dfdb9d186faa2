"""CAP: a driver loads, says what it can do, does that and nothing else."""

import msgspec

from holdfast.contract.capabilities import ImageCapabilities, PrimaryCapabilities
from holdfast.contract.errors import ErrorKind
from holdfast.contract.requests import CheckHealth, Role
from holdfast_conformance.judgement.evidence import (
    HELD,
    BrokenMoment,
    Capabilities,
    EndMoment,
    Held,
    Judgement,
    LoadMoment,
    Moment,
    StepMoment,
    TogetherMoment,
    Violated,
    agreed,
)
from holdfast_conformance.judgement.registry import checks, checks_steps
from holdfast_conformance.model.difference import Aspect
from holdfast_conformance.model.features import all_features, declared_features, features_of
from holdfast_conformance.model.primary_state import Situation
from holdfast_conformance.primary_limits import out_of_reach
from holdfast_conformance.trace import CHANGED, BrokenKind, Nonsense, Outcome, Stepped
from holdfast_conformance.verdict import Level

_READINGS = 3
_PRIMARY_VERBS = (
    "create_volume",
    "get_volume",
    "list_volumes",
    "delete_volume",
    "grant",
    "revoke",
    "open",
    "pools",
    "stats",
    "health",
    "enumerate",
)
_IMAGE_VERBS = (
    "start_upload",
    "send_part",
    "finish_upload",
    "abort_upload",
    "get",
    "open_object",
    "head",
    "list",
    "delete",
    "stats",
    "health",
    "enumerate",
)


@checks(
    "CAP-01",
    Level.L0,
    "Every method of the interface is there with a signature that can be called, and answers with "
    "a value of its own type.",
    min_exercise=1,
)
def _loads(moment: Moment) -> Judgement:
    match moment:
        case LoadMoment(loaded=loaded):
            if loaded.defects:
                return Violated("every method present and callable", "; ".join(loaded.defects[:5]))
            return HELD
        case StepMoment():
            if _other_capabilities(moment.outcome):
                return None
            if isinstance(moment.outcome, Nonsense):
                return Violated(f"a proper answer of {moment.verb}", moment.outcome.what)
            wrong = moment.differing(Aspect.TYPE)
            return Violated(wrong[0].expected, wrong[0].observed) if wrong else HELD
        case TogetherMoment():
            found = (s.outcome for s in moment.stepped if isinstance(s.outcome, Nonsense))
            odd = next((one for one in found if not _other_capabilities(one)), None)
            return Violated(f"proper answers of {moment.verb}", odd.what) if odd else None
        case _:
            return None


@checks(
    "CAP-02",
    Level.L0,
    "The capability document is well-formed, without unknown fields, and equal at every reading, "
    "from every driver and in every process.",
    min_exercise=1,
)
def _one_document(moment: Moment) -> Judgement:
    if isinstance(moment, StepMoment | TogetherMoment):
        stepped = moment.stepped if isinstance(moment, TogetherMoment) else (moment.stepped,)
        changed = next(filter(None, (_other_capabilities(one.outcome) for one in stepped)), "")
        return Violated("the capabilities of before", changed) if changed else None
    if not isinstance(moment, LoadMoment):
        return None
    documents = moment.loaded.documents
    if len(documents) < _READINGS:
        return Violated(f"{_READINGS} readings of the capabilities", f"{len(documents)}")
    if len(set(documents)) > 1:
        first, other = documents[0], next(text for text in documents if text != documents[0])
        return Violated(f"always {first}", other)
    primary = moment.loaded.role is Role.PRIMARY
    kind = PrimaryCapabilities if primary else ImageCapabilities
    try:
        msgspec.json.decode(documents[0], type=kind)
    except msgspec.MsgspecError as problem:
        return Violated(f"a document of {moment.loaded.role.value} capabilities", str(problem))
    return HELD


def _other_capabilities(outcome: Outcome | None) -> str:
    """What tells that a driver declares other capabilities than before; else empty."""
    told = outcome.what if isinstance(outcome, Nonsense) else ""
    return told if told.startswith(CHANGED) else ""


def _declared(declared: Capabilities) -> tuple[str, ...]:
    if isinstance(declared, PrimaryCapabilities):
        within = declared_features(declared) - out_of_reach(declared)
        return (*_PRIMARY_VERBS, *sorted(within))
    return (*_IMAGE_VERBS, *sorted(declared_features(declared)))


@checks_steps(
    "CAP-03",
    Level.L1,
    "What is declared works: every verb and every declared feature succeeds on valid input.",
    aspects=_declared,
)
def _declared_works(moment: StepMoment) -> Judgement:
    if moment.kind is ErrorKind.UNSUPPORTED and not moment.allowed:
        what = ", ".join(features_of(moment.step)) or moment.verb
        return Violated(f"{what} is declared and works", moment.observed_outcome)
    if moment.succeeded and moment.allowed:
        return Held((moment.verb, *features_of(moment.step)))
    return None


def _undeclared(declared: Capabilities) -> tuple[str, ...]:
    there = declared_features(declared)
    return tuple(feature for feature in all_features(declared) if feature not in there)


def _nothing_undeclared(declared: Capabilities) -> str | None:
    return None if _undeclared(declared) else "the store declares every feature there is"


@checks_steps(
    "CAP-04",
    Level.L1,
    "What is not declared is refused as Unsupported and has no effect.",
    gate=_nothing_undeclared,
    min_exercise=1,
)
def _undeclared_refused(moment: StepMoment) -> Judgement:
    if not moment.is_situation(Situation.UNDECLARED):
        return None
    missing = set(features_of(moment.step)) - declared_features(moment.capabilities)
    return agreed(moment, *moment.differences, aspects=tuple(sorted(missing)))


@checks(
    "CAP-06",
    Level.L1,
    "While the backend is down, health answers within its deadline and names what failed.",
)
def _health(moment: Moment) -> Judgement:
    match moment:
        case BrokenMoment(step=CheckHealth(), broken=broken):
            return Violated("an answer within the deadline", broken.detail)
        case StepMoment(step=CheckHealth(), stepped=stepped) if (
            stepped.virtual_s > stepped.deadline_s
        ):
            took = f"it took {stepped.virtual_s:.3f} s"
            return Violated(f"an answer within {stepped.deadline_s:g} s", took)
        case StepMoment() if moment.is_situation(Situation.HEALTH_DOWN):
            return agreed(moment, *moment.differing(Aspect.STATE, Aspect.DETAIL, Aspect.TYPE))
        case StepMoment() if moment.is_situation(Situation.HEALTH):
            held = agreed(moment, *moment.differing(Aspect.STATE))
            return held if isinstance(held, Violated) else None
        case _:
            return None


@checks(
    "CAP-07",
    Level.L1,
    "A driver leaves its process alone: nothing on stdout, no fork, no exit, no task left running.",
)
def _well_behaved(moment: Moment) -> Judgement:
    match moment:
        case BrokenMoment(broken=broken):
            kind = {
                BrokenKind.HUNG: "it hung",
                BrokenKind.DIED: "its process died",
                BrokenKind.BASE_EXCEPTION: "it raised what is no error",
            }[broken.how]
            return Violated("the process stays usable", f"{kind}: {broken.detail}")
        case LoadMoment(loaded=loaded):
            if loaded.stdout:
                return Violated("nothing on stdout", repr(loaded.stdout[:200]))
            return HELD
        case StepMoment(stepped=stepped):
            return _step_well_behaved(moment.verb, stepped)
        case TogetherMoment():
            return _step_well_behaved(moment.verb, moment.stepped[0])
        case EndMoment():
            return None


def _step_well_behaved(verb: str, stepped: Stepped) -> Judgement:
    if stepped.stdout:
        return Violated("nothing on stdout", repr(stepped.stdout[:200]))
    if stepped.forked:
        return Violated("no process is started behind the caller's back", "it forked")
    if stepped.tasks_left:
        cause = f"{verb} left {stepped.tasks_left}"
        return Violated("no task outlives the call that started it", cause)
    return HELD
