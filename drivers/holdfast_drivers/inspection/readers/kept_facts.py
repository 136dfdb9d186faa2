"""What was computed of files, kept for as long as inode, times and size of a file stay the same.

Nothing that a client of a file server does can bring a ctime back.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

Fact = TypeVar("Fact")
_SETTLED_NS = 50_000_000
"""How old a change must be before its time alone tells it from a later one."""


class KeptFacts(Generic[Fact]):
    """One kind of fact of any number of files.

    Args:
        compute: the fact, from the file.
    """

    def __init__(self, compute: Callable[[Path], Fact]) -> None:
        self._compute = compute
        self._known: dict[Path, tuple[tuple[int, ...], Fact]] = {}

    def of(self, path: Path) -> Fact:
        """What is computed of a file, again when the file has changed."""
        status = path.stat()
        state = (
            status.st_ino,
            status.st_mtime_ns,
            status.st_ctime_ns,
            status.st_size,
            status.st_blocks,
        )
        found = self._known.get(path)
        if found is not None and found[0] == state:
            return found[1]
        computed = self._compute(path)
        if _is_past(status.st_ctime_ns):
            self._known[path] = (state, computed)
        return computed

    def forget(self, folder: Path) -> None:
        """Forget what is known of the files below a folder."""
        for path in [path for path in self._known if path.is_relative_to(folder)]:
            del self._known[path]


def is_settled(path: Path) -> bool:
    """Whether nothing has changed a file or folder for a while."""
    try:
        return _is_past(path.lstat().st_ctime_ns)
    except FileNotFoundError:
        return False


def _is_past(ctime_ns: int) -> bool:
    return ctime_ns < time.time_ns() - _SETTLED_NS
