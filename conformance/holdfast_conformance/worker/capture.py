"""What a driver does beside answering: prints, logs, forks, starts programs."""

import logging
import os
import select
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

Scan = Callable[[str, bytes | str], None]
KEPT_BYTES = 2048
"""How much of one step's output is kept; all of it is scanned."""
_CHUNK_BYTES = 1 << 16
_OVERLAP_BYTES = 256
_PROCESS_EVENTS = ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.system", "os.spawn")


class Drain:
    """The far end of a redirected descriptor; a thread empties it when a single step floods it.

    Args:
        place: what a secret seen here is reported as.
        read: the read end of the pipe.
        scan: is shown every byte, with an overlap between chunks.
    """

    def __init__(self, place: str, read: int, scan: Scan) -> None:
        self._place = place
        self._read = read
        self._scan = scan
        self._lock = threading.Lock()
        self._kept = bytearray()
        self._tail = b""
        self._dropped_bytes = 0
        os.set_blocking(read, False)
        threading.Thread(target=self._run, name=f"drain-{place}", daemon=True).start()

    def _run(self) -> None:
        while True:
            select.select([self._read], [], [])
            with self._lock:
                open_still = self._empty()
            if not open_still:
                return

    def _empty(self) -> bool:
        while True:
            try:
                data = os.read(self._read, _CHUNK_BYTES)
            except BlockingIOError:
                return True
            if not data:
                return False
            self._scan(self._place, self._tail + data)
            self._tail = data[-_OVERLAP_BYTES:]
            room = KEPT_BYTES - len(self._kept)
            self._kept += data[:room]
            self._dropped_bytes += max(0, len(data) - room)

    def take(self) -> str:
        """What arrived since the last call, shortened to what is kept."""
        with self._lock:
            self._empty()
            if not self._kept:
                return ""
            text = self._kept.decode(errors="replace")
            if self._dropped_bytes:
                text += f"... and {self._dropped_bytes} bytes more"
            self._kept.clear()
            self._dropped_bytes = 0
            return text


class _LogScan(logging.Handler):
    def __init__(self, scan: Scan) -> None:
        super().__init__(logging.NOTSET)
        self._scan = scan
        self.setFormatter(logging.Formatter("%(name)s %(levelname)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record)
        except (TypeError, ValueError, KeyError):
            text = f"{record.msg} {record.args}"  # a format that does not fit its arguments
        self._scan("log", text)


class Capture:
    """Everything that is watched around a driver in this process; made once.

    Args:
        stdout: the read end of the pipe that descriptor 1 writes to.
        stderr: the read end of the pipe that descriptor 2 writes to.
        scan: looks for secrets.
    """

    def __init__(self, stdout: int, stderr: int, scan: Scan) -> None:
        self._scan = scan
        self._forks = 0
        self._stdout = Drain("stdout", stdout, scan)
        self._stderr = Drain("stderr", stderr, scan)
        os.register_at_fork(after_in_parent=self._count_fork, after_in_child=_leave)
        sys.addaudithook(self._audit)
        _log_the_text_only()
        root = logging.getLogger()
        root.setLevel(logging.DEBUG)
        root.addHandler(_LogScan(scan))

    def _count_fork(self) -> None:
        self._forks += 1

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in _PROCESS_EVENTS:
            self._scan("argv", " ".join(_words(arguments[: 3 if event == "os.spawn" else 2])))

    def take(self) -> tuple[str, bool]:
        """What was printed to standard output, and whether a fork happened, since the last call."""
        _flush(sys.stdout)
        _flush(sys.stderr)
        self._stderr.take()
        forked, self._forks = self._forks > 0, 0
        return self._stdout.take(), forked


def _log_the_text_only() -> None:
    """Have records made without what only their text is not: libraries log ten times a request.

    By the ways that the logging HOWTO of Python names ("Optimization").
    """
    logging._srcfile = None  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - that HOWTO's own words
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


def _flush(stream: Any) -> None:
    """Flush a stream that a driver may have closed or replaced by something else."""
    try:
        stream.flush()
    except (AttributeError, OSError, ValueError):
        return


def _words(arguments: Iterable[Any]) -> Iterable[str]:
    for argument in arguments:
        if isinstance(argument, bytes):
            yield argument.decode(errors="replace")
        elif isinstance(argument, (list, tuple)):
            yield from _words(argument)  # pyright: ignore[reportUnknownArgumentType] - whatever a driver gives
        else:
            yield str(argument)


def _leave() -> None:
    """End a forked copy of the worker at once: it shares the pipes and would speak in our name."""
    os._exit(0)
