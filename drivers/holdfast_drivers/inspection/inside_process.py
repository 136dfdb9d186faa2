"""An inspector's process inside a server's container, which answers questions one at a time.

It shares no code with what a driver runs there.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

import msgspec

from holdfast.contract.errors import EnvironmentUnavailable
from holdfast_drivers.servers.exec_stream import ExecStream
from holdfast_drivers.servers.running_servers import Server


class InsideProcess:
    """Started when it is first asked, and again when it is gone.

    Args:
        server: whose container.
        argv: what runs there: it reads a question a line and writes an answer a line, both JSON.
    """

    def __init__(self, server: Server, argv: Sequence[str]) -> None:
        self._server = server
        self._argv = argv
        self._stream: ExecStream | None = None
        self._turn = asyncio.Lock()

    async def ask(self, question: object) -> Any:
        """What it answers.

        Raises:
            EnvironmentUnavailable: it failed, or the container does not run.
        """
        async with self._turn:
            # Its container may have been killed since the last question: then it is started again.
            with contextlib.suppress(EOFError, OSError):
                return await self._asked(question)
            try:
                return await self._asked(question)
            except (EOFError, OSError) as error:
                raise EnvironmentUnavailable(
                    f"the inspector in {self._server.name} failed at {question}: {error}"
                ) from error

    async def _asked(self, question: object) -> Any:
        if self._stream is None:
            self._stream = await self._server.connect(self._argv)
        try:
            await self._stream.write(msgspec.json.encode(question) + b"\n")
            return msgspec.json.decode(await self._stream.read_line())
        except BaseException:
            # Whoever asks next must not have the answer to this question.
            await self._drop()
            raise

    async def _drop(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            with contextlib.suppress(OSError):
                await stream.close()

    async def close(self) -> None:
        """End the process."""
        await self._drop()
