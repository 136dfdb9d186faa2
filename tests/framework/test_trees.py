"""Nothing below a root is reached through a link, and nothing but a regular file is opened."""

import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.files import mutations, trees
from holdfast.files.trees import TreePath


@pytest.fixture(params=["in one step", "name by name"])
def tree(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root with a folder and a file, beside what lies outside of it."""
    if request.param == "name by name":  # as with a kernel that has no openat2
        monkeypatch.setattr(trees, "_has_openat2", lambda: False)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/file").write_bytes(b"outside")
    root = tmp_path / "root"
    (root / "folder").mkdir(parents=True)
    (root / "folder/file").write_bytes(b"inside")
    return root


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def _link(path: Path) -> None:
    path.symlink_to(path.parents[2] / "outside/file")


def _null(path: Path) -> None:
    os.mknod(path, 0o600 | 0o020000, os.makedev(1, 3))


MAKERS: dict[str, Callable[[Path], object]] = {
    "pipe": os.mkfifo,
    "folder": Path.mkdir,
    "socket": _socket,
    "link": _link,
    "link to nothing": lambda path: path.symlink_to("nothing"),
    "device": _null,
}


@pytest.mark.parametrize("kind", MAKERS)
def test_what_is_no_file_is_not_opened(tree: Path, kind: str) -> None:
    """In the place of a file, anything else is refused at once, to read and to write."""
    if kind == "device" and os.getuid():
        pytest.skip("only root makes devices")
    (tree / "folder/file").unlink()
    MAKERS[kind](tree / "folder/file")
    path = TreePath(tree, ("folder", "file"))
    for use in (
        path.read_bytes,
        path.regular,
        lambda: mutations.open_existing(path),
        lambda: mutations.open_existing(path, writable=True),
    ):
        with pytest.raises(OSError) as caught:  # noqa: PT011 - of one number
            use()
        assert (caught.value.errno, caught.value.filename) == (errno.EUCLEAN, str(path))


def test_a_folder_that_is_a_link_leads_nowhere(tree: Path) -> None:
    """Every change and every look through a link to a folder is refused and changes nothing."""
    outside = tree.parent / "outside"
    (tree / "link").symlink_to(outside)
    folder, inside = TreePath(tree) / "link", TreePath(tree) / "folder"
    uses: tuple[Callable[[], object], ...] = (
        (folder / "file").read_bytes,
        (folder / "file").stat,
        lambda: list(folder.iterdir()),
        lambda: mutations.create_exclusive(folder / "new"),
        lambda: mutations.mkdir(folder / "new"),
        lambda: mutations.rename(folder / "file", inside / "new"),
        lambda: mutations.rename(inside / "file", folder / "new"),
        lambda: mutations.exchange(folder / "file", inside / "file"),
        lambda: mutations.link(folder / "file", inside / "new"),
        lambda: mutations.link(inside / "file", folder / "new"),
        lambda: mutations.unlink(folder / "file"),
        lambda: mutations.rmdir(folder / "file"),
        lambda: mutations.fsync_directory(folder),
        lambda: mutations.remove_tree(folder / "file"),
    )
    for use in uses:
        with pytest.raises(OSError) as caught:  # noqa: PT011 - of one number
            use()
        assert caught.value.errno == errno.EUCLEAN
    assert {path.name: path.read_bytes() for path in outside.iterdir()} == {"file": b"outside"}
    assert (tree / "folder/file").read_bytes() == b"inside"


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/etc/passwd", "a\0b"])
def test_what_is_no_name_leads_nowhere(tree: Path, name: str) -> None:
    """A name that somebody wrote down is one name in one folder, and nothing else."""
    with pytest.raises(OSError, match="is no name in this folder"):
        _ = TreePath(tree) / name


def test_a_root_may_be_reached_through_links(tree: Path) -> None:
    """The root is the user's own path."""
    (tree.parent / "root-link").symlink_to(tree)
    path = TreePath(tree.parent / "root-link") / "folder"
    assert (path / "file").read_bytes() == b"inside"
    mutations.rename(path / "file", path / "other")
    assert [entry.name for entry in path.iterdir()] == ["other"]


def test_a_tree_is_removed_and_its_links_are_not_followed(tree: Path) -> None:
    """Everything below goes, and nothing that its links lead to."""
    (tree / "folder/deep").mkdir()
    (tree / "folder/deep/link").symlink_to(tree.parent / "outside")
    (tree / "folder/to-file").symlink_to(tree.parent / "outside/file")
    mutations.remove_tree(TreePath(tree) / "folder")
    mutations.remove_tree(TreePath(tree) / "folder")
    assert list(tree.iterdir()) == []
    assert (tree.parent / "outside/file").read_bytes() == b"outside"


def test_what_is_larger_than_any_record_is_not_read(tree: Path) -> None:
    """A sparse file of a tebibyte in the place of a record costs no memory."""
    with (tree / "folder/file").open("r+b") as file:
        file.truncate(1 << 40)
    with pytest.raises(OSError, match="more than"):
        (TreePath(tree) / "folder" / "file").read_bytes()


def test_two_names_change_places(tree: Path) -> None:
    """An exchange needs no third name."""
    (tree / "folder/other").write_bytes(b"other")
    folder = TreePath(tree) / "folder"
    mutations.exchange(folder / "file", folder / "other")
    assert (folder / "file").read_bytes() == b"other"
    assert (folder / "other").read_bytes() == b"inside"
