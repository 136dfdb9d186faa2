"""What tests of transfers share: files with runs of data, pairs, a journal that kills."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from hypothesis import strategies as st

from holdfast.contract.handles import FileHandle
from holdfast.motion.block_digests import BLOCK_BYTES
from holdfast.motion.choice import choose
from holdfast.motion.chunk_map import CHUNK_BYTES
from holdfast.motion.mechanism import Mechanism, Pair, Side
from holdfast.motion.mechanisms.hashed_copy import HashedCopy
from holdfast.motion.mechanisms.kernel_copy import KernelCopy
from holdfast.motion.mechanisms.relay import Relay
from holdfast.motion.transfer import Moved, Transfer

MIB = 1 << 20
FAR = 2 * CHUNK_BYTES + 4097
COPYING: Sequence[Mechanism] = (HashedCopy(), KernelCopy(), Relay())


def file_of(path: Path, size_bytes: int, data: Sequence[tuple[int, bytes]] = ()) -> FileHandle:
    with path.open("w+b") as file:
        file.truncate(size_bytes)
        for offset, content in data:
            file.seek(offset)
            file.write(content)
    return FileHandle(path=str(path), size_bytes=size_bytes)


def pair_of(
    source: FileHandle, target: FileHandle, *, digested: bool = False, length: int | None = None
) -> Pair:
    return Pair(
        source=Side(handle=source, name="the source", version="1"),
        target=Side(handle=target, name="the target"),
        length_bytes=source.size_bytes if length is None else length,
        digested=digested,
    )


def move(pair: Pair, *mechanisms: Mechanism, journal: "Journal | None" = None) -> Moved:
    transfer = Transfer(pair, choose(pair, mechanisms), journal=journal)
    return asyncio.run(transfer.run())


class Journal:
    """Checkpoints in memory; the transfer is killed after so many of them."""

    def __init__(self) -> None:
        self.entries: list[bytes] = []
        self.killed_after: int | None = None

    async def checkpoints(self) -> tuple[bytes, ...]:
        return tuple(self.entries)

    async def checkpoint(self, reached: bytes) -> None:
        if self.killed_after is not None and len(self.entries) >= self.killed_after:
            raise Killed
        self.entries.append(reached)


class Killed(Exception):
    """The process ends here."""


@st.composite
def contents(draw: st.DrawFn) -> tuple[int, tuple[tuple[int, bytes], ...]]:
    """A size up to three chunks, and a few runs of data at odd places: chunks, blocks, the end."""
    size = draw(st.sampled_from([1, 4096, BLOCK_BYTES - 1, CHUNK_BYTES + 1, FAR]))
    marks = [0, size - 1, *range(BLOCK_BYTES, size, 7 * BLOCK_BYTES), *range(0, size, CHUNK_BYTES)]
    starts = draw(st.lists(st.sampled_from(marks), max_size=6))
    runs: list[tuple[int, bytes]] = []
    for start in starts:
        offset = max(0, min(size - 1, start + draw(st.integers(-5000, 5000))))
        length = min(size - offset, draw(st.sampled_from([1, 512, 4096, 70_001, BLOCK_BYTES + 3])))
        seed = draw(st.binary(min_size=1, max_size=4))
        runs.append((offset, (seed * (length // len(seed) + 1))[:length]))
    return size, tuple(runs)


def allocated(path: str) -> int:
    return Path(path).stat().st_blocks * 512


def same(source: FileHandle, target: FileHandle) -> None:
    """Equal bytes, zeroes behind them, and no hole was filled."""
    with Path(source.path).open("rb") as one, Path(target.path).open("rb") as other:
        left = source.size_bytes
        while left:
            data = one.read(min(left, 8 * MIB))
            assert other.read(len(data)) == data
            left -= len(data)
        while data := other.read(8 * MIB):
            assert not any(data)
    assert allocated(target.path) <= allocated(source.path) * 1.01 + 8192
