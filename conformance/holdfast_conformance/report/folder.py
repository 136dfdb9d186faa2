"""A report's directory, held open: what is in it, and its files, each opened once below it.

A report is a stranger's. Its names are read from the directory itself and not by paths, nothing is
followed, nothing but regular files is opened, and nothing is read beyond what a report can hold.
"""

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

from holdfast.contract.errors import UsageError
from holdfast_conformance.replay_file import REPRO_MAX_BYTES
from holdfast_conformance.report.document import (
    HTML_NAME,
    JUNIT_NAME,
    REPORT_NAME,
    REPRO_NAME,
    TRACES_NAME,
)
from holdfast_conformance.stranger_files import CHUNK_BYTES, Unfit, kind_of, opened, read
from holdfast_conformance.trace_lines import LINE_MAX_BYTES

REPORT_MAX_BYTES: Final = 16 << 20
RENDERING_MAX_BYTES: Final = 64 << 20
TRACE_MAX_BYTES: Final = 256 << 20
ALL_MAX_BYTES: Final = 16 << 30
"""How large a report may be, and how large each of its files."""
ENTRIES_MAX: Final = 200_000
PROBLEMS_MAX: Final = 100
"""After so many things that belong to no report, no more of them are looked for."""

_FOLDERS: Final = (TRACES_NAME, REPRO_NAME)
_NAMES: Final = {
    re.compile(re.escape(REPORT_NAME)): REPORT_MAX_BYTES,
    re.compile(f"{re.escape(JUNIT_NAME)}|{re.escape(HTML_NAME)}"): RENDERING_MAX_BYTES,
    re.compile(rf"{TRACES_NAME}/\d{{6}}-[a-z]+(-load)?\.jsonl", re.ASCII): TRACE_MAX_BYTES,
    re.compile(rf"{REPRO_NAME}/[A-Z]+-\d+\.json", re.ASCII): REPRO_MAX_BYTES,
}
"""The form of every name in a report, and how large what it stands for may be."""


class _HeldOpen:
    """What keeps files open until it is left; a context manager."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self._stack.close()


class ReportFolder(_HeldOpen):
    """A report's directory; a context manager that holds it open.

    Args:
        path: where it is; the path itself may be a link, since the user named it.

    Raises:
        UsageError: it is no folder, or cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(ExitStack())
        self.path = path
        try:
            self._top = self._open_folder(str(path), None, os.O_DIRECTORY)
        except OSError as problem:
            raise UsageError(f"{path}: {problem.strerror}; give a report's directory") from problem
        self._below: dict[str, int] = {}
        self.problems: list[str] = []
        """Why this cannot be a report: names, kinds and sizes that none has."""
        self.names: tuple[str, ...] = ()
        """The files of a report that are here, in byte order of their names."""
        try:
            self._survey()
        except BaseException:
            self._stack.close()
            raise

    def below(self, folder: str) -> tuple[str, ...]:
        """The files in ``traces`` or ``repro``, in byte order of their names."""
        return tuple(name for name in self.names if name.startswith(f"{folder}/"))

    def read(self, name: str) -> bytes:
        """The bytes of one of the report's files.

        Raises:
            Unfit: it is no plain file of such a size.
            UsageError: it cannot be opened.
        """
        folder, base = self._place(name)
        try:
            return read(base, _bytes_max(name) or 0, folder=folder, shown=name)
        except OSError as problem:
            raise UsageError(f"{name}: {problem.strerror}") from problem

    def trace(self, name: str) -> "TraceLines":
        """One of the traces, opened to be read once; errors as those of ``read``."""
        folder, base = self._place(name)
        stack = ExitStack()
        try:
            file = stack.enter_context(opened(base, TRACE_MAX_BYTES, folder=folder, shown=name))
        except OSError as problem:
            raise UsageError(f"{name}: {problem.strerror}") from problem
        return TraceLines(name, file, stack)

    def _open_folder(self, name: str, within: int | None, flags: int) -> int:
        fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | flags, dir_fd=within)
        self._stack.callback(os.close, fd)
        return fd

    def _place(self, name: str) -> tuple[int, str]:
        folder, _, base = name.rpartition("/")
        return (self._below[folder] if folder else self._top), base

    def _survey(self) -> None:
        """Look at every entry, as long as they are few enough."""
        names: list[str] = []
        size_bytes = 0
        for name, kind, entry_bytes in self._entries():
            problem = _misfit(name, kind, entry_bytes)
            if problem:
                self.problems.append(problem)
            else:
                names.append(name)
                size_bytes += entry_bytes
            if len(self.problems) >= PROBLEMS_MAX or len(names) > ENTRIES_MAX:
                self.problems.append("there may be more that belongs to no report")
                break
        if size_bytes > ALL_MAX_BYTES:
            self.problems.append(
                f"it has {size_bytes} bytes, and none has more than {ALL_MAX_BYTES}"
            )
        self.names = tuple(sorted(names, key=os.fsencode))

    def _entries(self) -> Iterator[tuple[str, str, int]]:
        """Each entry with its name, what it is where it is no regular file, and its size."""
        for base, mode, size_bytes in _listed(self._top):
            if base in _FOLDERS and kind_of(mode) == "a folder":
                self._below[base] = self._open_folder(
                    base, self._top, os.O_DIRECTORY | os.O_NOFOLLOW
                )
                continue
            yield base, kind_of(mode), size_bytes
        for folder, descriptor in sorted(self._below.items()):
            for base, mode, size_bytes in _listed(descriptor):
                yield f"{folder}/{base}", kind_of(mode), size_bytes


class TraceLines(_HeldOpen):
    """The lines of one trace, read once, and the digest of all its bytes; a context manager."""

    def __init__(self, name: str, file: BinaryIO, stack: ExitStack) -> None:
        super().__init__(stack)
        self.name = name
        self._file = file
        self._digest = hashlib.sha256()
        self._left_bytes = TRACE_MAX_BYTES

    def __iter__(self) -> Iterator[bytes]:
        number = 0
        while line := self._taken(self._file.readline(LINE_MAX_BYTES + 1)):
            number += 1
            if len(line) > LINE_MAX_BYTES:
                raise Unfit(
                    f"{self.name} line {number} has more than {LINE_MAX_BYTES} bytes, which no "
                    "record has"
                )
            yield line

    def sha256(self) -> str:
        """The digest of the whole file, whether or not all lines were asked for."""
        while self._taken(self._file.read(CHUNK_BYTES)):
            continue
        return self._digest.hexdigest()

    def _taken(self, data: bytes) -> bytes:
        self._left_bytes -= len(data)
        if self._left_bytes < 0:
            raise Unfit(f"{self.name} grew to more than {TRACE_MAX_BYTES} bytes")
        self._digest.update(data)
        return data


def _listed(descriptor: int) -> Iterator[tuple[str, int, int]]:
    """The entries of an open folder: name, mode and size, of links those of the link."""
    with os.scandir(descriptor) as entries:
        for entry in entries:
            status = entry.stat(follow_symlinks=False)
            yield entry.name, status.st_mode, status.st_size


def _misfit(name: str, kind: str, size_bytes: int) -> str:
    """Why an entry belongs to no report, or an empty string; ``kind`` is of what is no file."""
    bytes_max = _bytes_max(name)
    if kind:
        return f"{name} is {kind}; a report holds plain files"
    if bytes_max is None:
        return f"{name} is no file of a report"
    if size_bytes > bytes_max:
        return f"{name} has {size_bytes} bytes, and none has more than {bytes_max}"
    return ""


def _bytes_max(name: str) -> int | None:
    """How large a file of this name may be; nothing where no report has such a name."""
    return next((limit for form, limit in _NAMES.items() if form.fullmatch(name)), None)
