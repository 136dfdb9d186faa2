"""Block access to files: ranges, holes, revoked grants, full and missing places."""

import asyncio
import errno
import fcntl
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.contract.errors import (
    Corrupt,
    Denied,
    DriverError,
    Exhausted,
    OutOfRange,
    Unavailable,
)
from holdfast.contract.handles import FileHandle
from holdfast.data import BlockIO, Extent, open_block_io
from holdfast.data.extents import subtract
from holdfast.files.mutations import open_existing

T = TypeVar("T")
MIB = 1 << 20


def make(path: Path, size_bytes: int) -> FileHandle:
    with path.open("xb") as file:
        file.truncate(size_bytes)
    return FileHandle(path=str(path), size_bytes=size_bytes)


def with_io(handle: FileHandle, use: Callable[[BlockIO], Awaitable[T]]) -> T:
    async def main() -> T:
        async with open_block_io(handle) as content:
            return await use(content)

    return asyncio.run(main())


def test_what_was_written_is_read_and_the_rest_is_zero(tmp_path: Path) -> None:
    """Bytes come back where they were written; everything else reads as zeroes."""

    async def use(content: BlockIO) -> bytes:
        await content.write_at(MIB, b"abc")
        await content.flush()
        return await content.read_at(MIB - 1, 5)

    assert with_io(make(tmp_path / "v", 4 * MIB), use) == b"\0abc\0"


def test_extents_are_where_data_is(tmp_path: Path) -> None:
    """A hole is no extent, and a discarded range becomes one again."""

    async def use(content: BlockIO) -> tuple[tuple[Extent, ...], tuple[Extent, ...]]:
        await content.write_at(MIB, bytes(4096) + b"x" * 4096)
        before = await content.extents()
        await content.discard(MIB, 4096)
        return before, await content.extents()

    before, after = with_io(make(tmp_path / "v", 1 << 40), use)
    assert before == (Extent(MIB, 8192),)
    assert after == (Extent(MIB + 4096, 4096),)


@pytest.mark.parametrize(("offset", "length"), [(0, 4097), (4096, 1), (-1, 1), (1 << 62, 1)])
def test_past_the_end_is_out_of_range(tmp_path: Path, offset: int, length: int) -> None:
    """A range that is not wholly inside the volume is refused, for reads, writes and discards."""

    async def use(content: BlockIO) -> list[type[BaseException]]:
        calls = (
            content.read_at(offset, length),
            content.write_at(offset, b"x" * length),
            content.discard(offset, length),
        )
        answers = await asyncio.gather(*calls, return_exceptions=True)
        return [type(answer) for answer in answers if isinstance(answer, BaseException)]

    assert with_io(make(tmp_path / "v", 4096), use) == [OutOfRange] * 3


def test_a_read_only_handle_reads_and_does_not_write(tmp_path: Path) -> None:
    """Writing and discarding through a read-only handle is ``Denied``; reading works."""
    made = make(tmp_path / "v", 4096)

    async def use(content: BlockIO) -> bytes:
        for call in (content.write_at(0, b"x"), content.discard(0, 1)):
            with pytest.raises(Denied):
                await call
        await content.flush()
        return await content.read_at(0, 1)

    handle = FileHandle(path=made.path, size_bytes=4096, read_only=True)
    assert with_io(handle, use) == b"\0"


@pytest.mark.parametrize("replaced", [False, True])
def test_a_handle_whose_name_is_gone_is_denied(tmp_path: Path, replaced: bool) -> None:
    """Once the handle's name is gone, or names another file, every call is ``Denied``."""
    made = make(tmp_path / "v", 4096)

    async def use(content: BlockIO) -> list[type[BaseException]]:
        (tmp_path / "v").rename(tmp_path / "moved")
        if replaced:
            make(tmp_path / "v", 4096)
        calls = (
            content.read_at(0, 1),
            content.write_at(0, b"x"),
            content.flush(),
            content.discard(0, 1),
            content.extents(),
        )
        answers = await asyncio.gather(*calls, return_exceptions=True)
        return [type(answer) for answer in answers if isinstance(answer, BaseException)]

    assert with_io(made, use) == [Denied] * 5


def test_a_store_that_cannot_be_reached_is_unavailable(tmp_path: Path) -> None:
    """When the folders themselves are gone nothing is known of the grant: ``Unavailable``."""
    (tmp_path / "store" / "grants").mkdir(parents=True)
    made = make(tmp_path / "store" / "grants" / "v", 4096)

    async def use(content: BlockIO) -> bytes:
        (tmp_path / "store").rename(tmp_path / "away")
        with pytest.raises(Unavailable):
            await content.read_at(0, 1)
        (tmp_path / "away").rename(tmp_path / "store")
        return await content.read_at(0, 1)

    assert with_io(made, use) == b"\0"


def test_a_truncated_file_is_corrupt(tmp_path: Path) -> None:
    """A file that is shorter than its handle says is ``Corrupt``, at opening and afterwards."""
    made = make(tmp_path / "v", 8192)

    async def use(content: BlockIO) -> None:
        os.truncate(made.path, 4096)
        with pytest.raises(Corrupt):
            await content.read_at(0, 8192)

    with_io(made, use)
    with pytest.raises(Corrupt):
        with_io(made, use)


@pytest.mark.parametrize("make_other", [Path.mkdir, os.mkfifo])
def test_what_is_no_file_is_corrupt(tmp_path: Path, make_other: Callable[[Path], None]) -> None:
    """A folder or a pipe is refused at once; nothing waits for the other end of a pipe."""
    make_other(tmp_path / "v")
    handle = FileHandle(path=str(tmp_path / "v"), size_bytes=1, read_only=True)
    with pytest.raises(Corrupt):
        with_io(handle, BlockIO.flush)


@pytest.mark.parametrize(
    ("number", "expected"), [(errno.ENOSPC, Exhausted), (errno.EDQUOT, Exhausted)]
)
def test_a_full_disk_is_exhausted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, expected: type[DriverError]
) -> None:
    """A write that finds no space is ``Exhausted`` and names the file."""
    made = make(tmp_path / "v", 4096)

    def full(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    async def use(content: BlockIO) -> str:
        monkeypatch.setattr(os, "pwrite", full)
        with pytest.raises(expected) as caught:
            await content.write_at(0, b"x")
        return caught.value.cause

    assert with_io(made, use) == f"{made.path}: {os.strerror(number)}"


def test_a_call_waits_for_whoever_needs_the_file_quiet(tmp_path: Path) -> None:
    """While a driver holds the file's lock alone, a write is not done; afterwards it is."""
    made = make(tmp_path / "v", 4096)

    async def use(content: BlockIO) -> tuple[bytes, bytes]:
        with open_existing(Path(made.path)) as alone:
            fcntl.flock(alone.fd, fcntl.LOCK_EX)
            writing = asyncio.ensure_future(content.write_at(0, b"x"))
            waiting = await asyncio.get_running_loop().run_in_executor(None, _waiters, made.path)
            assert waiting == 1
            seen = os.read(alone.fd, 1)
        await writing
        return seen, await content.read_at(0, 1)

    assert with_io(made, use) == (b"\0", b"x")


def _waiters(path: str) -> int:
    """How many wait for a lock on the file, once there are any."""
    inode = f":{Path(path).stat().st_ino} "
    while True:
        lines = Path("/proc/locks").read_text().splitlines()
        waiting = sum("->" in line and inode in line for line in lines)
        if waiting:
            return waiting


def test_extents_are_subtracted() -> None:
    """What is left is exactly what no other extent covers."""
    extents = (Extent(0, 10), Extent(20, 10))
    assert subtract(extents, ()) == extents
    assert subtract(extents, (Extent(0, 30),)) == ()
    assert subtract(extents, (Extent(2, 3), Extent(9, 12))) == (
        Extent(0, 2),
        Extent(5, 4),
        Extent(21, 9),
    )


@given(
    *(st.sets(st.integers(0, 60), max_size=12).map(sorted) for _ in range(2)),
)
def test_what_is_left_is_what_no_other_extent_covers(one: list[int], other: list[int]) -> None:
    """Byte for byte, and in ascending order."""

    def extents(borders: list[int]) -> tuple[Extent, ...]:
        pairs = zip(borders[::2], borders[1::2], strict=False)
        return tuple(Extent(start, end - start) for start, end in pairs)

    def covered(found: tuple[Extent, ...]) -> list[int]:
        spans = (range(each.offset_bytes, each.offset_bytes + each.length_bytes) for each in found)
        return [byte for span in spans for byte in span]

    left = covered(subtract(extents(one), extents(other)))
    assert left == sorted(set(covered(extents(one))) - set(covered(extents(other))))
