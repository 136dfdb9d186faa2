"""LIF: what is in a store stays as it is while nobody changes it."""

from holdfast.contract.requests import (
    CheckHealth,
    EnumerateOwned,
    GetObject,
    GetSnapshot,
    GetStats,
    GetVolume,
    HeadObject,
    ListObjects,
    ListPools,
    ListSnapshots,
    ListVolumes,
    Open,
    OpenObject,
)
from holdfast_conformance.judgement.evidence import Judgement, StepMoment, agreed
from holdfast_conformance.judgement.registry import checks_steps
from holdfast_conformance.plan import (
    InspectStore,
    ReadBlocks,
    Reopen,
    UseDriver,
    UseStore,
    Wait,
    WalkObjects,
    WalkVolumes,
)
from holdfast_conformance.verdict import Level

_LOOKS = (
    CheckHealth,
    EnumerateOwned,
    GetObject,
    GetSnapshot,
    GetStats,
    GetVolume,
    HeadObject,
    InspectStore,
    ListObjects,
    ListPools,
    ListSnapshots,
    ListVolumes,
    Open,
    OpenObject,
    ReadBlocks,
    Reopen,
    UseDriver,
    UseStore,
    WalkObjects,
    WalkVolumes,
)


@checks_steps(
    "LIF-13",
    Level.L1,
    "What is in a store stays as it is while time passes and when its driver is opened again.",
)
def _stays(moment: StepMoment) -> Judgement:
    if isinstance(moment.step, Wait | Reopen) or _time_has_passed(moment):
        return agreed(moment, *moment.differences)
    return None


def _time_has_passed(moment: StepMoment) -> bool:
    """Whether this is the first step after a wait, and looks apart, that could show a change."""
    for step in reversed(moment.plan.steps[: max(0, moment.index)]):
        if isinstance(step, Wait):
            return True
        if not isinstance(step, _LOOKS):
            return False
    return False
