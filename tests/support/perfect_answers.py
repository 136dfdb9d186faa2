"""What a driver answers that does exactly what the model of a primary store says."""

from collections.abc import Iterable, Iterator

import xxhash

from holdfast.contract.answers import (
    OwnedKind,
    OwnedThing,
    SnapshotInfo,
    VolumeInfo,
)
from holdfast.contract.capabilities import (
    AccessMode,
)
from holdfast.contract.handles import ExtentHandle
from holdfast.contract.requests import (
    Open,
)
from holdfast.data import BLOCK_BYTES
from holdfast_conformance.byte_steps import KeepHandle, ReadBytes, WriteBytes
from holdfast_conformance.model.primary_state import PrimaryState, SnapshotModel, VolumeModel
from holdfast_conformance.plan import ReadBlocks, ReadStale, WriteBlocks
from holdfast_conformance.stamps import decode
from holdfast_conformance.trace import (
    BlockRead,
    BlocksRead,
    BytesRead,
    HandleAnswer,
    Ok,
    Reply,
)


def owned(state: PrimaryState) -> Iterator[OwnedThing]:
    """Everything that a namespace owns."""
    for key, volume in state.volumes.items():
        yield OwnedThing(kind=OwnedKind.VOLUME, id="", key=key, size_bytes=volume.size_bytes)
    for key, kept in state.snapshots.items():
        yield OwnedThing(kind=OwnedKind.SNAPSHOT, id="", key=key, size_bytes=kept.size_bytes)
    for grant in state.grants.values():
        yield OwnedThing(kind=OwnedKind.GRANT, id=f"g{grant.born}")


def ordered(keys: Iterable[str]) -> list[str]:
    """Keys in byte order."""
    return sorted(keys, key=str.encode)


def volume_info(key: str, found: VolumeModel) -> VolumeInfo:
    """A volume as it is reported."""
    return VolumeInfo(
        key=key, id=f"v{found.born}", size_bytes=found.size_bytes, source=found.origin.key
    )


def snapshot_info(key: str, found: SnapshotModel) -> SnapshotInfo:
    """A snapshot as it is reported."""
    return SnapshotInfo(
        key=key, id=f"s{found.born}", volume=found.volume, size_bytes=found.size_bytes
    )


def blocks_read(run: str, found: VolumeModel, numbers: list[int]) -> Iterator[BlockRead]:
    """Blocks as they are read."""
    for number in numbers:
        offset = number * BLOCK_BYTES
        data = found.content.read(run, offset, BLOCK_BYTES, found.size_bytes)
        yield decode(data or b"", number, run)


def bytes_read(state: PrimaryState, step: WriteBytes | ReadBytes) -> BytesRead:
    """The bytes; of what nobody can know, what a driver that zeroes nothing may have there."""
    kept = state.handles.get(step.handle)
    found = state.volumes[kept.volume if kept else step.volume]
    data = found.content.read(state.run, step.offset_bytes, step.length_bytes, found.size_bytes)
    data = bytes(step.length_bytes) if data is None else data
    return BytesRead(found.size_bytes, len(data), xxhash.xxh3_128_hexdigest(data))


def through_handle(
    state: PrimaryState, step: Open | KeepHandle | ReadBlocks | ReadStale | WriteBlocks
) -> Reply:
    """What is answered by steps that open, read and write."""
    found = state.volumes[step.volume]
    match step:
        case Open() | KeepHandle():
            read_only = state.grants[step.volume, step.host].mode is AccessMode.READ_ONLY
            handle = ExtentHandle(
                space="s", token="t", size_bytes=found.size_bytes, read_only=read_only
            )
            return HandleAnswer(handle)
        case WriteBlocks():
            return Ok()
        case _:
            numbers = list(range(step.first, step.first + step.count))
            return BlocksRead(found.size_bytes, tuple(blocks_read(state.run, found, numbers)))
