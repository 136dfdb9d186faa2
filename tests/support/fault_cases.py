"""One case for each verb that changes something: how to get ready, the call, what shows it."""

import enum
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from fault_world import DATA, World, context, of_kind
from holdfast.contract import requests
from holdfast.contract.answers import OwnedKind
from holdfast.contract.capabilities import AccessMode, ObjectKind
from holdfast.contract.requests import CallContext
from holdfast.contract.testbed import Inspected


class Seen(enum.Enum):
    """What an inspector's inventory says of a call."""

    BEFORE = "as before the call"
    AFTER = "as after the call"
    BETWEEN = "neither as before nor as after the call"


def _one_of(sizes: list[int], before: int, after: int) -> Seen:
    """What the size of the one thing that there should be says."""
    if sizes == [before]:
        return Seen.BEFORE
    return Seen.AFTER if sizes == [after] else Seen.BETWEEN


class Case(ABC):
    """A verb with one request, to be called in a world."""

    world: World
    verb: str
    request: requests.Request

    @abstractmethod
    async def prepare(self) -> None:
        """Make everything that the call needs."""

    @abstractmethod
    def seen(self, things: tuple[Inspected, ...]) -> Seen:
        """What an inventory says of the call's effect."""

    @property
    def probed(self) -> bool:
        """Whether the port has a probe for the verb."""
        return True

    async def call(self, ctx: CallContext) -> object:
        """Make the call."""
        method: Any = getattr(self.world.driver, self.verb)
        return await method(ctx, self.request)

    async def settle(self, answer: object) -> None:  # noqa: B027 - most have nothing to do
        """Use what the repeated call answered, so that the inventory shows it."""

    @property
    def operation(self) -> str:
        """The operation that the call belongs to."""
        return f"op-{self.verb}"


class KeyCase(Case):
    """A call that makes a thing appear or disappear, or changes its size or state."""

    def __init__(
        self,
        world: World,
        request: requests.Request,
        prepare: Callable[[], Any],
        see: Callable[[tuple[Inspected, ...]], Seen],
    ) -> None:
        self.world = world
        self.request = request
        self.verb = requests.verb_of(request)
        self._prepare = prepare
        self._see = see

    async def prepare(self) -> None:
        await self._prepare()

    def seen(self, things: tuple[Inspected, ...]) -> Seen:
        return self._see(things)


class PartCase(Case):
    """Sending a part: the inventory shows it in the object once the upload is complete."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.verb = "upload_part"
        self.request = requests.UploadPart(upload="part", number=1, data=DATA)

    async def prepare(self) -> None:
        start = requests.StartUpload(upload="part", key="with-part", kind=ObjectKind.ISO)
        await self.world.image.start_upload(context("prepare"), start)

    def seen(self, things: tuple[Inspected, ...]) -> Seen:
        parts = [
            thing.size_bytes for thing in of_kind(things, OwnedKind.UPLOAD) if thing.key == "part"
        ]
        if any(thing.key == "with-part" for thing in of_kind(things, OwnedKind.OBJECT)):
            return Seen.AFTER
        return _one_of(parts, 0, len(DATA))

    async def settle(self, answer: object) -> None:
        complete = requests.CompleteUpload(
            upload="part",
            parts=(answer.part,),  # type: ignore[attr-defined]  # the guard checked it
            size_bytes=len(DATA),
            sha256=hashlib.sha256(DATA).hexdigest(),
        )
        await self.world.image.complete_upload(context("settle"), complete)


class CompleteCase(Case):
    """Completing an upload whose parts are there."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.verb = "complete_upload"

    async def prepare(self) -> None:
        self.request = await self.world.upload("completed")

    def seen(self, things: tuple[Inspected, ...]) -> Seen:
        digest = hashlib.sha256(DATA).hexdigest()
        found = [thing for thing in of_kind(things, OwnedKind.OBJECT) if thing.key == "completed"]
        if not found:
            return Seen.BEFORE
        return Seen.AFTER if [thing.digest for thing in found] == [digest] else Seen.BETWEEN


class StoreCase(Case):
    """A verb of the life cycle, on a store of its own."""

    def __init__(
        self,
        world: World,
        request: requests.Request,
        before: str | None,
        after: str | None,
    ) -> None:
        self.world = world
        self.request = request
        self.verb = requests.verb_of(request)
        self._before = before
        self._after = after

    @property
    def probed(self) -> bool:
        return False

    async def prepare(self) -> None:
        if self._before is None:
            return
        await self.world.life_cycle.initialize(
            context("prepare"), requests.InitializeStore(name="store")
        )
        _, state, hosts = self._before.split("|")
        if hosts:
            await self.world.attach_hosts()
        if state == "maintenance":
            await self.world.life_cycle.maintain(context("prepare"), requests.MaintainStore())

    async def call(self, ctx: CallContext) -> object:
        method: Any = getattr(self.world.life_cycle, self.verb)
        return await method(ctx, self.request)

    def seen(self, things: tuple[Inspected, ...]) -> Seen:
        stores = [thing.detail for thing in of_kind(things, OwnedKind.STORE)]
        if stores == [self._before] * (self._before is not None):
            return Seen.BEFORE
        if stores == [self._after] * (self._after is not None):
            return Seen.AFTER
        return Seen.BETWEEN


def _appears(kind: OwnedKind, key: str) -> Callable[[tuple[Inspected, ...]], Seen]:
    def see(things: tuple[Inspected, ...]) -> Seen:
        found = [thing for thing in of_kind(things, kind) if key in (thing.key, thing.detail)]
        return {0: Seen.BEFORE, 1: Seen.AFTER}.get(len(found), Seen.BETWEEN)

    return see


def _disappears(kind: OwnedKind, key: str) -> Callable[[tuple[Inspected, ...]], Seen]:
    def see(things: tuple[Inspected, ...]) -> Seen:
        found = [thing for thing in of_kind(things, kind) if key in (thing.key, thing.detail)]
        return {0: Seen.AFTER, 1: Seen.BEFORE}.get(len(found), Seen.BETWEEN)

    return see


def _has_size(key: str, before: int, after: int) -> Callable[[tuple[Inspected, ...]], Seen]:
    def see(things: tuple[Inspected, ...]) -> Seen:
        sizes = [
            thing.size_bytes for thing in of_kind(things, OwnedKind.VOLUME) if thing.key == key
        ]
        return _one_of(sizes, before, after)

    return see


async def _nothing() -> None:
    """A call that needs nothing."""


def primary_cases(world: World) -> list[Case]:
    """Every verb of a primary store that its capabilities allow."""
    host, size = world.testbed.hosts[0], world.size_bytes
    declared = world.primary.capabilities
    mode = declared.access.modes[0]
    cases: list[Case] = [
        KeyCase(
            world,
            requests.CreateVolume(key="created", size_bytes=size),
            _nothing,
            _appears(OwnedKind.VOLUME, "created"),
        ),
        KeyCase(
            world,
            requests.DeleteVolume(key="deleted"),
            lambda: world.create("deleted"),
            _disappears(OwnedKind.VOLUME, "deleted"),
        ),
        *_access_cases(world, host, mode),
    ]
    if declared.resize is not None:
        cases.append(
            KeyCase(
                world,
                requests.ResizeVolume(key="resized", size_bytes=2 * size),
                lambda: world.create("resized"),
                _has_size("resized", size, 2 * size),
            )
        )
    if declared.copy is not None:
        cases.append(
            KeyCase(
                world,
                requests.CopyVolume(key="original", target="copied"),
                lambda: world.create("original"),
                _appears(OwnedKind.VOLUME, "copied"),
            )
        )
    if declared.snapshot is not None:
        cases += _snapshot_cases(world)
    return cases


def _access_cases(world: World, host: str, mode: AccessMode) -> list[Case]:
    async def granted() -> None:
        await world.create("revoked")
        request = requests.Grant(volume="revoked", host=host, mode=mode)
        await world.primary.grant(context("prepare"), request)

    return [
        KeyCase(
            world,
            requests.Grant(volume="granted", host=host, mode=mode),
            lambda: world.create("granted"),
            _appears(OwnedKind.GRANT, f"granted|{host}|{mode}"),
        ),
        KeyCase(
            world,
            requests.Revoke(volume="revoked", host=host),
            granted,
            _disappears(OwnedKind.GRANT, f"revoked|{host}|{mode}"),
        ),
    ]


def _snapshot_cases(world: World) -> list[Case]:
    size, declared = world.size_bytes, world.primary.capabilities

    async def kept() -> None:
        await world.create("kept")
        await world.snapshot("dropped", "kept")

    async def grown() -> None:
        await world.create("reverted")
        await world.snapshot("old", "reverted")
        grow = requests.ResizeVolume(key="reverted", size_bytes=2 * size)
        await world.primary.resize_volume(context("prepare"), grow)

    cases: list[Case] = [
        KeyCase(
            world,
            requests.CreateSnapshot(key="taken", volume="subject"),
            lambda: world.create("subject"),
            _appears(OwnedKind.SNAPSHOT, "taken"),
        ),
        KeyCase(
            world,
            requests.DeleteSnapshot(key="dropped"),
            kept,
            _disappears(OwnedKind.SNAPSHOT, "dropped"),
        ),
    ]
    if declared.snapshot is not None and declared.snapshot.revert and declared.resize is not None:
        cases.append(
            KeyCase(
                world,
                requests.RevertVolume(key="reverted", snapshot="old"),
                grown,
                _has_size("reverted", 2 * size, size),
            )
        )
    return cases


def image_cases(world: World) -> list[Case]:
    """Every verb of an image store that its capabilities allow."""
    cases: list[Case] = [
        KeyCase(
            world,
            requests.StartUpload(upload="started", key="never", kind=ObjectKind.ISO),
            _nothing,
            _appears(OwnedKind.UPLOAD, "started"),
        ),
        PartCase(world),
        CompleteCase(world),
        KeyCase(
            world,
            requests.AbortUpload(upload="aborted-upload"),
            lambda: world.upload("aborted"),
            _disappears(OwnedKind.UPLOAD, "aborted-upload"),
        ),
        KeyCase(
            world,
            requests.DeleteObject(key="removed"),
            lambda: world.put("removed"),
            _disappears(OwnedKind.OBJECT, "removed"),
        ),
    ]
    if world.image.capabilities.copy is not None:
        cases.append(
            KeyCase(
                world,
                requests.CopyObject(key="pattern", target="copied"),
                lambda: world.put("pattern"),
                _appears(OwnedKind.OBJECT, "copied"),
            )
        )
    return cases


STORE_VERBS = ("initialize", "attach", "detach", "maintain", "cancel_maintenance", "delete_store")


def store_case(world: World, verb: str) -> Case:
    """One verb of the life cycle in a world of its own."""
    host = world.testbed.hosts[0]
    bare, attached = "store|up|", f"store|up|{host}"
    table: dict[str, tuple[requests.Request, str | None, str | None]] = {
        "initialize": (requests.InitializeStore(name="store"), None, bare),
        "attach": (requests.AttachHost(host=host), bare, attached),
        "detach": (requests.DetachHost(host=host), attached, bare),
        "maintain": (requests.MaintainStore(), bare, "store|maintenance|"),
        "cancel_maintenance": (requests.CancelMaintenance(), "store|maintenance|", bare),
        "delete_store": (requests.DeleteStore(), bare, None),
    }
    return StoreCase(world, *table[verb])
