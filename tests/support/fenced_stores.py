"""Stores of the local driver whose callers have fences: open, call, and be refused."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from holdfast.contract import requests
from holdfast.contract.capabilities import ObjectKind
from holdfast.contract.errors import Precondition
from holdfast.contract.ports import ImageDriver, LifeCycle, PrimaryDriver
from holdfast.contract.requests import CallContext, Request, Role, verb_of
from holdfast_drivers.local import LocalProvider
from holdfast_drivers.local.config import LocalConfig
from holdfast_drivers.upload_facts import part_of

MIB = 1 << 20
EARLIER, LATER, LATEST = 5, 9, 12
OWNER = 1 << 32


def context(fence: int, operation: str = "op") -> CallContext:
    """A call with a fence of its owner's."""
    return CallContext(operation=operation, fence=OWNER + fence, deadline=1e9)


class Opened:
    """One store of each role, opened."""

    def __init__(self, life_cycle: LifeCycle, primary: PrimaryDriver, image: ImageDriver) -> None:
        self.life_cycle = life_cycle
        self.primary = primary
        self.image = image

    async def call(self, request: Request, ctx: CallContext) -> object:
        """Make a call."""
        verb = verb_of(request)
        ports = (self.primary, self.image, self.life_cycle)
        port = next(port for port in ports if hasattr(port, verb))
        answer: object = await getattr(port, verb)(ctx, request)
        return answer


@asynccontextmanager
async def opened(root: Path) -> AsyncIterator[Opened]:
    """The stores in a folder, made if they are not there."""
    config, provider = LocalConfig(root=str(root), namespace="n"), LocalProvider()
    async with (
        provider.life_cycle(config, Role.PRIMARY) as life_cycle,
        provider.life_cycle(config, Role.IMAGE) as image_life_cycle,
        provider.primary(config) as primary,
        provider.image(config) as image,
    ):
        made = CallContext(operation="op-before", deadline=1e9)
        for port in (life_cycle, image_life_cycle):
            await port.initialize(made, requests.InitializeStore(name="store"))
        await life_cycle.attach(made, requests.AttachHost(host="host"))
        yield Opened(life_cycle, primary, image)


def story(root: Path, told: Callable[[Opened], Awaitable[None]]) -> None:
    """Open the stores in a folder and use them."""

    async def main() -> None:
        async with opened(root) as store:
            await told(store)

    asyncio.run(main())


VOLUME = requests.CreateVolume(key="v", size_bytes=MIB)
SNAPSHOT = requests.CreateSnapshot(key="s", volume="v")
GRANT = requests.Grant(volume="v", host="host")
REVOKE = requests.Revoke(volume="v", host="host")
GROW = requests.ResizeVolume(key="v", size_bytes=2 * MIB)
REVERT = requests.RevertVolume(key="v", snapshot="s")
DELETE = requests.DeleteVolume(key="v")
CLONE = requests.CreateVolume(key="c", size_bytes=2 * MIB, source=requests.VolumeSource("v"))
UPLOAD = requests.StartUpload(upload="u", key="o", kind=ObjectKind.ISO)
PART = requests.UploadPart(upload="u", number=1, data=b"one")
COMPLETE = requests.CompleteUpload(
    upload="u",
    parts=(part_of(PART),),
    size_bytes=3,
    sha256="7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed",
)
ABORT = requests.AbortUpload(upload="u")
DELETE_OBJECT = requests.DeleteObject(key="o")
WITH_SNAPSHOT = (VOLUME, SNAPSHOT)
UPLOADED = (UPLOAD, PART)
Case = tuple[tuple[Request, ...], Request, Request]
CASES: dict[str, Case] = {
    "create after delete": ((), DELETE, VOLUME),
    "create after delete of one that was": ((VOLUME,), DELETE, VOLUME),
    "delete after create": ((), VOLUME, DELETE),
    "revert after growth": (WITH_SNAPSHOT, GROW, REVERT),
    "revert after revoke": ((*WITH_SNAPSHOT, GRANT), REVOKE, REVERT),
    "growth after revert": (WITH_SNAPSHOT, REVERT, GROW),
    "grant after revoke": ((VOLUME,), REVOKE, GRANT),
    "revoke after grant": ((VOLUME,), GRANT, REVOKE),
    "delete after revoke": ((VOLUME, GRANT), REVOKE, DELETE),
    "snapshot after its deletion": ((VOLUME,), requests.DeleteSnapshot(key="s"), SNAPSHOT),
    "snapshot after growth": ((VOLUME,), GROW, SNAPSHOT),
    "deletion of a snapshot after it was made": (
        (VOLUME,),
        SNAPSHOT,
        requests.DeleteSnapshot(key="s"),
    ),
    "clone after growth": ((VOLUME,), GROW, CLONE),
    "start after abort": ((), ABORT, UPLOAD),
    "abort after start": ((), UPLOAD, ABORT),
    "completion after abort": (UPLOADED, ABORT, COMPLETE),
    "completion after deletion of the object": (UPLOADED, DELETE_OBJECT, COMPLETE),
    "deletion of an object after its completion": (UPLOADED, COMPLETE, DELETE_OBJECT),
    "part after start": ((), UPLOAD, PART),
    "part after it was sent again": (
        (UPLOAD,),
        PART,
        requests.UploadPart(upload="u", number=1, data=b"another"),
    ),
    "attach after detach": (
        (),
        requests.DetachHost(host="host"),
        requests.AttachHost(host="host"),
    ),
    "detach after attach": (
        (),
        requests.AttachHost(host="host"),
        requests.DetachHost(host="host"),
    ),
    "maintenance after its end": ((), requests.CancelMaintenance(), requests.MaintainStore()),
    "deletion of the store after it was attached": (
        (requests.DetachHost(host="host"),),
        requests.CancelMaintenance(),
        requests.DeleteStore(),
    ),
}


def names(root: Path) -> dict[str, bytes | None]:
    """Every name in the stores and the content of files, but for the fences themselves."""
    found = (path for path in root.rglob("*") if path.name != "fences")
    return {str(path): path.read_bytes() if path.is_file() else None for path in found}


async def refused(store: Opened, request: Request, ctx: CallContext, root: Path) -> None:
    """A call is refused, and touches nothing."""
    before = names(root)
    with pytest.raises(Precondition) as error:
        await store.call(request, ctx)
    assert error.value.state == "fenced"
    assert names(root) == before
