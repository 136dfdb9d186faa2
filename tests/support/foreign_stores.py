"""A place in which another store stands than the one that is meant: each call and its refusal."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec
import pytest

from holdfast.contract import answers, requests
from holdfast.contract.answers import HealthState
from holdfast.contract.capabilities import ObjectKind
from holdfast.contract.errors import Conflict, DriverError, ErrorKind, Precondition, Unsupported
from holdfast.contract.identity import ANY_STORE, ExpectedStore
from holdfast.contract.ports import ImageDriver, LifeCycle, PrimaryDriver, Provider
from holdfast.contract.requests import CallContext, PartReference, Request, Role, verb_of
from holdfast.data.whole_objects import ObjectName, put_object
from holdfast.layers import ImageGuard, PrimaryGuard
from holdfast.layers.request_checks import IMAGE_CHECKS, PRIMARY_CHECKS
from holdfast.stores.open_store import open_image, open_life_cycle, open_primary

MEANT = ExpectedStore(("store-meant",), "gold")
KEY = "the-key"
FOREIGN = ("this is store silver (store-foreign)", "gold (store-meant) was expected")
MISSING = ("there is no store here", "gold (store-meant) was expected")
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
    requests.UploadPart(upload="begun", number=1, data=b"x"),
    requests.UploadPart(upload="absent", number=1, data=b"x"),
    requests.CompleteUpload(upload="absent", parts=(_PART,), size_bytes=1, sha256="0" * 64),
    requests.AbortUpload(upload="absent"),
    requests.GetObject(key=KEY),
    requests.GetObject(key="absent"),
    requests.OpenObject(key=KEY),
    requests.OpenObject(key="absent"),
    requests.HeadObject(key=KEY),
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
                assert isinstance(found, answers.Undetermined), (request, found)


@dataclass(frozen=True)
class EmptyPlace:
    """A place of a running testbed in which there is no store, and its life cycle."""

    provider: Provider
    config: msgspec.Struct
    role: Role
    life_cycle: LifeCycle
    host: str

    async def initialized(self, identity: str, name: str) -> answers.StoreInfo:
        """A store in the place, with a host."""
        request = requests.InitializeStore(name=name, identity=identity)
        await self.life_cycle.initialize(ctx(), request)
        return await self.life_cycle.attach(ctx(), requests.AttachHost(host=self.host))

    async def replaced(self, identity: str = "store-foreign") -> None:
        """Another store stands in the place from now on."""
        await self.life_cycle.detach(ctx(), requests.DetachHost(host=self.host))
        await self.life_cycle.delete_store(ctx(), requests.DeleteStore())
        if identity:
            await self.initialized(identity, "silver")

    @asynccontextmanager
    async def opened(
        self, expected: ExpectedStore = MEANT
    ) -> AsyncIterator[PrimaryDriver | ImageDriver]:
        """A driver of the store that is expected."""
        if self.role is Role.PRIMARY:
            async with open_primary(self.provider, self.config, expected) as primary:
                yield primary
        else:
            async with open_image(self.provider, self.config, expected) as image:
                yield image


async def opening_compares(place: EmptyPlace) -> None:
    """Opening a place compares what it says it is with what is expected."""
    with pytest.raises(Precondition, match=r"there is no store here.*gold"):
        async with place.opened():
            pass
    await place.initialized("store-foreign", "silver")
    with pytest.raises(Precondition) as caught:
        async with place.opened():
            pass
    assert all(said in caught.value.cause for said in FOREIGN)
    await place.replaced("store-meant")
    async with place.opened() as driver:
        assert await driver.stats(ctx(), requests.GetStats())


async def later_ones_are_refused(place: EmptyPlace) -> None:
    """What takes the place of a store that is open is not touched, and neither is nothing."""
    await place.initialized("store-meant", "gold")
    async with place.opened() as driver:
        calls = PRIMARY_CALLS if place.role is Role.PRIMARY else IMAGE_CALLS
        await place.replaced()
        before = await place.life_cycle.get(ctx())
        await _kept(place, driver, calls)
        assert await place.life_cycle.get(ctx()) == before
        await place.replaced("")
        await refused(driver, _declared(driver, calls), *MISSING)
        await knows_nothing(driver, *MISSING)


async def _kept(
    place: EmptyPlace, driver: PrimaryDriver | ImageDriver, calls: Iterable[Request]
) -> None:
    """What is in the other store stays while every call is refused."""
    async with place.opened(ANY_STORE) as other:
        there: tuple[object, ...] = ()
        if isinstance(other, PrimaryDriver):
            made = requests.CreateVolume(key=KEY, size_bytes=1 << 20)
            there = (await other.create_volume(ctx(), made),)
        else:
            there = (await _stored(other),)
            begun = requests.StartUpload(upload="begun", key="new", kind=ObjectKind.TEMPLATE)
            await other.start_upload(ctx(), begun)
        await refused(driver, _declared(driver, calls), *FOREIGN)
        await knows_nothing(driver, *FOREIGN)
        if isinstance(other, PrimaryDriver):
            page = await other.list_volumes(ctx(), requests.ListVolumes())
            assert page.items == there
            await other.delete_volume(ctx(), requests.DeleteVolume(key=KEY))
        else:
            assert (await other.list(ctx(), requests.ListObjects())).items == there
            await other.abort_upload(ctx(), requests.AbortUpload(upload="begun"))
            await other.delete(ctx(), requests.DeleteObject(key=KEY))


async def _stored(driver: ImageDriver) -> answers.ObjectInfo:
    """An object in the other store, under the key that the store which is meant has as well."""
    name = ObjectName(upload="stored", key=KEY, kind=ObjectKind.TEMPLATE)
    return await put_object(driver, ctx, name, once(b"of another store"), size_bytes=16)


async def once(data: bytes) -> AsyncIterator[bytes]:
    yield data


def _declared(driver: PrimaryDriver | ImageDriver, calls: Iterable[Request]) -> list[Request]:
    """The calls that the store can do at all."""
    assert isinstance(driver, PrimaryGuard | ImageGuard)
    return [request for request in calls if _admitted(driver, request)]


def _admitted(driver: PrimaryGuard | ImageGuard, request: Request) -> bool:
    checks = PRIMARY_CHECKS if isinstance(driver, PrimaryGuard) else IMAGE_CHECKS
    try:
        checks[type(request)](request, driver.capabilities)
    except Unsupported:
        return False
    return True


async def its_life_is_not_touched(place: EmptyPlace) -> None:
    """A life cycle refuses to change a place that is another store, and to give it back."""
    before = await place.initialized("store-foreign", "silver")
    async with open_life_cycle(place.provider, place.config, place.role, MEANT) as meant:
        await refused(meant, LIFE_CYCLE_CALLS, *FOREIGN)
    assert await place.life_cycle.get(ctx()) == before


async def one_catalogue_only(place: EmptyPlace) -> None:
    """A place that is a store already is the same one only under the same name and identity."""
    mine = requests.InitializeStore(name="gold", identity="store-meant")
    first = await place.life_cycle.initialize(ctx(), mine)
    assert first.identity == "store-meant"
    assert await place.life_cycle.initialize(ctx(), mine) == first
    for theirs in ("store-foreign", ""):
        request = requests.InitializeStore(name="gold", identity=theirs)
        with pytest.raises(Conflict, match=r"another store named 'gold'.*store-meant"):
            await place.life_cycle.initialize(ctx(), request)
    assert await place.life_cycle.get(ctx()) == first


async def adopted_once(place: EmptyPlace) -> None:
    """A store without an identity is compared by its driver's id; adopting it gives it one."""
    old = await place.initialized("", "gold")
    known = ExpectedStore((old.id, "store-meant"), "gold")
    adopted = requests.AdoptStore(driver_id=old.id, identity="store-meant")
    async with place.opened(known) as driver:
        with pytest.raises(Precondition, match="was expected"):
            async with place.opened():
                pass
        wrong = requests.AdoptStore(driver_id="another", identity="store-meant")
        with pytest.raises(Precondition, match="another was expected"):
            await place.life_cycle.adopt(ctx(), wrong)
        for _ in range(2):
            now = await place.life_cycle.adopt(ctx(), adopted)
            assert now == msgspec.structs.replace(old, identity="store-meant")
        assert await driver.stats(ctx(), requests.GetStats())
    theirs = requests.AdoptStore(driver_id=old.id, identity="store-foreign")
    with pytest.raises(Precondition, match="store-foreign was expected"):
        await place.life_cycle.adopt(ctx(), theirs)
    async with place.opened() as driver:
        assert await driver.stats(ctx(), requests.GetStats())


Story = Callable[[EmptyPlace], Awaitable[None]]
STORIES: tuple[Story, ...] = (
    opening_compares,
    later_ones_are_refused,
    its_life_is_not_touched,
    one_catalogue_only,
    adopted_once,
)
