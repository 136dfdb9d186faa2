"""The processes that supervisors of this process started, and how long one may take to end."""

import os
import signal
import subprocess
import threading
from collections.abc import Callable
from typing import Final

from holdfast_conformance.processes import children, end_adopted, end_processes

_OWN: set[int] = set()
_STARTING = threading.Lock()
"""Held while one is started, and while what is none of them is ended: lanes are threads."""
LEAVE_S: Final = 10.0
"""How long one may take to say that it leaves."""
CLEAN_UP_S: Final = 120.0
"""How long a testbed may take to clean up, which is on its way: to cut it off leaves something."""


class OwnProcess:
    """A process in a session of its own, with everything that carries its mark or is left of it.

    Args:
        mark: what it and all that it starts carry in their environment.
        start: starts it.
    """

    def __init__(self, mark: str, start: Callable[[], "subprocess.Popen[bytes]"]) -> None:
        self._mark = mark
        self._spared = frozenset(children())
        with _STARTING:
            self.process = start()
            _OWN.add(self.process.pid)

    def cancel(self) -> None:
        """Have it end, also while its testbed still starts, once that has cleaned up."""
        self.process.terminate()

    def cancelled(self) -> bool:
        """Whether it ended by itself after that, within the time that a testbed has."""
        try:
            self.process.wait(CLEAN_UP_S)
        except subprocess.TimeoutExpired:
            return False
        else:
            return True
        finally:
            self.kill()

    def kill(self) -> None:
        """End it and everything that carries its mark or was adopted, at once."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        end_processes(self._mark, self._spared)
        with _STARTING:
            _OWN.discard(self.process.pid)
            end_adopted(self._spared | _OWN)
