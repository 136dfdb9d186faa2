"""CAP-05 and QOS: what is declared as a limit is one, to the last thing and the first too many."""

from holdfast.contract.capabilities import ImageCapabilities, PrimaryCapabilities
from holdfast.contract.errors import ErrorKind
from holdfast.contract.requests import Role
from holdfast_conformance.judgement.evidence import (
    Capabilities,
    Judgement,
    StepMoment,
    Violated,
    agreed,
    agreed_on,
)
from holdfast_conformance.judgement.registry import checks_steps
from holdfast_conformance.model.difference import Aspect
from holdfast_conformance.model.life_cycle import LifeCycleSituation
from holdfast_conformance.model.primary_state import Situation
from holdfast_conformance.primary_limits import counted_hosts, counted_snapshots, counted_volumes
from holdfast_conformance.verdict import Level

_S = Situation
_L = LifeCycleSituation
_PRIMARY = (Role.PRIMARY,)
_REACHED = {
    _S.CREATE_LAST: "the last volume",
    _S.CREATE_FULL: "one volume more",
    _S.SNAPSHOT_LAST: "the last snapshot",
    _S.SNAPSHOT_FULL: "one snapshot more",
    _L.ATTACH_LAST: "the last host",
    _L.ATTACH_TOO_MANY: "one host more",
}


def _limited(declared: Capabilities) -> tuple[str, ...]:
    if isinstance(declared, ImageCapabilities):
        return ()
    limits = (
        (counted_volumes, ("the last volume", "one volume more")),
        (counted_snapshots, ("the last snapshot", "one snapshot more")),
        (counted_hosts, ("the last host", "one host more")),
    )
    return tuple(name for counted, names in limits if counted(declared) for name in names)


def _limits_nothing(declared: Capabilities) -> str | None:
    return None if _limited(declared) else "the store declares no limit that a plan reaches"


@checks_steps(
    "CAP-05",
    Level.L2,
    "Declared limits of volumes, snapshots and hosts are tight: as many as declared can be had, "
    "one more is Exhausted and changes nothing, and what was deleted or refused does not count.",
    roles=_PRIMARY,
    gate=_limits_nothing,
    aspects=_limited,
)
def _tight(moment: StepMoment) -> Judgement:
    if moment.before.down:
        return None
    if moment.kind is ErrorKind.EXHAUSTED and not moment.allowed:
        return Violated(f"{moment.verb}: {moment.expected_outcome}", moment.observed_outcome)
    return agreed_on(moment, _REACHED, moment.differences)


def _no_qos(declared: Capabilities) -> str | None:
    if isinstance(declared, PrimaryCapabilities) and declared.qos is None:
        return "the store does not declare limits of I/O"
    return None


@checks_steps(
    "QOS-01",
    Level.L1,
    "Limits of I/O are kept as set; limits outside the declared range are refused.",
    roles=_PRIMARY,
    gate=_no_qos,
    aspects=lambda _: ("set", "refused"),
)
def _limits_kept(moment: StepMoment) -> Judgement:
    if moment.before.down:
        return None
    if moment.is_situation(_S.MODIFY):
        return agreed(moment, *moment.differences, aspects=("set",))
    if moment.is_situation(_S.MODIFY_RANGE):
        return agreed(moment, *moment.differences, aspects=("refused",))
    lost = moment.differing(Aspect.LIMITS)
    return agreed(moment, *lost) if lost else None
