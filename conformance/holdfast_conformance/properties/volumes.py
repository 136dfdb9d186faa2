"""VOL: volumes are created, found, protected and deleted."""

from holdfast.contract.answers import OwnedKind
from holdfast.contract.capabilities import DeleteInUse, PrimaryCapabilities
from holdfast.contract.requests import Role
from holdfast_conformance.judgement.evidence import (
    HELD,
    Capabilities,
    EndMoment,
    Judgement,
    Moment,
    StepMoment,
    Violated,
    agreed,
    agreed_in,
    none_left,
    object_of,
)
from holdfast_conformance.judgement.registry import checks, checks_steps, these
from holdfast_conformance.model.difference import Aspect, Where
from holdfast_conformance.model.primary_state import Situation
from holdfast_conformance.verdict import Level

_S = Situation
_PRIMARY = (Role.PRIMARY,)
_VOLUME = OwnedKind.VOLUME


@checks_steps(
    "VOL-01",
    Level.L1,
    "A created volume is there, once, with the key, size and source that were asked for, however "
    "one looks.",
    roles=_PRIMARY,
    aspects=these("create", "get", "list", "walk", "enumerate"),
)
def _created(moment: StepMoment) -> Judgement:
    if moment.before.down:
        return None
    differences = moment.differing(kind=_VOLUME)
    if moment.is_situation(_S.CREATE_NEW):
        return agreed(moment, *differences, aspects=("create",))
    looks = {
        _S.GET: "get",
        _S.LIST: "list",
        _S.LIST_TOKEN: "token",
        _S.WALK: "walk",
        _S.ENUMERATE: "enumerate",
        _S.GET_ABSENT: "absent",
    }
    for situation, name in looks.items():
        if moment.is_situation(situation) and not moment.is_situation(_S.STATS, _S.MODIFY):
            return agreed(moment, *differences, aspects=(name,))
    return None


@checks_steps(
    "VOL-02",
    Level.L1,
    "The same key with equal arguments answers with the same volume, and there is only one.",
    roles=_PRIMARY,
)
def _created_again(moment: StepMoment) -> Judgement:
    if not moment.is_situation(_S.CREATE_AGAIN) or moment.before.down:
        return None
    return agreed(moment, *moment.differing(kind=_VOLUME))


@checks_steps(
    "VOL-03",
    Level.L1,
    "A key that is taken is a Conflict for another size or source, and its volume stays untouched: "
    "bytes, grants and snapshots.",
    roles=_PRIMARY,
)
def _conflict(moment: StepMoment) -> Judgement:
    return agreed_in(moment, _S.CREATE_OTHER)


@checks_steps(
    "VOL-04",
    Level.L1,
    "Deleting what is not there succeeds, whether it was deleted before or never was.",
    roles=_PRIMARY,
    aspects=these("again", "never"),
)
def _deleted_again(moment: StepMoment) -> Judgement:
    if moment.before.down:
        return None
    if moment.is_situation(_S.DELETE_AGAIN):
        return agreed(moment, aspects=("again",))
    if moment.is_situation(_S.DELETE_NEVER):
        return agreed(moment, aspects=("never",))
    return None


def _callers_guard(declared: Capabilities) -> str | None:
    if not isinstance(declared, PrimaryCapabilities):
        return None
    if declared.volume.delete_in_use is DeleteInUse.REFUSES:
        return None
    return "the store leaves the protection of granted volumes to its callers"


@checks_steps(
    "VOL-06",
    Level.L1,
    "A granted volume is not deleted: InUse, and it stays accessible.",
    roles=_PRIMARY,
    gate=_callers_guard,
)
def _granted_stays(moment: StepMoment) -> Judgement:
    return agreed_in(moment, _S.DELETE_GRANTED)


@checks(
    "VOL-07",
    Level.L1,
    "A deleted volume is gone: from get, from lists and from the backend.",
    roles=_PRIMARY,
    aspects=these("gone", "get"),
)
def _gone(moment: Moment) -> Judgement:
    match moment:
        case EndMoment():
            return none_left(moment, "every deleted volume is gone", _VOLUME)
        case StepMoment() if moment.is_situation(_S.DELETE) and moment.succeeded:
            key = object_of(moment.step)
            still = moment.differing(Aspect.EXTRA, Aspect.DUPLICATE, kind=_VOLUME, key=key)
            return agreed(moment, *still, aspects=("gone",)) if moment.allowed else None
        case StepMoment() if moment.is_situation(_S.GET_DELETED) and not moment.before.down:
            return agreed(moment, aspects=("get",))
        case StepMoment() if moment.is_situation(_S.LIST, _S.WALK, _S.ENUMERATE):
            extra = moment.differing(Aspect.EXTRA, where=Where.REPLY, kind=_VOLUME)
            return agreed(moment, *extra) if extra else None
        case _:
            return None


@checks_steps(
    "VOL-08",
    Level.L1,
    "Deleting a volume that never was changes nothing in the backend.",
    roles=_PRIMARY,
)
def _never_was(moment: StepMoment) -> Judgement:
    if not moment.is_situation(_S.DELETE_NEVER):
        return None
    changed = moment.differing(where=Where.BACKEND)
    if changed:
        return Violated(f"{changed[0].subject}: {changed[0].expected}", changed[0].observed)
    return HELD
