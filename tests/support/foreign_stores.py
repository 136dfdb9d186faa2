"""A place in which another store stands than the one that is meant: each call and its refusal."""

import asyncio
from collections.abc import Iterable

import pytest

from holdfast import infos, requests
from holdfast.capabilities import ObjectKind
from holdfast.errors import DriverError, ErrorKind
from holdfast.identity import ExpectedStore
from holdfast.infos import HealthState
from holdfast.ports import ImageDriver, LifeCycle, PrimaryDriver
from holdfast.requests import CallContext, PartReference, Request, verb_of

MEANT = ExpectedStore(("store-meant",), "gold")
KEY = "the-key"
_PART = PartReference(number=1, size_bytes=1, tag="tag")

PRIMARY_CALLS: tuple[Request, ...] = (
    requests.CreateVolume(key="new", size_bytes=1 << 20),
    requests.GetVolume(key=KEY),
    requests.GetVolume(key="absent"),
    requests.ListVolumes(),
    requests.DeleteVolume(key=KEY),
    requests.DeleteVolume(key="absent"),
    requests.ResizeVolume(key=KEY, size_bytes=4 << 20),
    requests.RevertVolume(key=KEY, snapshot="snapshot"),
    requests.CreateSnapshot(key="new", volume=KEY),
    requests.GetSnapshot(key="absent"),
    requests.ListSnapshots(),
    requests.DeleteSnapshot(key="absent"),
    requests.Grant(volume=KEY, host="host"),
    requests.Revoke(volume=KEY, host="host"),
    requests.Open(volume=KEY, host="host"),
    requests.ListPools(),
    requests.GetStats(),
)
IMAGE_CALLS: tuple[Request, ...] = (
    requests.StartUpload(upload="new", key="new", kind=ObjectKind.TEMPLATE),
    requests.UploadPart(upload="absent", number=1, data=b"x"),
    requests.CompleteUpload(upload="absent", parts=(_PART,), size_bytes=1, sha256="0" * 64),
    requests.AbortUpload(upload="absent"),
    requests.GetObject(key="absent"),
    requests.OpenObject(key="absent"),
    requests.HeadObject(key="absent"),
    requests.ListObjects(),
    requests.DeleteObject(key=KEY),
    requests.DeleteObject(key="absent"),
    requests.GetStats(),
)
LIFE_CYCLE_CALLS: tuple[Request, ...] = (
    requests.AttachHost(host="stranger"),
    requests.DetachHost(host="host"),
    requests.MaintainStore(),
    requests.CancelMaintenance(),
    requests.DeleteStore(),
)
PROBED: tuple[Request, ...] = (
    requests.DeleteVolume(key="absent"),
    requests.CreateVolume(key="absent", size_bytes=1 << 20),
    requests.DeleteObject(key="absent"),
    requests.AbortUpload(upload="absent"),
)


def ctx() -> CallContext:
    return CallContext(operation="op-foreign", deadline=asyncio.get_running_loop().time() + 60)


async def refused(port: object, calls: Iterable[Request], *says: str) -> None:
    """Every call is refused as finally untouched, with a message that names both stores."""
    for request in calls:
        with pytest.raises(DriverError) as caught:
            await getattr(port, verb_of(request))(ctx(), request)
        _names_both(caught.value, *says)


def _names_both(error: DriverError, *says: str) -> None:
    assert error.kind is ErrorKind.PRECONDITION, error
    assert error.final
    assert all(said in error.cause for said in says), error.cause


async def knows_nothing(driver: PrimaryDriver | ImageDriver, *says: str) -> None:
    """What only looks does not take what it sees for the truth about the store that is meant."""
    health = await driver.health(ctx(), requests.CheckHealth())
    assert health.state is HealthState.DOWN, health
    with pytest.raises(DriverError) as caught:
        _ = [thing async for thing in driver.enumerate(ctx(), requests.EnumerateOwned())]
    _names_both(caught.value, *says)
    for request in PROBED:
        if isinstance(request, requests.PrimaryRequest) is isinstance(driver, PrimaryDriver):
            try:
                found = await driver.probe(ctx(), verb_of(request), request)
            except DriverError as error:
                _names_both(error, *says)
            else:
                assert isinstance(found, infos.Undetermined), (request, found)


async def initialized(life_cycle: LifeCycle, identity: str, name: str) -> infos.StoreInfo:
    """A store in the place, with a host."""
    request = requests.InitializeStore(name=name, identity=identity)
    await life_cycle.initialize(ctx(), request)
    return await life_cycle.attach(ctx(), requests.AttachHost(host="host"))
