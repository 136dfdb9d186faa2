"""One worker process and its pipes: starting it, listening to it, ending it."""

import os
import select
import signal
import socket
import subprocess
import time

import msgspec

from holdfast.concurrency.interpreter import python_command, python_environment
from holdfast_conformance.canary import without_canaries
from holdfast_conformance.processes import RUN_VARIABLE, adopt_orphans
from holdfast_conformance.protocol import (
    REPORT_MAX_BYTES,
    Channel,
    Command,
    Leaving,
    Quit,
    Report,
    Stop,
    decode_report,
    encode,
    enlarge_pipe,
)
from holdfast_conformance.supervision.own_processes import CLEAN_UP_S, LEAVE_S, OwnProcess
from holdfast_conformance.supervision.testbed_launch import BackendProcess
from holdfast_conformance.trace import BrokenKind

TICK_S = 0.1
_TICK_MAX_S = 0.3
"""A tick that took longer shows a stalled machine, and the driver was stalled with it."""
_TAIL_BYTES = 600


class WorkerLost(Exception):
    """The worker is gone or does not answer."""

    def __init__(self, how: BrokenKind, detail: str) -> None:
        super().__init__(detail)
        self.how = how
        self.detail = detail


class WorkerProcess(OwnProcess):
    """One worker process and its pipes.

    Args:
        run: the run whose mark the process carries.
    """

    def __init__(self, run: str) -> None:
        adopt_orphans()
        commands, command_end = os.pipe()
        report_end, reports = os.pipe()
        stdout, stdout_end = os.pipe()
        stderr, stderr_end = os.pipe()
        for fd in (reports, stdout_end, stderr_end):
            enlarge_pipe(fd)
        self._ends: tuple[int, ...] = (command_end, report_end, stdout, stderr)
        self._stderr = stderr
        self._channel = Channel(report_end, command_end, REPORT_MAX_BYTES)
        # Unlike select, poll takes descriptors of any number.
        self._arrivals = select.poll()
        self._arrivals.register(report_end, select.POLLIN)
        # Whoever serves the worker's testbed gets the other end, where there is such a process.
        self._backend_end, backend = socket.socketpair()
        passed = (commands, reports, backend.fileno(), stdout, stderr)
        arguments = [str(number) for number in (*passed, os.getpid())]
        super().__init__(run, lambda: self._started(arguments, passed, stdout_end, stderr_end))
        for fd in (commands, reports, stdout_end, stderr_end):
            os.close(fd)
        backend.close()

    def lend_to(self, backend: BackendProcess, patience_s: float) -> bool:
        """Have a testbed's process serve this worker; false when it does not."""
        taken = backend.serve(self._backend_end, patience_s)
        if taken:
            self._backend_end.close()
        return taken

    def _started(
        self, arguments: list[str], passed: tuple[int, ...], stdout: int, stderr: int
    ) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(  # noqa: S603 - our own module, numbers as arguments
            python_command("-m", "holdfast_conformance.worker", *arguments),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            pass_fds=passed,
            start_new_session=True,
            env={**python_environment(), RUN_VARIABLE: self._mark},
        )

    def send(self, command: Command) -> None:
        """Send a command. ``WorkerLost`` when there is nobody to take it."""
        try:
            self._channel.send(encode(command))
        except BrokenPipeError:
            raise self._lost() from None

    def receive(self, patience_s: float) -> Report | bytes:
        """The next report, or the line of the next trace record.

        Raises:
            WorkerLost: the worker ended, spoke nonsense, or said nothing for ``patience_s``.
        """
        silent_s = 0.0
        try:
            while (frame := self._channel.take()) is None:
                before_s = time.monotonic()
                if self._arrivals.poll(TICK_S * 1000):
                    if not self._channel.fill():
                        raise self._lost()
                    silent_s = 0.0
                else:
                    silent_s += min(time.monotonic() - before_s, _TICK_MAX_S)
                if silent_s > patience_s:
                    raise WorkerLost(
                        BrokenKind.HUNG, f"no sign of life for {patience_s:g} s; it was killed"
                    )
            payload, is_record = frame
            return payload if is_record else decode_report(payload)
        except (ValueError, msgspec.MsgspecError) as problem:
            detail = f"something wrote into the harness's own channel: {problem}"
            raise WorkerLost(BrokenKind.DIED, detail) from problem

    def _lost(self) -> WorkerLost:
        """Why the channel ended."""
        try:
            status = self.process.wait(LEAVE_S)
        except subprocess.TimeoutExpired:
            return WorkerLost(BrokenKind.DIED, "it closed the harness's own channel")
        said = self._last_words()
        if status < 0:
            return WorkerLost(BrokenKind.DIED, f"killed by {signal.Signals(-status).name}{said}")
        return WorkerLost(BrokenKind.DIED, f"exited with status {status}{said}")

    def _last_words(self) -> str:
        """The end of what was printed to standard error and not yet looked at."""
        os.set_blocking(self._stderr, False)
        said = bytearray()
        try:
            while data := os.read(self._stderr, 1 << 16):
                said += data
        except BlockingIOError:
            pass
        tail = without_canaries(bytes(said))[-_TAIL_BYTES:]
        text = " ".join(tail.decode(errors="replace").split())
        return f"; it said: {text}" if text else ""

    def close(self) -> bool:
        """End the worker politely, so that its testbed can clean up, and then whatever is left.

        False when it had to be killed.
        """
        try:
            self.send(Stop())  # in case a plan is under way
            self.send(Quit())
            while not isinstance(self.receive(LEAVE_S), Leaving):
                pass
            self.process.wait(CLEAN_UP_S)
        except (WorkerLost, subprocess.TimeoutExpired):
            return False
        else:
            return True
        finally:
            self.kill()

    def abort(self) -> None:
        """Kill the process and leave the rest to whoever listens to it."""
        self.process.kill()

    def kill(self) -> None:
        """End the worker and everything that carries the run's mark or was adopted, at once."""
        super().kill()
        for fd in self._ends:
            os.close(fd)
        self._ends = ()
        self._backend_end.close()
