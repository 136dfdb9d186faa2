"""A long command that can be interrupted, shown line by line and kept in a log."""

import asyncio
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from holdfast.concurrency.runtime import runtime
from holdfast.contract.errors import EnvironmentUnavailable
from holdfast.text.foreign import visible
from holdfast_drivers.servers.owner_process import state_folder

T = TypeVar("T")
Progress = Callable[[str], None]
"""Told one short line at a time, from another thread too."""
_SHOWN_LINES = 8
_LINE_MAX = 200
_END_S = 10
_QUESTION_S = 20


class CommandRun:
    """Runs commands one after another in a thread, until it is stopped from another."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self._process: subprocess.Popen[str] | None = None
        self._stopped = False

    def run(
        self,
        command: Sequence[str],
        *,
        log: str,
        failing: str,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Blocking: run a command to its end; ``log`` names its log, ``failing`` what it does.

        Raises:
            EnvironmentUnavailable: it failed or was stopped; says where the log is and how it ends.
        """
        path = state_folder("logs") / f"{log}.log"
        last: list[str] = []
        with path.open("w") as file, _started(command, environment) as process:
            self._process = process
            try:
                if self._stopped:
                    process.terminate()
                for line in process.stdout or ():
                    file.write(visible(line.rstrip("\n")) + "\n")
                    if text := line.strip()[:_LINE_MAX]:
                        self.progress(text)
                        last = [*last[1 - _SHOWN_LINES :], text]
            finally:
                self._process = None
        if self._stopped:
            raise EnvironmentUnavailable(f"{failing} was interrupted")
        if process.returncode != 0:
            ending = " | ".join(last)
            raise EnvironmentUnavailable(
                f"{failing} failed; the whole log is in {path}; it ends: {ending}"
            )

    def stop(self) -> None:
        """End the command that runs now, and start no other."""
        self._stopped = True
        process = self._process
        if process is not None:
            process.terminate()


def _started(
    command: Sequence[str], environment: Mapping[str, str] | None
) -> "subprocess.Popen[str]":
    try:
        return subprocess.Popen(  # noqa: S603 - programs and names made up by the callers
            list(command),
            env={**os.environ, "LC_ALL": "C.UTF-8", **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except OSError as error:
        raise EnvironmentUnavailable(f"{command[0]} cannot be started: {error}") from error


async def run_interruptibly(progress: Progress, work: Callable[[CommandRun], T]) -> T:
    """Do blocking work that runs commands; a cancelled caller ends them and waits for the end."""
    commands = CommandRun(progress)
    working = asyncio.ensure_future(runtime().run_blocking(work, commands))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        commands.stop()
        await asyncio.wait([working], timeout=_END_S)
        if working.done() and not working.cancelled():
            working.exception()
        raise


def answer_of(command: Sequence[str]) -> str:
    """Blocking: what a quick question answers on its standard output; empty when it fails."""
    result = _asked(command)
    return result.stdout.strip() if result is not None and result.returncode == 0 else ""


def combined_answer_of(command: Sequence[str]) -> str:
    """Blocking: all that a quick question says, whether it succeeds or not."""
    result = _asked(command)
    return "" if result is None else (result.stdout + result.stderr).strip()


def _asked(command: Sequence[str]) -> "subprocess.CompletedProcess[str] | None":
    try:
        return subprocess.run(  # noqa: S603 - a fixed question
            list(command), capture_output=True, text=True, timeout=_QUESTION_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None


def log_path(log: str) -> Path:
    """Where the log of that name is kept."""
    return state_folder("logs") / f"{log}.log"
