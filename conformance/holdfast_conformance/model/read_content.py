"""What is wrong with bytes that were read through handles."""

from collections.abc import Iterable, Iterator

import xxhash

from holdfast.contract.answers import OwnedKind
from holdfast_conformance.byte_steps import ReadBytes, WriteBytes
from holdfast_conformance.model.content import Block, block_digest, is_whole, within
from holdfast_conformance.model.difference import Aspect, Difference, Where
from holdfast_conformance.model.primary_state import PrimaryState, VolumeModel
from holdfast_conformance.plan import ReadBlocks, ReadStale, Step
from holdfast_conformance.stamps import hash_of_stamp
from holdfast_conformance.trace import BlockRead, BlocksRead, BytesRead, Observed


def of_step(state: PrimaryState, step: Step, reply: BlocksRead) -> Iterator[Difference]:
    """What is wrong with the blocks that a step read."""
    if isinstance(step, ReadBlocks | ReadStale):
        numbers = range(step.first, step.first + step.count)
        yield from _compare(state, step.volume, reply, numbers, Where.REPLY)


def of_range(state: PrimaryState, step: Step, reply: BytesRead) -> Iterator[Difference]:
    """What is wrong with the bytes that a step read, or read back before it flushed them."""
    if not isinstance(step, ReadBytes | WriteBytes):
        return
    kept = state.handles.get(step.handle)
    key = kept.volume if kept else step.volume
    volume = state.volumes[key]
    sizes = {volume.size_bytes, kept.size_bytes if kept else volume.size_bytes}
    if reply.size_bytes not in sizes:
        yield _differing(key, Aspect.SIZE, str(volume.size_bytes), str(reply.size_bytes))
    right = volume.content.read(state.run, step.offset_bytes, step.length_bytes, volume.size_bytes)
    if right is None:
        return
    expected = f"{step.length_bytes} bytes at {step.offset_bytes}: {_digest_of(right)}"
    seen = f"{reply.length_bytes} bytes at {step.offset_bytes}: {reply.digest}"
    if expected != seen:
        yield _differing(key, Aspect.BLOCK, expected, seen)


def of_hosts(state: PrimaryState, observed: Observed) -> Iterator[Difference]:
    """What is wrong with what the hosts read of the volumes that are granted to them."""
    for key, host, reading in observed.blocks:
        volume = state.volumes.get(key)
        if volume is not None and (key, host) in state.grants:
            yield from _compare(state, key, reading, volume.content.blocks, Where.HANDLE)
    for key, host, cause in observed.unreadable:
        if key in state.volumes and (key, host) in state.grants:
            yield Difference(
                Where.HANDLE, OwnedKind.VOLUME, key, Aspect.MISSING, f"readable by {host}", cause
            )


def _compare(
    state: PrimaryState, key: str, reading: BlocksRead, expected: Iterable[int], where: Where
) -> Iterator[Difference]:
    """Compare blocks; one that was not reported counts as zeroes."""
    volume = state.volumes[key]
    if reading.size_bytes != volume.size_bytes:
        sizes = str(volume.size_bytes), str(reading.size_bytes)
        yield Difference(where, OwnedKind.VOLUME, key, Aspect.SIZE, *sizes)
    seen = {block.number: block for block in reading.blocks}
    for number in sorted({*expected, *seen}):
        right = volume.content.block(number)
        if right is None:
            continue
        block = seen.get(number, BlockRead(number, "zero"))
        expectation = _told(state.run, volume, number, right)
        observed = _observed(block)
        # A byte of one stamp may be that of another: what counts in the end is the bytes.
        if expectation != observed and not _same_bytes(state.run, volume, number, right, block):
            yield Difference(
                where, OwnedKind.VOLUME, key, Aspect.BLOCK, expectation, f"{observed} ({number})"
            )


def _told(run: str, volume: VolumeModel, number: int, block: Block) -> str:
    block = within(block, number, volume.size_bytes)
    if not block:
        return "zero"
    if is_whole(block) and block[0].stamped is not None:
        return f"block {number} of {block[0].stamped[0]!r}, generation {block[0].stamped[1]}"
    digest = block_digest(run, number, block, volume.size_bytes)
    return f"no whole stamp, bytes {digest.hex()}" if digest else "zero"


def _same_bytes(run: str, volume: VolumeModel, number: int, right: Block, block: BlockRead) -> bool:
    if block.state != "stamp":
        return False
    seen = hash_of_stamp(run, block.volume, block.stamped_number, block.generation)
    return seen == block_digest(run, number, right, volume.size_bytes)


def _observed(block: BlockRead) -> str:
    match block.state:
        case "stamp":
            return (
                f"block {block.stamped_number} of {block.volume!r}, generation {block.generation}"
            )
        case "garbage":
            return f"no whole stamp, bytes {block.digest}"
        case _:
            return block.state


def _differing(key: str, aspect: Aspect, expected: str, seen: str) -> Difference:
    return Difference(Where.REPLY, OwnedKind.VOLUME, key, aspect, expected, seen)


def _digest_of(data: bytes) -> str:
    return xxhash.xxh3_128_hexdigest(data)
