"""ACC: who may use a volume, and who may not any more."""

from holdfast.contract.answers import OwnedKind
from holdfast.contract.capabilities import AccessMode, PrimaryCapabilities
from holdfast.contract.requests import Grant, Revoke, Role
from holdfast_conformance.judgement.evidence import (
    Capabilities,
    EndMoment,
    Judgement,
    Moment,
    StepMoment,
    agreed,
    agreed_in,
    none_left,
)
from holdfast_conformance.judgement.registry import checks, checks_steps, these
from holdfast_conformance.model.difference import Aspect, Difference, Where
from holdfast_conformance.model.primary_state import Situation
from holdfast_conformance.plan import UseStore
from holdfast_conformance.verdict import Level

_S = Situation
_PRIMARY = (Role.PRIMARY,)
_GRANT = OwnedKind.GRANT


def _access_differences(moment: StepMoment) -> tuple[Difference, ...]:
    """Grants that are not as they should be, and volumes that their hosts cannot reach."""
    unreachable = moment.differing(Aspect.MISSING, where=Where.HANDLE)
    return (*moment.differing(kind=_GRANT), *unreachable)


def _shareable(declared: Capabilities) -> bool:
    return (
        isinstance(declared, PrimaryCapabilities)
        and declared.access.hosts_max != 1
        and any(mode is not AccessMode.EXCLUSIVE for mode in declared.access.modes)
    )


@checks_steps(
    "ACC-01",
    Level.L1,
    "A granted host reads and writes the volume, and no other host does.",
    roles=_PRIMARY,
    aspects=these("granted", "stranger"),
)
def _granted(moment: StepMoment) -> Judgement:
    if moment.before.down:
        return None
    if moment.is_situation(_S.GRANT_NEW, _S.OPEN, _S.READ, _S.WRITE, _S.GRANT_MODE):
        sizes = moment.differing(Aspect.SIZE, where=Where.REPLY)
        return agreed(moment, *_access_differences(moment), *sizes, aspects=("granted",))
    if moment.is_situation(_S.OPEN_UNGRANTED, _S.OPEN_ABSENT, _S.IO_UNGRANTED):
        return agreed(moment, aspects=("stranger",))
    return None


@checks_steps(
    "ACC-02",
    Level.L1,
    "Granting the same mode again answers with the same grant and counts nothing: one revoke ends "
    "it.",
    roles=_PRIMARY,
    aspects=these("again", "revoked once"),
)
def _not_counted(moment: StepMoment) -> Judgement:
    if moment.before.down:
        return None
    if moment.is_situation(_S.GRANT_AGAIN):
        return agreed(moment, *moment.differing(kind=_GRANT), aspects=("again",))
    step = moment.step
    if isinstance(step, Revoke) and moment.is_situation(_S.REVOKE):
        granted = [
            earlier
            for earlier in moment.plan.steps[: max(0, moment.index)]
            if isinstance(earlier, Grant)
            and (earlier.volume, earlier.host) == (step.volume, step.host)
        ]
        elsewhere = any(isinstance(earlier, UseStore) for earlier in moment.plan.steps)
        if len(granted) > 1 and not elsewhere:
            still = moment.differing(Aspect.EXTRA, kind=_GRANT)
            return agreed(moment, *still, aspects=("revoked once",))
    return None


def _revoking(declared: Capabilities) -> tuple[str, ...]:
    return ("absent", "one of several") if _shareable(declared) else ("absent",)


@checks_steps(
    "ACC-03",
    Level.L1,
    "Revoking what is not there succeeds; revoking one host's grant leaves all others.",
    roles=_PRIMARY,
    aspects=_revoking,
)
def _others_stay(moment: StepMoment) -> Judgement:
    if moment.before.down:
        return None
    if moment.is_situation(_S.REVOKE_ABSENT):
        return agreed(moment, *_access_differences(moment), aspects=("absent",))
    lost = (*moment.differing(Aspect.MISSING, kind=_GRANT), *_unreachable(moment))
    if moment.is_situation(_S.REVOKE_ONE):
        return agreed(moment, *lost, aspects=("one of several",))
    if moment.is_situation(_S.REVOKE) and lost:
        return agreed(moment, *lost)
    return None


def _unreachable(moment: StepMoment) -> tuple[Difference, ...]:
    return moment.differing(Aspect.MISSING, where=Where.HANDLE)


def _never_exclusive(declared: Capabilities) -> str | None:
    if not isinstance(declared, PrimaryCapabilities):
        return None
    if declared.access.hosts_max == 1:
        return "the store serves one host only"
    if AccessMode.EXCLUSIVE not in declared.access.modes:
        return "the store does not declare exclusive grants"
    return None


@checks_steps(
    "ACC-04",
    Level.L1,
    "An exclusive grant keeps every other host out: InUse, and the first host is not disturbed.",
    roles=_PRIMARY,
    gate=_never_exclusive,
)
def _exclusive(moment: StepMoment) -> Judgement:
    return agreed_in(moment, _S.GRANT_EXCLUDED)


@checks(
    "ACC-06",
    Level.L1,
    "After a revoke nothing of the grant is left, and handles opened under it work no more.",
    roles=_PRIMARY,
    aspects=these("revoked", "handle"),
)
def _nothing_left(moment: Moment) -> Judgement:
    match moment:
        case EndMoment():
            return none_left(moment, "every grant is gone at the end", _GRANT)
        case StepMoment() if moment.before.down:
            return None
        case StepMoment() if moment.is_situation(_S.REVOKE):
            return agreed(
                moment, *moment.differing(Aspect.EXTRA, kind=_GRANT), aspects=("revoked",)
            )
        case StepMoment() if moment.is_situation(_S.READ_STALE):
            return agreed(moment, aspects=("handle",))
        case _:
            return None


@checks_steps(
    "ACC-07",
    Level.L1,
    "A handle that is kept open works as long as its grant and reaches that volume's bytes alone, "
    "whatever else is granted, taken back or copied meanwhile.",
    roles=_PRIMARY,
    aspects=these("kept", "revoked"),
)
def _kept_open(moment: StepMoment) -> Judgement:
    if moment.before.down:
        return None
    if moment.is_situation(_S.IO_KEPT_STALE):
        return agreed(moment, *moment.differences, aspects=("revoked",))
    if moment.is_situation(_S.IO_KEPT, _S.IO_KEPT_RESIZED):
        wrong = moment.differing(Aspect.BLOCK, Aspect.DIGEST, Aspect.SIZE)
        return agreed(moment, *wrong, aspects=("kept",))
    return None


def _never_read_only(declared: Capabilities) -> str | None:
    if not isinstance(declared, PrimaryCapabilities):
        return None
    if AccessMode.READ_ONLY not in declared.access.modes:
        return "the store does not declare read-only grants"
    return None


@checks_steps(
    "ACC-08",
    Level.L1,
    "Nothing can be written through a read-only grant.",
    roles=_PRIMARY,
    gate=_never_read_only,
    aspects=these("write"),
)
def _read_only(moment: StepMoment) -> Judgement:
    if moment.before.down:
        return None
    if moment.is_situation(_S.WRITE_READ_ONLY, _S.DISCARD_READ_ONLY):
        changed = moment.differing(Aspect.BLOCK, Aspect.DIGEST)
        return agreed(moment, *changed, aspects=("write",))
    step = moment.step
    if isinstance(step, Grant) and step.mode is AccessMode.READ_ONLY:
        wrong = moment.differing(kind=_GRANT)
        return agreed(moment, *wrong) if moment.is_situation(_S.GRANT_NEW) else None
    if moment.is_situation(_S.OPEN) and (wrong := moment.differing(Aspect.DETAIL)):
        return agreed(moment, *wrong)
    return None


@checks_steps(
    "ACC-11",
    Level.L1,
    "A grant to a host that is not attached, or of a volume that is not there, is NotFound and "
    "leaves no entry.",
    roles=_PRIMARY,
)
def _unknown_host(moment: StepMoment) -> Judgement:
    return agreed_in(moment, _S.GRANT_HOST, _S.GRANT_ABSENT)
