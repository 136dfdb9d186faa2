"""The rules by which a power cut takes away what was not synced."""

from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.files import kernel_copies, mutations
from holdfast_conformance.power_cut import PowerCut, Recorder


def survivors(tmp_path: Path, work: Callable[[Path], None]) -> dict[str, bytes]:
    """What is certain to be left of the work, in a folder that held ``old`` before."""
    root, scratch = tmp_path / "root", tmp_path / "scratch"
    for folder in (root, root / "sub", scratch):
        folder.mkdir()
    (root / "old").write_bytes(b"old")
    cut, recorder = PowerCut(root, scratch), Recorder()
    with mutations.observe(recorder):
        work(root)
    for mutation in recorder.mutations:
        cut.apply(mutation)
    left = tmp_path / "left"
    cut.write_survivors(left)
    found = [path for path in left.rglob("*") if path.is_file()]
    return {str(path.relative_to(left)): path.read_bytes() for path in found}


def new_file(root: Path, *, sync: bool) -> None:
    with mutations.create_exclusive(root / "new") as file:
        mutations.write_at(file, 0, b"12345678")
        mutations.truncate(file, 6)
        if sync:
            mutations.fsync_file(file)


def nothing_synced(root: Path) -> None:
    new_file(root, sync=False)
    mutations.unlink(root / "old")


def only_bytes_synced(root: Path) -> None:
    new_file(root, sync=True)


def only_the_name_synced(root: Path) -> None:
    new_file(root, sync=False)
    mutations.fsync_directory(root)


def both_synced(root: Path) -> None:
    new_file(root, sync=True)
    mutations.fsync_directory(root)
    with mutations.open_existing(root / "new", writable=True) as file:
        mutations.write_at(file, 0, b"lost")


def moved(root: Path) -> None:
    mutations.rename(root / "old", root / "sub" / "moved")


def moved_and_synced(root: Path) -> None:
    moved(root)
    mutations.fsync_directory(root / "sub")


def linked_and_written(root: Path) -> None:
    mutations.link(root / "old", root / "sub" / "also")
    mutations.fsync_directory(root / "sub")
    with mutations.open_existing(root / "sub" / "also", writable=True) as file:
        mutations.write_at(file, 0, b"new")
        mutations.fsync_file(file)


def copied(root: Path) -> None:
    with (
        mutations.open_existing(root / "old") as source,
        mutations.create_exclusive(root / "copy") as target,
    ):
        mutations.truncate(target, 4)
        kernel_copies.copy_range(source, 0, target, 1, 3)
        mutations.punch_hole(target, 2, 1)
        mutations.fsync_file(target)
    mutations.fsync_directory(root)


def removed(root: Path) -> None:
    mutations.remove_tree(root / "sub")
    mutations.remove_tree(root / "old")
    mutations.fsync_directory(root)


def published(root: Path) -> None:
    mutations.write_new(root / "sub" / "staged", b"published")
    mutations.publish(root / "sub" / "staged", root / "old")


def exchanged(root: Path) -> None:
    mutations.write_new(root / "spare", b"spare")
    mutations.fsync_directory(root)
    mutations.exchange(root / "spare", root / "old")


def exchanged_and_synced(root: Path) -> None:
    exchanged(root)
    mutations.fsync_directory(root)


@pytest.mark.parametrize(
    ("work", "expected"),
    [
        (nothing_synced, {"old": b"old"}),
        (only_bytes_synced, {"old": b"old"}),
        (only_the_name_synced, {"old": b"old", "new": b""}),
        (both_synced, {"old": b"old", "new": b"123456"}),
        (moved, {"old": b"old"}),
        (moved_and_synced, {"sub/moved": b"old"}),
        (linked_and_written, {"old": b"new", "sub/also": b"new"}),
        (copied, {"old": b"old", "copy": b"\0o\0d"}),
        (removed, {}),
        (published, {"old": b"published"}),
        (exchanged, {"old": b"old", "spare": b"spare"}),
        (exchanged_and_synced, {"old": b"spare", "spare": b"old"}),
    ],
)
def test_a_power_cut_leaves_what_was_synced(
    tmp_path: Path, work: Callable[[Path], None], expected: dict[str, bytes]
) -> None:
    """Bytes need the file's sync, names the folder's; a durable new name ends the old one."""
    assert survivors(tmp_path, work) == expected


def test_without_an_observer_nothing_is_described(tmp_path: Path) -> None:
    """In production a mutation costs its system call: it is not even described."""

    def describe() -> mutations.Mutation:
        raise AssertionError

    mutations.mutation(describe, (tmp_path / "made").mkdir)
    assert (tmp_path / "made").is_dir()


def test_what_the_system_refuses_is_not_recorded(tmp_path: Path) -> None:
    """An observer hears of the attempt before it, and of nothing after it failed."""
    recorder = Recorder()
    with mutations.observe(recorder), pytest.raises(FileExistsError):
        mutations.mkdir(tmp_path)
    assert recorder.mutations == []
