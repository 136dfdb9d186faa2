"""The process of a testbed: it outlives the workers that it serves one after the other."""

import os
import select
import socket
import subprocess
import tempfile
from typing import BinaryIO, cast

from holdfast.concurrency.interpreter import python_command, python_environment
from holdfast_conformance.canary import without_canaries
from holdfast_conformance.processes import RUN_VARIABLE, backend_mark
from holdfast_conformance.protocol import BACKEND_HEARD, BACKEND_LEAVES, Setup
from holdfast_conformance.supervision.own_processes import CLEAN_UP_S, LEAVE_S, OwnProcess

_TAIL_BYTES = 600
_END_S = 1.0
"""How long a process that refuses may still be about to end by itself."""


class BackendProcess(OwnProcess):
    """A testbed that runs, or starts, apart from every driver.

    Args:
        setup: of the workers that it is for.
    """

    def __init__(self, setup: Setup) -> None:
        self._control, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # What it prints is nobody's evidence; its end is told where it dies.
        self._said = cast("BinaryIO", tempfile.TemporaryFile())  # noqa: SIM115 - kill() closes it
        self._lent = self._heard = 0
        super().__init__(backend_mark(setup.run), lambda: self._started(setup, far.fileno()))
        far.close()

    def _started(self, setup: Setup, control: int) -> "subprocess.Popen[bytes]":
        arguments = (str(control), str(os.getpid()), setup.provider, setup.testbed, setup.run)
        return subprocess.Popen(  # noqa: S603 - our own module, with names that its user gave
            python_command("-m", "holdfast_conformance.testbed_process", *arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._said,
            pass_fds=(control,),
            start_new_session=True,
            env={**python_environment(), RUN_VARIABLE: self._mark},
        )

    def serve(self, worker: socket.socket, patience_s: float) -> bool:
        """Serve the worker at the other end of a socket, and no other one any more.

        False when the process is gone or does not take it. The first worker may come while the
        testbed still starts, and finds out by itself when that is over.
        """
        try:
            socket.send_fds(self._control, [b"w"], [worker.fileno()])
        except OSError:
            return False
        self._lent += 1
        return self._lent == 1 or self._says(BACKEND_HEARD, self._lent, patience_s)

    def _says(self, what: bytes, times: int, patience_s: float) -> bool:
        """Whether it says something, having been asked for it so often, before the patience ends.

        Each silence counts for itself: it may have to end the fault of a worker that was killed.
        """
        self._control.settimeout(patience_s)
        try:
            while said := self._control.recv(1):
                self._heard += said == BACKEND_HEARD
                if said == what and (what != BACKEND_HEARD or self._heard >= times):
                    return True
        except OSError:
            return False
        return False  # it ended

    def close(self) -> bool:
        """Have it clean up and end; false when it had to be killed, or could not clean up."""
        try:
            self._control.shutdown(socket.SHUT_WR)
            if not self._says(BACKEND_LEAVES, 1, LEAVE_S):
                return False
            return self.process.wait(CLEAN_UP_S) == 0
        except (OSError, subprocess.TimeoutExpired):
            return False
        finally:
            self.kill()

    def last_words(self) -> str:
        """What a process that ended by itself printed last; empty while it runs."""
        # Who serves a worker sees its connection end before the process can be waited for, and
        # its own end of the control socket may be the last thing that goes.
        end = select.poll()
        end.register(self._control, 0)
        if self.process.poll() is None and not end.poll(_END_S * 1000):
            return ""
        try:
            self.process.wait(LEAVE_S)
        except subprocess.TimeoutExpired:
            return ""
        size_bytes = self._said.seek(0, os.SEEK_END)
        self._said.seek(max(0, size_bytes - _TAIL_BYTES))
        text = " ".join(without_canaries(self._said.read()).decode(errors="replace").split())
        return f"; it said: {text}" if text else ""

    def kill(self) -> None:
        """End it and everything that carries its mark or was adopted, at once."""
        super().kill()
        self._control.close()
        self._said.close()
