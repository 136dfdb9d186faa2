"""CST-02 and CST-06: figures are those of what is there, of the store and of each volume."""

from collections.abc import Iterator
from typing import cast

from holdfast.contract.answers import PoolList, StatsInfo
from holdfast.contract.capabilities import BYTES_MAX, PrimaryCapabilities
from holdfast.contract.requests import GetStats, Role
from holdfast_conformance.judgement.evidence import (
    HELD,
    Capabilities,
    Judgement,
    StepMoment,
    Violated,
)
from holdfast_conformance.judgement.registry import checks_steps
from holdfast_conformance.model.image_state import ImageState
from holdfast_conformance.model.primary_state import PrimaryState, SourceKind, VolumeModel
from holdfast_conformance.verdict import Level

_POOLS, _STATS = "pools", "stats"
_SECTOR_BYTES = 512


@checks_steps(
    "CST-02",
    Level.L2,
    "What is allocated is what was promised: the sizes of all volumes, and of snapshots no more "
    "than their own; pools and store agree, and as many things are counted as there are.",
)
def _conserved(moment: StepMoment) -> Judgement:
    reply, step = moment.reply, moment.step
    if not isinstance(reply, StatsInfo | PoolList) or not moment.allowed:
        return None
    if isinstance(step, GetStats) and step.volume:
        return None
    state = moment.before
    problems = (
        _of_volumes(state, reply)
        if isinstance(state, PrimaryState)
        else _of_objects(cast("ImageState", state), reply)
    )
    problem = next(problems, None) or _disagreement(moment, reply)
    return problem or HELD


def _of_volumes(state: PrimaryState, reply: StatsInfo | PoolList) -> Iterator[Violated]:
    volumes = sum(model.size_bytes for model in state.volumes.values())
    snapshots = sum(model.size_bytes for model in state.snapshots.values())
    least, most = min(volumes, BYTES_MAX), min(volumes + snapshots, BYTES_MAX)
    allocated = _allocated(reply)
    if not least <= allocated <= most:
        right = f"{least} to {most}" if least < most else f"{least}"
        yield Violated(f"{right} bytes allocated", f"{allocated}")
    if isinstance(reply, StatsInfo):
        count = len(state.volumes)
        if not count <= reply.objects <= count + len(state.snapshots):
            things = f"{count} volumes and {len(state.snapshots)} snapshots"
            yield Violated(f"{things} as objects", f"{reply.objects}")


def _of_objects(state: ImageState, reply: StatsInfo | PoolList) -> Iterator[Violated]:
    if isinstance(reply, StatsInfo) and not state.uploads and reply.objects != len(state.objects):
        yield Violated(f"{len(state.objects)} objects", f"{reply.objects}")


def _allocated(reply: StatsInfo | PoolList) -> int:
    if isinstance(reply, StatsInfo):
        return reply.allocated_bytes
    return sum(pool.allocated_bytes for pool in reply.items)


def _disagreement(moment: StepMoment, reply: StatsInfo | PoolList) -> Violated | None:
    """Where store and pools were asked about the same things, and answered otherwise."""
    if isinstance(reply, StatsInfo):
        known = moment.figures.get(_POOLS)
        other = None if known is None else sum(known)
    else:
        known = moment.figures.get(_STATS)
        other = None if known is None else known[0]
    allocated = _allocated(reply)
    if other is None or other == allocated:
        return None
    names = ("the store", "its pools") if isinstance(reply, StatsInfo) else ("pools", "their store")
    return Violated(f"{names[0]} and {names[1]} agree", f"{allocated} and {other} bytes allocated")


def _holds_data(model: VolumeModel) -> bool:
    """Whether a volume surely holds something else than zeroes: a sector at least."""
    return any(
        piece.stamped is not None and piece.end - piece.start >= _SECTOR_BYTES
        for block in model.content.blocks.values()
        for piece in block
    )


def _no_volume_figures(declared: Capabilities) -> str | None:
    if isinstance(declared, PrimaryCapabilities) and not declared.stats.volume:
        return "the store does not declare figures of volumes"
    return None


@checks_steps(
    "CST-06",
    Level.L2,
    "The total of a volume's figures is its size, all of which is promised; what was written and "
    "flushed to a volume that shares nothing is in use.",
    roles=(Role.PRIMARY,),
    gate=_no_volume_figures,
)
def _of_volume(moment: StepMoment) -> Judgement:
    reply, step = moment.reply, moment.step
    if not (isinstance(step, GetStats) and step.volume and isinstance(reply, StatsInfo)):
        return None
    state = cast("PrimaryState", moment.before)
    model = state.volumes.get(step.volume)
    if model is None:
        return None
    if reply.total_bytes != model.size_bytes:
        return Violated(f"a total of {model.size_bytes} bytes", f"{reply.total_bytes}")
    if reply.allocated_bytes != model.size_bytes:
        return Violated(f"{model.size_bytes} bytes allocated", f"{reply.allocated_bytes}")
    alone = model.origin.kind is SourceKind.NOTHING and not state.snapshots_of(step.volume)
    if alone and _holds_data(model) and not reply.used_bytes:
        return Violated("the bytes that were written are in use", "0 bytes used")
    return HELD
