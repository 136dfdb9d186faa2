"""An NFS export that is a plain folder: no server, and a hook before each request."""

import contextlib
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from holdfast_drivers.nfs.libnfs import Client, File, Space, Status


def undisturbed(verb: str, path: str) -> None:
    """Nothing happens before a request."""


class FolderFile(File):
    """An open file of a folder."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
        return os.pread(self._descriptor, length_bytes, offset_bytes)

    def write_at(self, offset_bytes: int, data: bytes) -> None:
        os.pwrite(self._descriptor, data, offset_bytes)

    def sync(self) -> None:
        os.fsync(self._descriptor)

    def status(self) -> Status:
        return _status(os.fstat(self._descriptor))


class FolderClient(Client):
    """One connection; ``before`` is told each request, as a verb of files and its path."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.changing = False
        self.before: Callable[[str, str], object] = undisturbed

    def begin(self) -> None:
        self.changing = False

    def close(self) -> None:
        """Nothing is open."""

    def _at(self, verb: str, path: str) -> Path:
        self.before(verb, path)
        return self._place(path)

    def _place(self, path: str) -> Path:
        return self._root / path.lstrip("/")

    @contextlib.contextmanager
    def open(self, path: str, flags: int = os.O_RDONLY) -> Iterator[File]:
        descriptor = os.open(
            self._at("create" if flags & os.O_CREAT else "open", path), flags, 0o600
        )
        try:
            yield FolderFile(descriptor)
        finally:
            os.close(descriptor)

    def status(self, path: str) -> Status:
        return _status(self._at("status", path).lstat())

    def entries(self, path: str) -> dict[str, Status]:
        return {one.name: _status(one.lstat()) for one in self._at("entries", path).iterdir()}

    def mkdir(self, path: str) -> None:
        self._at("mkdir", path).mkdir()

    def rmdir(self, path: str) -> None:
        self._at("rmdir", path).rmdir()

    def unlink(self, path: str) -> None:
        self._at("unlink", path).unlink()

    def rename(self, old: str, new: str) -> None:
        self._at("rename", old).rename(self._place(new))

    def link(self, old: str, new: str) -> None:
        self._place(new).hardlink_to(self._at("link", old))

    def space(self, path: str) -> Space:
        del path
        return Space(total_bytes=1 << 30, free_bytes=1 << 29)


def _status(found: os.stat_result) -> Status:
    return Status(
        size_bytes=found.st_size,
        used_bytes=found.st_blocks * 512,
        is_folder=stat.S_ISDIR(found.st_mode),
        is_file=stat.S_ISREG(found.st_mode),
    )
