"""What a power cut would leave: a tree of files rebuilt from the record of its mutations.

A crash test records mutations with ``files.observe`` and applies them here one by one. At any point
``write_survivors`` writes the tree that is certain to be there after a cut at that moment: the
bytes of each file as of its last ``fsync_file``, the names in each folder as of its last
``fsync_directory``, and nothing else. A rename is one step: once its new name is durable, the old
one is gone.
"""

import os
from pathlib import Path

from holdfast.data.sparse import clone_or_copy
from holdfast.files import mutations
from holdfast.files.mutations import Mutation, MutationKind


class Recorder:
    """An observer that keeps every mutation that happened, in order."""

    def __init__(self) -> None:
        self.mutations: list[Mutation] = []

    def before(self, mutation: Mutation) -> None:
        """Nothing has happened yet."""

    def after(self, mutation: Mutation) -> None:
        """Keep it."""
        self.mutations.append(mutation)


class _File:
    """A file's bytes as they are and as they would survive, each in a scratch file or nowhere."""

    def __init__(self, path: Path) -> None:
        self.now = path
        self.durable = path.with_suffix(".durable")
        path.touch()

    def sync(self) -> None:
        _copy(self.now, self.durable)

    def survive(self, target: Path, written: dict["_File", Path]) -> None:
        if self in written:
            os.link(written[self], target)
        elif self.durable.exists():
            _copy(self.durable, target)
        else:
            target.touch()
        written[self] = target


class _Folder:
    """A folder's names as they are and as they would survive."""

    def __init__(self) -> None:
        self.now: dict[str, _File | _Folder] = {}
        self.durable: dict[str, _File | _Folder] = {}

    def survive(self, target: Path, written: dict[_File, Path]) -> None:
        target.mkdir()
        for name, node in self.durable.items():
            node.survive(target / name, written)


class PowerCut:
    """The file system below ``root``, whose content so far is taken to be durable.

    Args:
        root: the folder that mutations are about; those elsewhere are ignored.
        scratch: an existing folder for the bytes.
    """

    def __init__(self, root: Path, scratch: Path) -> None:
        self._root = root
        self._scratch = scratch
        self._count = 0
        self._top = _Folder()
        self._folders = [self._top]
        self._take(root, self._top, {})

    def _take(self, path: Path, folder: _Folder, known: dict[int, _File]) -> None:
        for entry in path.iterdir():
            inode = entry.stat().st_ino
            if entry.is_dir():
                made = self._new_folder()
                self._take(entry, made, known)
                folder.now[entry.name] = made
            else:
                if inode not in known:
                    known[inode] = self._new_file()
                    _copy(entry, known[inode].now)
                    known[inode].sync()
                folder.now[entry.name] = known[inode]
        folder.durable = dict(folder.now)

    def _new_file(self) -> _File:
        self._count += 1
        return _File(self._scratch / f"{self._count}.now")

    def _new_folder(self) -> _Folder:
        made = _Folder()
        self._folders.append(made)
        return made

    def write_survivors(self, target: Path) -> None:
        """Write what is certain to be there after a cut now; ``target`` must not exist."""
        self._top.survive(target, {})

    def apply(self, mutation: Mutation) -> None:
        """Do what a mutation did."""
        path = Path(mutation.path)
        if not path.is_relative_to(self._root):
            return
        match mutation.kind:
            case MutationKind.FSYNC_DIRECTORY:
                self._sync_folder(self._folder(path))
            case MutationKind.FSYNC_FILE:
                self._file(path).sync()
            case MutationKind.CREATE | MutationKind.MKDIR:
                new = self._new_file if mutation.kind is MutationKind.CREATE else self._new_folder
                self._folder(path.parent).now[path.name] = new()
            case MutationKind.UNLINK | MutationKind.RMDIR:
                del self._folder(path.parent).now[path.name]
            case MutationKind.RENAME | MutationKind.LINK:
                target = Path(mutation.target)
                node = self._folder(path.parent).now[path.name]
                if mutation.kind is MutationKind.RENAME:
                    del self._folder(path.parent).now[path.name]
                self._folder(target.parent).now[target.name] = node
            case MutationKind.EXCHANGE:
                target = Path(mutation.target)
                one, two = self._folder(path.parent).now, self._folder(target.parent).now
                one[path.name], two[target.name] = two[target.name], one[path.name]
            case _:
                self._change(self._file(path), mutation)

    def _change(self, file: _File, mutation: Mutation) -> None:
        with mutations.open_existing(file.now, writable=True) as opened:
            match mutation.kind:
                case MutationKind.WRITE | MutationKind.COPY:
                    mutations.write_at(opened, mutation.offset_bytes, mutation.data)
                case MutationKind.PUNCH:
                    mutations.punch_hole(opened, mutation.offset_bytes, mutation.length_bytes)
                case MutationKind.CLONE:
                    source = self._file(Path(mutation.source)).now
                    with mutations.open_existing(source) as cloned:
                        mutations.truncate(opened, 0)
                        clone_or_copy(cloned, opened, cloned.size_bytes())
                case _:
                    mutations.truncate(opened, mutation.length_bytes)

    def _sync_folder(self, folder: _Folder) -> None:
        come = [node for name, node in folder.now.items() if folder.durable.get(name) is not node]
        folder.durable = dict(folder.now)
        for other in self._folders if come else ():
            other.durable = {
                name: node
                for name, node in other.durable.items()
                if node not in come or other.now.get(name) is node
            }

    def _node(self, path: Path) -> _File | _Folder:
        node: _File | _Folder = self._top
        for name in path.relative_to(self._root).parts:
            if not isinstance(node, _Folder):
                raise NotADirectoryError(path)
            node = node.now[name]
        return node

    def _folder(self, path: Path) -> _Folder:
        node = self._node(path)
        if not isinstance(node, _Folder):
            raise NotADirectoryError(path)
        return node

    def _file(self, path: Path) -> _File:
        node = self._node(path)
        if not isinstance(node, _File):
            raise IsADirectoryError(path)
        return node


def _copy(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    with mutations.open_existing(source) as read, mutations.create_exclusive(target) as written:
        clone_or_copy(read, written, read.size_bytes())
