"""CPY and QOS: properties of capabilities that no driver declares yet."""

from holdfast.capabilities import PrimaryCapabilities
from holdfast.requests import Role
from holdfast_conformance.judgement.evidence import Capabilities
from holdfast_conformance.judgement.registry import unchecked
from holdfast_conformance.verdict import Level

_PRIMARY = (Role.PRIMARY,)


def _no_copy(declared: Capabilities) -> str | None:
    if isinstance(declared, PrimaryCapabilities) and declared.copy is None:
        return "the store does not declare native copies"
    return None


def _no_qos(declared: Capabilities) -> str | None:
    if isinstance(declared, PrimaryCapabilities) and declared.qos is None:
        return "the store does not declare limits of I/O"
    return None


unchecked(
    "CPY-01",
    Level.L1,
    "A native copy has the bytes of its source, as read from the copy.",
    roles=_PRIMARY,
    gate=_no_copy,
    reason="this version of the suite has no check for native copies",
)
unchecked(
    "CPY-02",
    Level.L1,
    "A source is deleted only after its copy was verified; a failure leaves it, and no copy.",
    roles=_PRIMARY,
    gate=_no_copy,
    reason="this version of the suite has no check for native copies",
)
unchecked(
    "QOS-01",
    Level.L1,
    "Limits of I/O are kept as set; limits outside the declared range are refused.",
    roles=_PRIMARY,
    gate=_no_qos,
    reason="this version of the suite has no check for limits of I/O",
)
