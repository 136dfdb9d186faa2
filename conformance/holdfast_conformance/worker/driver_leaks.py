"""What a driver leaves running after it was closed: threads, and processes of its own."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import thread as pools
from pathlib import Path

from holdfast_conformance.processes import children

_LOOKS = 20
_LOOK_S = 0.05
"""What is just about to end gets a second for it: a false alarm is worse than a late one."""
_WATCHERS = ("asyncio-waitpid-", "waitpid-")
"""Threads in which the event loop itself waits for processes."""


class DriverLeaks:
    """Compares what runs in and below this process with what ran when this was made."""

    def __init__(self) -> None:
        self._threads = _threads()
        self._processes = _processes()

    async def told(self, ours: Callable[[], frozenset[int]] = frozenset) -> str:
        """What has come to stay, for a person; empty when nothing has.

        Args:
            ours: processes that are not the driver's.
        """
        threads = processes = 0
        for _ in range(_LOOKS):
            threads = len(_threads() - self._threads)
            processes = len(_processes() - self._processes - ours())
            if not threads and not processes:
                return ""
            await asyncio.sleep(_LOOK_S)
        return f"after it was closed, processes left running: {processes}, threads: {threads}"


def _threads() -> frozenset[threading.Thread]:
    """The threads that run, without those of pools, which idle until the process ends."""
    pooled = pools._threads_queues  # noqa: SLF001 - the only list of them  # pyright: ignore[reportPrivateUsage]
    return frozenset(
        thread
        for thread in threading.enumerate()
        if thread not in pooled and not thread.name.startswith(_WATCHERS)
    )


def _processes() -> frozenset[int]:
    """The children that run, adopted ones included."""
    return frozenset(pid for pid in children() if _runs(pid))


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return False  # It ended meanwhile.
    return state not in {"Z", "X"}
