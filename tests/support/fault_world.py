"""One store of a running testbed, with all that a test of faults needs of it."""

import asyncio
import hashlib
from collections.abc import Iterable
from contextlib import AsyncExitStack
from typing import Self

from holdfast.contract import requests
from holdfast.contract.answers import OwnedKind
from holdfast.contract.capabilities import ObjectKind
from holdfast.contract.ports import Provider
from holdfast.contract.requests import CallContext, Role
from holdfast.contract.testbed import Inspected, Inspector, Testbed
from holdfast.layers import ImageGuard, LifeCycleGuard, PrimaryGuard
from holdfast.stores.open_store import open_image, open_life_cycle, open_primary

GOOD_S = 60.0
"""The time a call has while nothing is wrong."""
DATA = b"part of an object " * 1000
MIB = 1 << 20


def context(operation: str, seconds: float = GOOD_S) -> CallContext:
    """A call's context that ends after so many seconds."""
    now = asyncio.get_running_loop().time()
    return CallContext(operation=operation, deadline=now + seconds)


class World:
    """One namespace of a running testbed: its life cycle, its inspector and, once open, a driver.

    Args:
        provider: whose store it is.
        testbed: where the store is.
        role: the store's role.
        namespace: the store's own part of the backend.
    """

    def __init__(self, provider: Provider, testbed: Testbed, role: Role, namespace: str) -> None:
        self.provider = provider
        self.testbed = testbed
        self.role = role
        self.namespace = namespace
        self.config = testbed.config(role, namespace)
        self.inspector: Inspector = testbed.inspector(role, namespace)
        self._stack = AsyncExitStack()
        self.life_cycle: LifeCycleGuard
        self.primary: PrimaryGuard
        self.image: ImageGuard

    async def __aenter__(self) -> Self:
        try:
            self.life_cycle = await self._stack.enter_async_context(
                open_life_cycle(self.provider, self.config, self.role)
            )
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()
        await self.testbed.remove(self.role, self.namespace)

    async def open(self) -> None:
        """Make the place a store with its hosts, and open a driver."""
        await self.life_cycle.initialize(context("prepare"), requests.InitializeStore(name="store"))
        await self.attach_hosts()
        if self.role is Role.PRIMARY:
            opened = open_primary(self.provider, self.config)
            self.primary = await self._stack.enter_async_context(opened)
        else:
            self.image = await self._stack.enter_async_context(
                open_image(self.provider, self.config)
            )

    async def attach_hosts(self) -> None:
        """Attach one of the testbed's hosts."""
        request = requests.AttachHost(host=self.testbed.hosts[0])
        await self.life_cycle.attach(context("prepare"), request)

    @property
    def driver(self) -> PrimaryGuard | ImageGuard:
        """The opened driver."""
        return self.primary if self.role is Role.PRIMARY else self.image

    @property
    def size_bytes(self) -> int:
        """A small size that volumes of this store can have exactly."""
        limits = self.primary.capabilities.volume
        unit = limits.size_granularity_bytes
        return -(-max(limits.size_min_bytes, MIB) // unit) * unit

    async def things(self) -> tuple[Inspected, ...]:
        """What the inspector finds now."""
        return (await self.inspector.inventory()).things

    async def create(self, key: str) -> None:
        """A volume of the small size."""
        request = requests.CreateVolume(key=key, size_bytes=self.size_bytes)
        await self.primary.create_volume(context("prepare"), request)

    async def snapshot(self, key: str, volume: str) -> None:
        """A snapshot of a volume."""
        request = requests.CreateSnapshot(key=key, volume=volume)
        await self.primary.create_snapshot(context("prepare"), request)

    async def upload(self, key: str) -> requests.CompleteUpload:
        """An upload with its one part; returns what would complete it."""
        upload = f"{key}-upload"
        start = requests.StartUpload(upload=upload, key=key, kind=ObjectKind.TEMPLATE)
        await self.image.start_upload(context("prepare"), start)
        part = requests.UploadPart(upload=upload, number=1, data=DATA)
        sent = await self.image.upload_part(context("prepare"), part)
        return requests.CompleteUpload(
            upload=upload,
            parts=(sent.part,),
            size_bytes=len(DATA),
            sha256=hashlib.sha256(DATA).hexdigest(),
        )

    async def put(self, key: str) -> None:
        """A whole object."""
        await self.image.complete_upload(context("prepare"), await self.upload(key))

    async def clear(self) -> None:
        """Give back everything there is, down to the store itself, as an operator would."""
        things = await self.things()
        for thing in of_kind(things, OwnedKind.GRANT):
            volume, host, _ = thing.detail.split("|")
            await self.primary.revoke(context("clear"), requests.Revoke(volume=volume, host=host))
        for thing in of_kind(things, OwnedKind.SNAPSHOT):
            await self.primary.delete_snapshot(
                context("clear"), requests.DeleteSnapshot(key=thing.key)
            )
        for thing in of_kind(things, OwnedKind.VOLUME):
            await self.primary.delete_volume(context("clear"), requests.DeleteVolume(key=thing.key))
        for thing in of_kind(things, OwnedKind.UPLOAD):
            await self.image.abort_upload(context("clear"), requests.AbortUpload(upload=thing.key))
        for thing in of_kind(things, OwnedKind.OBJECT):
            await self.image.delete(context("clear"), requests.DeleteObject(key=thing.key))
        await self.clear_store()

    async def clear_store(self) -> None:
        """Detach every host and give the place back."""
        for thing in of_kind(await self.things(), OwnedKind.STORE):
            for host in filter(None, thing.detail.split("|")[2].split(",")):
                await self.life_cycle.detach(context("clear"), requests.DetachHost(host=host))
        await self.life_cycle.delete_store(context("clear"), requests.DeleteStore())


def of_kind(things: Iterable[Inspected], kind: OwnedKind) -> list[Inspected]:
    """The things of one kind."""
    return [thing for thing in things if thing.kind is kind]
