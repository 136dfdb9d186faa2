"""Stores on a running Swift, with a connection that can break off before any of its requests."""

import asyncio
import hashlib
import itertools
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

from holdfast.contract import requests
from holdfast.contract.answers import ObjectInfo, OwnedKind
from holdfast.contract.capabilities import ObjectKind
from holdfast.contract.errors import Unknown
from holdfast.contract.requests import CallContext, PartReference, Role
from holdfast.contract.testbed import Inspected
from holdfast_drivers.object_server_call import Call
from holdfast_drivers.swift.config import SwiftConfig
from holdfast_drivers.swift.connection import Answer, Connection, open_connection
from holdfast_drivers.swift.gateway.testbed import GatewayTestbed
from holdfast_drivers.swift.image_driver import SwiftImageDriver
from holdfast_drivers.swift.lifecycle import SwiftLifeCycle
from races import KEY, Interruptible
from running_testbeds import Running

_numbers = itertools.count()
MANY = 20
"""More requests than any verb of these tests makes."""


class Breaking(Interruptible, Connection):
    """A connection whose process dies, as it were, before one of its requests, or that lets
    something else happen before one of them, or before one that is about a manifest.
    """

    left = 1 << 30
    _meanwhile: tuple[str, Callable[[], Awaitable[object]]] | None = None

    def before_manifest(self, method: str, happens: Callable[[], Awaitable[object]]) -> None:
        """Let something happen, once, before a manifest is asked for or sent."""
        self._meanwhile = method, happens

    async def ask(self, call: Call, method: str, path: str, **details: Any) -> Answer:
        self.left -= 1
        if self.left < 0:
            raise Unknown("the process died")
        await self.let_come()
        waiting = self._meanwhile
        query: Mapping[str, str] = details.get("query") or {}
        if waiting is not None and waiting[0] == method and "multipart-manifest" in query:
            self._meanwhile = None
            await waiting[1]()
        return await super().ask(call, method, path, **details)


class Store:
    """One store of a test, its driver, and what the inspector sees."""

    def __init__(self, running_on: Running, connection: Breaking, namespace: str) -> None:
        self.connection = connection
        self.image = SwiftImageDriver(connection)
        self.inspector = running_on.testbed.inspector(Role.IMAGE, namespace)

    async def put(self, upload: str, *parts: bytes, key: str = KEY) -> ObjectInfo:
        await self.start(upload, key)
        sent = [await self.send(upload, number, data) for number, data in enumerate(parts, 1)]
        return await self.image.complete_upload(context(), completion(upload, sent, *parts))

    async def start(self, upload: str, key: str = KEY) -> None:
        request = requests.StartUpload(upload=upload, key=key, kind=ObjectKind.ISO)
        await self.image.start_upload(context(), request)

    async def send(self, upload: str, number: int, data: bytes) -> PartReference:
        request = requests.UploadPart(upload=upload, number=number, data=data)
        return (await self.image.upload_part(context(), request)).part

    async def things(self) -> list[Inspected]:
        """What the inspector finds, the store itself excepted."""
        found = (await self.inspector.inventory()).things
        return [thing for thing in found if thing.kind is not OwnedKind.STORE]

    async def owned(self) -> list[tuple[OwnedKind, str]]:
        """What the driver says that it owns, the store itself excepted."""
        stream = self.image.enumerate(context(), requests.EnumerateOwned())
        found = [(thing.kind, thing.key) async for thing in stream]
        return [thing for thing in found if thing[0] is not OwnedKind.STORE]


def context() -> CallContext:
    now = asyncio.get_running_loop().time()
    return CallContext(operation="op-tested", deadline=now + 60)


def completion(upload: str, sent: list[PartReference], *parts: bytes) -> requests.CompleteUpload:
    whole = b"".join(parts)
    return requests.CompleteUpload(
        upload=upload,
        parts=tuple(sent),
        size_bytes=len(whole),
        sha256=hashlib.sha256(whole).hexdigest(),
    )


def share_of(swift: Running) -> int:
    """Which part of what two servers can share is asked of this one: 0 of Swift, 1 of the gateway.

    The driver is the same, so that a place which it was met at on one is a place met.
    """
    return int(isinstance(swift.testbed, GatewayTestbed))


def on_a_store(swift: Running, story: Callable[[Store], Awaitable[None]]) -> None:
    """Let a story play on a store of its own."""
    namespace = f"test-{next(_numbers)}"
    config = swift.testbed.config(Role.IMAGE, namespace)
    assert isinstance(config, SwiftConfig)

    async def play() -> None:
        async with AsyncExitStack() as stack:
            plain = await stack.enter_async_context(open_connection(config))
            client = plain._client  # pyright: ignore[reportPrivateUsage] - broken off on purpose
            connection = Breaking(config, client)
            life_cycle = SwiftLifeCycle(connection)
            await life_cycle.initialize(context(), requests.InitializeStore(name="store"))
            await story(Store(swift, connection, namespace))
            await swift.testbed.remove(Role.IMAGE, namespace)

    swift.run(play())


async def broken_off(store: Store, at: int, work: Callable[[], Awaitable[object]]) -> bool:
    """Do something whose process dies before one of its requests; whether it died."""
    store.connection.left = at
    try:
        await work()
    except Unknown:
        if store.connection.left >= 0:
            raise
    finally:
        died = store.connection.left < 0
        store.connection.left = 1 << 30
    return died
