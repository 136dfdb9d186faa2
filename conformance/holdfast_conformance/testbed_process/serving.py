"""What the testbed's process does for one worker, for as long as that one is there."""

import asyncio
from collections.abc import Awaitable
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

import msgspec

from holdfast.contract.errors import EnvironmentUnavailable
from holdfast.contract.requests import Role
from holdfast.contract.testbed import Inspector, Testbed
from holdfast_conformance.foreign_texts import described, writable
from holdfast_conformance.protocol import Channel, Refused, encode, readable
from holdfast_conformance.testbed_process.inventories import tellable
from holdfast_conformance.testbed_process.messages import (
    Answer,
    Answered,
    Asked,
    BadRow,
    Call,
    Clear,
    Configure,
    Configured,
    Done,
    Failed,
    Heal,
    Inject,
    Introduce,
    Look,
    Misconfigure,
    Misconfigured,
    Seen,
    Standing,
    decode_asked,
)

T = TypeVar("T")
CALL_MAX_BYTES = 1 << 20
"""How long a frame of a worker may be; what a driver writes there by mistake is none."""


class Serving:
    """Answers one worker.

    Args:
        fd: the socket to it, which is closed at the end.
        testbed: what runs; ``None`` where nothing does.
        introduction: what to say of that.
    """

    def __init__(self, fd: int, testbed: Testbed | None, introduction: Standing | Refused) -> None:
        self._channel = Channel(fd, fd, CALL_MAX_BYTES)
        self._testbed = testbed
        self._introduction = introduction
        self._fault: AbstractAsyncContextManager[None] | None = None
        self._inspectors: dict[tuple[Role, str], Inspector] = {}

    async def run(self) -> None:
        """Answer until the worker is gone, or says what is no call; then end its fault.

        It may be cancelled at any time. What it was asked for last then is done first: half of a
        fault could not be undone, and half an answer of a server would be taken for the next one.
        """
        try:
            while True:
                asked = await self._next()
                answer = await seen_through(self._answer(asked.call))
                self._channel.send(encode(Answered(number=asked.number, answer=answer)))
        except (OSError, EOFError, ValueError, msgspec.MsgspecError):
            return
        finally:
            await seen_through(self._heal())

    async def _next(self) -> Asked:
        while (frame := self._channel.take()) is None:
            await readable(self._channel.read_fd)
            if not self._channel.fill():
                raise EOFError
        return decode_asked(frame[0])

    async def _answer(self, call: Call) -> Answer:
        """Do what is asked for; whatever the testbed raises is an answer, too."""
        if self._testbed is None or isinstance(call, Introduce):
            return self._introduction
        try:
            return await self._done(self._testbed, call)
        except Exception as problem:  # noqa: BLE001 - it is told to whoever asked
            missing = isinstance(problem, EnvironmentUnavailable)
            reason = writable(str(problem)) if missing else described(problem)
            return Failed(reason=reason, missing=missing)

    async def _done(self, testbed: Testbed, call: Call) -> Answer:
        match call:
            case Configure():
                return Configured(config=_raw(testbed.config(call.role, call.namespace)))
            case Misconfigure():
                return Misconfigured(
                    rows=tuple(
                        BadRow(name=bad.name, config=_raw(bad.config), expected=bad.expected)
                        for bad in testbed.bad_configs(call.role, call.namespace)
                    )
                )
            case Look():
                inspector = self._inspector(testbed, call.role, call.namespace)
                return Seen(inventory=tellable(await inspector.inventory()))
            case Inject():
                await self._inject(testbed, call)
            case Heal():
                await self._heal()
            case Clear():
                self._inspectors.pop((call.role, call.namespace), None)
                await testbed.remove(call.role, call.namespace)
            case Introduce():
                return self._introduction
        return Done()

    def _inspector(self, testbed: Testbed, role: Role, namespace: str) -> Inspector:
        """One for each namespace: it may remember what it saw."""
        place = role, namespace
        if place not in self._inspectors:
            self._inspectors[place] = testbed.inspector(role, namespace)
        return self._inspectors[place]

    async def _inject(self, testbed: Testbed, call: Inject) -> None:
        await self._heal()
        fault = testbed.inject(call.fault)
        await fault.__aenter__()
        self._fault = fault

    async def _heal(self) -> None:
        fault, self._fault = self._fault, None
        if fault is not None:
            await fault.__aexit__(None, None, None)


def _raw(config: msgspec.Struct) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(config))


async def seen_through(work: Awaitable[T]) -> T:
    """The result of work that goes on when this is cancelled, which is over only afterwards."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait((task,))
        raise
