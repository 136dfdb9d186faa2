"""Runs a program of a suite, and leaves none of its processes behind, however it ends."""

import asyncio
import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """What a program said on both of its streams; ``late`` when its time was over before it was.

    ``status`` is its exit status, or the signal that ended it as a negative number.
    """

    said: str
    late: bool
    status: int = 0


async def run_program(
    command: tuple[str, ...],
    *,
    timeout_s: float,
    environment: Mapping[str, str],
    folder: Path | None = None,
) -> Ended:
    """Run a program to its end, or for so long; whoever is cancelled meanwhile ends it too."""
    starting = asyncio.ensure_future(
        asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=folder,
            env=environment,
            start_new_session=True,
        )
    )
    try:
        process = await asyncio.shield(starting)
    except asyncio.CancelledError:
        # Whoever goes while it starts must still end it: asyncio would end its first process only.
        await _end(await starting)
        raise
    said = bytearray()
    late = False
    try:
        async with asyncio.timeout(timeout_s):
            await _read(process, said)
    except TimeoutError:
        late = True
    finally:
        await _end(process)
    status = process.returncode or 0
    return Ended(said=said.decode(errors="replace"), late=late, status=status)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Its session is its own, so that what it started ends with it."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


async def _read(process: asyncio.subprocess.Process, into: bytearray) -> None:
    stream = process.stdout
    if stream is None:
        raise AssertionError("its output was asked for")
    while part := await stream.read(1 << 16):
        into += part
    await process.wait()
