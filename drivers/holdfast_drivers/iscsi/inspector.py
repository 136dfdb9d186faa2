"""Asks a process inside the container what is there: no driver code, and not the driver's way."""

import asyncio
import contextlib
from typing import Any

import msgspec

from holdfast.backends.exec_stream import ExecStream
from holdfast.backends.servers import Server
from holdfast.errors import EnvironmentUnavailable
from holdfast.testbed import Inspector, Inventory

_COMMAND = (
    "env",
    "PYTHONPATH=/opt/holdfast",
    "PYTHONDONTWRITEBYTECODE=1",
    "python3",
    "-P",
    "-m",
    "holdfast_drivers.iscsi.inside",
)


class Inside:
    """A process inside the container, started when first asked and again when it is gone."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._stream: ExecStream | None = None
        self._one = asyncio.Lock()

    async def ask(self, *question: str) -> Any:
        """What it answers, as JSON.

        Raises:
            EnvironmentUnavailable: it failed, or the container does not run.
        """
        async with self._one:
            try:
                return await self._asked(question)
            except (EOFError, ConnectionError):
                await self._drop()
            try:
                return await self._asked(question)
            except (EOFError, ConnectionError) as error:
                await self._drop()
                raise EnvironmentUnavailable(
                    f"the inspector in {self._server.name} failed at {question[0]}: {error}"
                ) from error

    async def _asked(self, question: tuple[str, ...]) -> Any:
        if self._stream is None:
            self._stream = await self._server.connect(_COMMAND)
        await self._stream.write(msgspec.json.encode(question) + b"\n")
        answer = await self._stream.read_line()
        return msgspec.json.decode(answer)

    async def _drop(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            with contextlib.suppress(ConnectionError):
                await stream.close()

    async def close(self) -> None:
        """End the process."""
        await self._drop()


class IscsiInspector(Inspector):
    """The inspector of one namespace."""

    def __init__(self, inside: Inside, namespace: str) -> None:
        self._inside = inside
        self._namespace = namespace

    async def inventory(self) -> Inventory:
        """Everything in the store's folder and with tgt, and a digest of all that is around it."""
        return msgspec.convert(await self._inside.ask("inventory", self._namespace), Inventory)
