"""Transfers: every mechanism moves the same bytes, and goes on where it was interrupted."""

import asyncio
import errno
import os
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.contract.errors import (
    Busy,
    Corrupt,
    Denied,
    HoldfastError,
    OutOfRange,
    Unknown,
    Unsupported,
)
from holdfast.contract.handles import FileHandle, NativeHandle
from holdfast.files import mutations
from holdfast.motion.block_digests import BLOCK_BYTES, BlockHasher, content_of
from holdfast.motion.choice import choose
from holdfast.motion.chunk_map import CHUNK_BYTES
from holdfast.motion.installed_mechanisms import installed_mechanisms
from holdfast.motion.mechanism import Mechanism, Mover, NotHere, Offer, Pair, Refusal, Side
from holdfast.motion.mechanisms.hashed_copy import HashedCopy
from holdfast.motion.mechanisms.kernel_copy import KernelCopy
from holdfast.motion.mechanisms.reflink import Reflink
from holdfast.motion.mechanisms.relay import Relay
from holdfast.motion.throttle import Limit
from holdfast.motion.transfer import Moved, Progress, Transfer

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


@pytest.mark.parametrize("mechanism", COPYING, ids=lambda each: each.name)
@given(contents(), contents(), st.integers(0, 9999))
@settings(
    deadline=None, max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_the_target_has_the_bytes_of_the_source_and_then_zeroes(
    tmp_path: Path,
    mechanism: Mechanism,
    content: tuple[int, tuple[tuple[int, bytes], ...]],
    before: tuple[int, tuple[tuple[int, bytes], ...]],
    more: int,
) -> None:
    """Whatever the target held before; holes stay holes, and what moved is the data alone."""
    size, runs = content
    source = file_of(tmp_path / "source", size, runs)
    fits = [(offset, data[: size + more - offset]) for offset, data in before[1]]
    stale = [(offset, data) for offset, data in fits if offset < size + more]
    target = file_of(tmp_path / "target", size + more, stale)
    moved = move(pair_of(source, target), mechanism)
    same(source, target)
    assert moved.moved_bytes <= allocated(source.path)
    assert moved.mechanism == mechanism.name


@pytest.mark.parametrize("mechanism", [HashedCopy(), Relay()], ids=lambda each: each.name)
@given(contents(), st.data())
@settings(
    deadline=None, max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_killed_transfer_goes_on_with_the_chunks_that_are_left(
    tmp_path: Path,
    mechanism: Mechanism,
    content: tuple[int, tuple[tuple[int, bytes], ...]],
    data: st.DataObject,
) -> None:
    """No chunk that was entered is moved again, and the digest is that of all of them."""
    size, runs = content
    source = file_of(tmp_path / "source", size, runs)
    target = file_of(tmp_path / "target", size, ())
    pair, journal = pair_of(source, target, digested=True), Journal()
    whole = move(pair, mechanism)
    file_of(tmp_path / "target", size, ())
    journal.killed_after = data.draw(st.integers(1, 4))
    try:
        moved = move(pair, mechanism, journal=journal)
    except Killed:
        entered = len(journal.entries)
        journal.killed_after = None
        moved = move(pair, mechanism, journal=journal)
        assert (moved.resumed_bytes > 0) == (entered > 1)
    assert moved.moved_bytes + moved.resumed_bytes == whole.moved_bytes
    assert moved.content == whole.content
    same(source, target)


def test_the_digest_is_that_of_the_content(tmp_path: Path) -> None:
    """Holes and blocks of zeroes alike, whichever mechanism read it."""
    runs = ((0, bytes(BLOCK_BYTES)), (BLOCK_BYTES + 5, b"x" * 70_000), (FAR - 1, b"e"))
    source = file_of(tmp_path / "source", FAR, runs)
    hasher = BlockHasher(0)
    with Path(source.path).open("rb") as file:
        while part := file.read(MIB):
            hasher.data(memoryview(part))
    expected = content_of(FAR, hasher.ended())
    for mechanism in (HashedCopy(), Relay()):
        target = file_of(tmp_path / mechanism.name, FAR)
        assert move(pair_of(source, target, digested=True), mechanism).content == expected


def test_a_part_of_the_source_is_moved_and_the_rest_is_zero(tmp_path: Path) -> None:
    """Only the first bytes that are named, to the byte."""
    source = file_of(tmp_path / "source", 9 * MIB, ((0, b"a" * (9 * MIB)),))
    for mechanism in COPYING:
        target = file_of(tmp_path / mechanism.name, 9 * MIB, ((8 * MIB, b"old"),))
        move(pair_of(source, target, length=5 * MIB + 7), mechanism)
        content = Path(target.path).read_bytes()
        assert content == b"a" * (5 * MIB + 7) + bytes(4 * MIB - 7)


class Missing(Mechanism):
    """Offers the cheapest way, and finds at the first act that there is none."""

    name: ClassVar[str] = "missing"

    def offer(self, pair: Pair) -> Offer | Refusal:
        return Offer(cost=0, how=f"by magic, from {pair.source.name}")

    def open(self, pair: Pair) -> AbstractAsyncContextManager[Mover]:
        raise NotHere(f"there is no magic in {pair.source.name}")


def test_a_mechanism_that_does_not_work_here_is_told_and_the_next_one_moves(tmp_path: Path) -> None:
    """A fallback is never silent."""
    source = file_of(tmp_path / "source", MIB, ((5, b"abc"),))
    target = file_of(tmp_path / "target", MIB)
    moved = move(pair_of(source, target), Relay(), HashedCopy(), Missing())
    same(source, target)
    assert moved.mechanism == "hashed-copy"
    assert [(each.mechanism, each.reason) for each in moved.fallbacks] == [
        ("missing", "there is no magic in the source")
    ]
    with pytest.raises(Unsupported, match="missing: there is no magic in the source"):
        move(pair_of(source, target), Missing())


def test_the_choice_says_why_of_each_mechanism(tmp_path: Path) -> None:
    """The cheapest first; whoever refuses says why."""
    source = file_of(tmp_path / "source", MIB)
    target = file_of(tmp_path / "target", MIB)
    choice = choose(pair_of(source, target, digested=True), installed_mechanisms())
    assert [each.name for each in choice.kept] == ["hashed-copy", "relay"]
    lines = [each.line() for each in choice.considered]
    assert "kernel-copy: no: nobody reads the bytes, and their digest is wanted" in lines
    assert [each.name for each in choose(pair_of(source, target), installed_mechanisms()).kept] == [
        "reflink",
        "kernel-copy",
        "hashed-copy",
        "relay",
    ]
    native = Pair(
        source=Side(handle=NativeHandle(provider="x", reference="y", size_bytes=1), name="ref"),
        target=Side(handle=target, name="the target"),
        length_bytes=1,
        digested=False,
    )
    with pytest.raises(Unsupported, match="relay: no: ref is a reference that only its store"):
        choose(native, installed_mechanisms())


def test_a_target_that_is_too_small_stays_as_it_was(tmp_path: Path) -> None:
    source = file_of(tmp_path / "source", 2 * MIB, ((0, b"new"),))
    target = file_of(tmp_path / "target", MIB, ((0, b"old"),))
    for mechanism in installed_mechanisms():
        with pytest.raises(OutOfRange, match="do not fit"):
            move(pair_of(source, target), mechanism)
    assert Path(target.path).read_bytes().startswith(b"old")


@pytest.mark.parametrize("mechanism", [HashedCopy(), KernelCopy()], ids=lambda each: each.name)
def test_a_source_that_changes_under_the_copy_is_told(tmp_path: Path, mechanism: Mechanism) -> None:
    """What was moved is no state that the source ever had; moved again it is whole."""
    source = file_of(tmp_path / "source", 40 * MIB, ((0, b"a" * (40 * MIB)),))
    target = file_of(tmp_path / "target", 40 * MIB)

    def change(progress: Progress) -> None:
        if progress.moved_bytes < progress.data_bytes:
            with Path(source.path).open("r+b") as file:
                file.write(b"changed")
            os.utime(source.path, ns=(1, 1))

    pair = pair_of(source, target)
    with pytest.raises(Busy, match="changed while it was read"):
        asyncio.run(Transfer(pair, choose(pair, [mechanism]), tell=change).run())
    move(pair, mechanism)
    same(source, target)


@pytest.mark.parametrize("mechanism", COPYING, ids=lambda each: each.name)
def test_a_read_only_target_is_denied(tmp_path: Path, mechanism: Mechanism) -> None:
    source = file_of(tmp_path / "source", MIB, ((0, b"new"),))
    target = file_of(tmp_path / "target", MIB)
    read_only = FileHandle(path=target.path, size_bytes=MIB, read_only=True)
    with pytest.raises(Denied):
        move(pair_of(source, read_only), mechanism)
    assert not any(Path(target.path).read_bytes())


@pytest.mark.parametrize("mechanism", COPYING, ids=lambda each: each.name)
def test_a_target_that_is_taken_back_ends_the_transfer(
    tmp_path: Path, mechanism: Mechanism
) -> None:
    """Between two pieces the grant ended: nothing more is written, and one typed error says so."""
    source = file_of(tmp_path / "source", 80 * MIB, ((0, b"a" * (80 * MIB)),))
    target = file_of(tmp_path / "target", 80 * MIB)

    def take_back(_: Progress) -> None:
        Path(target.path).unlink(missing_ok=True)

    pair = pair_of(source, target)
    with pytest.raises(Denied):
        asyncio.run(Transfer(pair, choose(pair, [mechanism]), tell=take_back).run())


def test_a_limit_binds_a_transfer_and_progress_ends_whole(tmp_path: Path) -> None:
    """Each piece asks every limit; the last word of progress is all of it."""
    source = file_of(tmp_path / "source", 40 * MIB, ((0, b"a" * (33 * MIB)),))
    target = file_of(tmp_path / "target", 40 * MIB)
    taken: list[int] = []

    class Counting(Limit):
        async def take(self, count: int) -> None:
            taken.append(count)
            await super().take(count)

    seen: list[Progress] = []
    pair = pair_of(source, target)
    transfer = Transfer(pair, choose(pair, [HashedCopy()]), limits=[Counting()], tell=seen.append)
    moved = asyncio.run(transfer.run())
    assert sum(taken) == moved.moved_bytes == 33 * MIB
    assert max(taken) == 16 * MIB
    assert seen[-1].moved_bytes == seen[-1].data_bytes == 33 * MIB


def test_reflink_shares_blocks_or_says_why_not(tmp_path: Path) -> None:
    """Where the file system cannot, the next mechanism copies, and the reason is told."""
    source = file_of(tmp_path / "source", 5 * MIB, ((MIB, b"abc"),))
    target = file_of(tmp_path / "target", 6 * MIB, ((5 * MIB, b"old"),))
    moved = move(pair_of(source, target), Reflink(), KernelCopy())
    same(source, target)
    if moved.mechanism == "kernel-copy":
        assert "cannot share blocks" in moved.fallbacks[0].reason
    else:
        assert moved.moved_bytes == 0


def test_errors_of_either_file_are_typed(tmp_path: Path) -> None:
    """A source that is no file of that size is told as one."""
    source = file_of(tmp_path / "source", MIB)
    longer = FileHandle(path=source.path, size_bytes=2 * MIB)
    target = file_of(tmp_path / "target", 2 * MIB)
    for mechanism in COPYING:
        with pytest.raises(HoldfastError, match="is no file of"):
            move(pair_of(longer, target), mechanism)


def test_a_long_transfer_without_a_journal_is_digested_whole_and_piece_by_piece(
    tmp_path: Path,
) -> None:
    """Nothing is remembered, and yet each piece is told, and the digest has them all."""
    size = CHUNK_BYTES + 16 * MIB
    source = file_of(tmp_path / "source", size, ((CHUNK_BYTES + MIB, b"far"),))
    target = file_of(tmp_path / "target", size)
    journalled = move(pair_of(source, target, digested=True), HashedCopy(), journal=Journal())
    alone = move(pair_of(source, target, digested=True), HashedCopy())
    assert alone.content == journalled.content != content_of(size, ())


def test_another_target_in_its_place_gets_all_of_it(tmp_path: Path) -> None:
    """What was durable in the one that was there before is in no other."""
    size = 2 * CHUNK_BYTES
    source = file_of(tmp_path / "source", size, ((5, b"abc"), (CHUNK_BYTES + 5, b"def")))
    target = file_of(tmp_path / "target", size)
    journal = Journal()
    journal.killed_after = 2
    with pytest.raises(Killed):
        move(pair_of(source, target), HashedCopy(), journal=journal)
    journal.killed_after = None
    (tmp_path / "other").write_bytes(b"")  # so that its inode is another
    Path(target.path).rename(tmp_path / "gone")
    file_of(tmp_path / "target", size)
    move(pair_of(source, target), HashedCopy(), journal=journal)
    same(source, target)


def test_a_checkpoint_that_nobody_understands_begins_anew(tmp_path: Path) -> None:
    source = file_of(tmp_path / "source", 2 * CHUNK_BYTES, ((5, b"abc"),))
    target = file_of(tmp_path / "target", 2 * CHUNK_BYTES)
    journal = Journal()
    journal.entries.append(b"of another version")
    assert move(pair_of(source, target), HashedCopy(), journal=journal).resumed_bytes == 0
    same(source, target)


def test_after_a_flush_that_failed_no_chunk_is_entered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system tells of lost bytes once, to whichever stream asks first."""
    runs = tuple((number * CHUNK_BYTES, b"x" * 4096) for number in range(4))
    source = file_of(tmp_path / "source", 4 * CHUNK_BYTES, runs)
    target = file_of(tmp_path / "target", 4 * CHUNK_BYTES)
    journal, flushed = Journal(), mutations.fsync_file

    def failing(file: mutations.OpenFile) -> None:
        monkeypatch.setattr(mutations, "fsync_file", flushed)
        raise OSError(errno.EIO, "lost", str(file.path))

    monkeypatch.setattr(mutations, "fsync_file", failing)
    with pytest.raises(Unknown):
        move(pair_of(source, target), Relay(), journal=journal)
    assert len(journal.entries) == 1  # the beginning alone


def test_a_source_that_cannot_be_read_is_told_as_the_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel names neither of two files; a bad source is no doubt about the target."""
    source = file_of(tmp_path / "source", MIB, ((5, b"abc"),))
    target = file_of(tmp_path / "target", MIB)

    def broken(*_: object) -> int:
        raise OSError(errno.EIO, "bad sector")

    monkeypatch.setattr(os, "copy_file_range", broken)
    with pytest.raises(Unknown, match="target"):  # the source can be read: it is the target's
        move(pair_of(source, target), KernelCopy())
    monkeypatch.setattr(os, "preadv", broken)
    with pytest.raises(Corrupt, match="source"):
        move(pair_of(source, target), KernelCopy())


def test_what_moves_no_bytes_waits_for_no_limit(tmp_path: Path) -> None:
    """Blocks are shared, or it is found that they cannot be, without asking how fast."""
    source = file_of(tmp_path / "source", MIB, ((5, b"abc"),))
    target = file_of(tmp_path / "target", MIB)
    taken: list[int] = []

    class Counting(Limit):
        async def take(self, count: int) -> None:
            taken.append(count)

    pair = pair_of(source, target)
    transfer = Transfer(pair, choose(pair, [Reflink(), KernelCopy()]), limits=[Counting()])
    moved = asyncio.run(transfer.run())
    assert sum(taken) == moved.moved_bytes
