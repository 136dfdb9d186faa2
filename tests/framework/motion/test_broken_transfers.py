"""Transfers that are killed, and ends that change, go or fail: nothing is lost, one error each."""

import asyncio
import errno
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.contract.errors import (
    Busy,
    Corrupt,
    Denied,
    Unknown,
)
from holdfast.files import mutations
from holdfast.motion.choice import choose
from holdfast.motion.chunk_map import CHUNK_BYTES
from holdfast.motion.mechanism import Mechanism
from holdfast.motion.mechanisms.hashed_copy import HashedCopy
from holdfast.motion.mechanisms.kernel_copy import KernelCopy
from holdfast.motion.mechanisms.relay import Relay
from holdfast.motion.transfer import Progress, Transfer
from moving import (
    COPYING,
    MIB,
    Journal,
    Killed,
    contents,
    file_of,
    move,
    pair_of,
    same,
)


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
