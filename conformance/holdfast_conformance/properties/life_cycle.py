"""LIF: the life of a store, from initialize to giving it back."""

from holdfast.contract.answers import OwnedKind
from holdfast.contract.errors import ErrorKind
from holdfast.contract.requests import DeleteStore, Grant
from holdfast_conformance.judgement.evidence import (
    HELD,
    Capabilities,
    EndMoment,
    Judgement,
    Moment,
    StepMoment,
    Violated,
    agreed,
)
from holdfast_conformance.judgement.registry import checks, checks_steps, these
from holdfast_conformance.model.difference import Aspect
from holdfast_conformance.model.expected_store import ANOTHER, EXPECTED
from holdfast_conformance.model.life_cycle import LifeCycleSituation
from holdfast_conformance.model.primary_state import Situation
from holdfast_conformance.plan import StoreStep, UseStore
from holdfast_conformance.trace import Refusals
from holdfast_conformance.verdict import Level

_L = LifeCycleSituation
_KEPT_VERBS = frozenset(
    {
        "read_blocks",
        "write_blocks",
        "read_bytes",
        "write_bytes",
        "write_ranges",
        "discard_bytes",
        "get_volume",
        "get",
        "head",
    }
)


@checks_steps(
    "LIF-01",
    Level.L1,
    "Initializing a place again under its name answers with the same store; under another name it "
    "is a Conflict, and the store stays as it was. One that gets its identity later stays, too.",
    aspects=these("again", "other name"),
)
def _initialize(moment: StepMoment) -> Judgement:
    if moment.is_situation(_L.INITIALIZE_AGAIN):
        return agreed(moment, *moment.differences, aspects=("again",))
    if moment.is_situation(_L.ADOPT, _L.ADOPT_AGAIN):
        return agreed(moment, *moment.differences)
    if moment.is_situation(_L.INITIALIZE_OTHER):
        return agreed(moment, *moment.differences, aspects=("other name",))
    if moment.is_situation(_L.INITIALIZE_NEW, _L.INSPECT, _L.NO_STORE):
        aspects = (Aspect.ID, Aspect.KEY, Aspect.MISSING, Aspect.EXTRA, Aspect.DUPLICATE)
        return agreed(moment, *moment.differing(*aspects, kind=OwnedKind.STORE))
    return None


@checks_steps(
    "LIF-02",
    Level.L1,
    "A place that cannot be used is refused with the fitting error and left without a trace.",
)
def _initialize_bad(moment: StepMoment) -> Judgement:
    if not moment.is_situation(_L.INITIALIZE_BAD):
        return None
    judged = agreed(moment, *moment.differences)
    nothing_tried = isinstance(moment.reply, Refusals) and not moment.reply.rows
    return None if nothing_tried and judged == HELD else judged


@checks_steps(
    "LIF-03",
    Level.L1,
    "Exactly the attached hosts can be granted access; a host that is attached later needs nothing "
    "more.",
    aspects=these("attach", "detach"),
)
def _hosts(moment: StepMoment) -> Judgement:
    hosts = moment.differing(Aspect.HOSTS, Aspect.DETAIL, kind=OwnedKind.STORE)
    if moment.is_situation(_L.ATTACH_NEW, _L.ATTACH_AGAIN, _L.ATTACH_TOO_MANY):
        return agreed(moment, *hosts, aspects=("attach",))
    if moment.is_situation(_L.DETACH, _L.DETACH_ABSENT, _L.DETACH_GRANTED):
        return agreed(moment, *moment.differing(kind=OwnedKind.STORE), aspects=("detach",))
    step = moment.step
    late = isinstance(step, Grant) and step.host not in moment.plan.hosts
    if late and moment.is_situation(Situation.GRANT_NEW):
        return agreed(moment)
    if moment.is_situation(_L.INSPECT):
        return agreed(moment, *hosts)
    return None


@checks_steps(
    "LIF-05",
    Level.L1,
    "In maintenance nothing new is allocated and what was granted works on; the state is reported, "
    "and cancelling returns to service.",
    aspects=these("maintain", "refused", "kept", "cancel"),
)
def _maintenance(moment: StepMoment) -> Judgement:
    at_rest = moment.before.store.maintenance
    states = moment.differing(Aspect.STATE, Aspect.DETAIL, kind=OwnedKind.STORE)
    if moment.is_situation(_L.MAINTAIN):
        return agreed(moment, *moment.differences, aspects=("maintain",))
    if moment.is_situation(_L.CANCEL):
        return agreed(moment, *moment.differences, aspects=("cancel",))
    if moment.is_situation(_L.INSPECT):
        return agreed(moment, *states)
    if moment.is_situation(Situation.MAINTENANCE) and not moment.before.down:
        return agreed(moment, *moment.differences, aspects=("refused",))
    if at_rest and moment.verb in _KEPT_VERBS and None in moment.expectation.kinds:
        return agreed(moment, aspects=("kept",))
    if moment.kind is ErrorKind.PRECONDITION and not at_rest and not moment.allowed:
        return Violated("a store in service does its work", moment.observed_outcome)
    return None


@checks_steps(
    "LIF-08",
    Level.L1,
    "A store with something in it is not given back: InUse, and nothing is removed.",
)
def _delete_live(moment: StepMoment) -> Judgement:
    if not moment.is_situation(_L.DELETE_LIVE):
        return None
    return agreed(moment, *moment.differences)


@checks(
    "LIF-09",
    Level.L1,
    "An empty store is given back without residue, and giving back an absent one succeeds.",
    aspects=these("empty", "absent"),
)
def _give_back(moment: Moment) -> Judgement:
    match moment:
        case StepMoment() if moment.is_situation(_L.DELETE_ABSENT):
            return agreed(moment, *moment.differences, aspects=("absent",))
        case StepMoment() if moment.is_situation(_L.DELETE_EMPTY):
            return agreed(moment, *moment.differences, aspects=("empty",))
        case EndMoment(ended=ended):
            if ended.failures:
                return Violated("everything can be deleted at the end", "; ".join(ended.failures))
            leftovers = moment.left()
            return Violated("nothing is left at the end", leftovers) if leftovers else HELD
        case _:
            return None


def _expecting(_: Capabilities) -> tuple[str, ...]:
    return "opened", "refused", "life cycle"


@checks_steps(
    "LIF-14",
    Level.L1,
    "A driver that was told which store to expect takes no other one for it, also where the place "
    "has become another store since: Precondition, and nothing is done.",
    aspects=_expecting,
)
def _another_store(moment: StepMoment) -> Judgement:
    if moment.is_situation(EXPECTED):
        return agreed(moment, aspects=("opened",))
    if not moment.is_situation(ANOTHER):
        return None
    aspect = "life cycle" if isinstance(moment.step, StoreStep) else "refused"
    return agreed(moment, *moment.differences, aspects=(aspect,))


@checks_steps(
    "LIF-15",
    Level.L1,
    "What is done in one store is not seen in another of the same backend and changes nothing "
    "there, though the names are the same.",
)
def _neighbours(moment: StepMoment) -> Judgement:
    earlier = moment.plan.steps[: max(0, moment.index) + 1]
    if not any(isinstance(step, UseStore) and step.number for step in earlier):
        return None
    return agreed(moment, *moment.differences)


@checks_steps(
    "LIF-10",
    Level.L1,
    "A store that is made where an earlier one was given back is a new one, whatever its name: in "
    "service, without hosts, and with an id of its own.",
    min_exercise=2,
)
def _anew(moment: StepMoment) -> Judgement:
    earlier = moment.plan.steps[: max(0, moment.index)]
    given_back = any(isinstance(step, DeleteStore) for step in earlier)
    if not (given_back and moment.is_situation(_L.INITIALIZE_NEW)):
        return None
    return agreed(moment, *moment.differences)
