"""Transfers: every mechanism moves the same bytes, and says why where it cannot."""

import asyncio
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.contract.errors import (
    Denied,
    HoldfastError,
    OutOfRange,
    Unsupported,
)
from holdfast.contract.handles import FileHandle, NativeHandle
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
from holdfast.motion.transfer import Progress, Transfer
from moving import (
    COPYING,
    FAR,
    MIB,
    Journal,
    allocated,
    contents,
    file_of,
    move,
    pair_of,
    same,
)


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


@pytest.mark.parametrize("mechanism", COPYING, ids=lambda each: each.name)
def test_a_read_only_target_is_denied(tmp_path: Path, mechanism: Mechanism) -> None:
    source = file_of(tmp_path / "source", MIB, ((0, b"new"),))
    target = file_of(tmp_path / "target", MIB)
    read_only = FileHandle(path=target.path, size_bytes=MIB, read_only=True)
    with pytest.raises(Denied):
        move(pair_of(source, read_only), mechanism)
    assert not any(Path(target.path).read_bytes())


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
