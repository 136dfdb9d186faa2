"""The drivers of the stores in a catalogue: opened at first use, guarded, kept, and closed in the
end.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol, TypeVar, cast

import msgspec

from holdfast.catalogue.port import Catalogue
from holdfast.concurrency.lanes import STORE_THREADS, Lane, in_lane
from holdfast.concurrency.runtime import runtime, watching
from holdfast.contract.errors import Unavailable
from holdfast.contract.identity import ExpectedStore
from holdfast.contract.ports import ImageDriver, LifeCycle, PrimaryDriver, Provider
from holdfast.contract.requests import Role
from holdfast.model.rows import Store
from holdfast.stores.driver_calls import CalledDriver
from holdfast.stores.host_credential import host_credential
from holdfast.stores.open_store import open_image, open_life_cycle, open_primary
from holdfast.stores.plugins import load_provider
from holdfast.stores.store_secrets import with_secrets

T = TypeVar("T")
_PORTS = (*(role.value for role in Role), "life_cycle")


def expected_store(store: Store) -> ExpectedStore:
    """What the place of a store must say it is."""
    if store.identity:
        return ExpectedStore((store.identity,), store.name)
    return ExpectedStore((store.driver_id, store.id) if store.driver_id else (), store.name)


class Opener(Protocol):
    """Opens the ports of one store from its row."""

    def primary(self, store: Store) -> AbstractAsyncContextManager[PrimaryDriver]:
        """The driver of a primary store."""
        ...

    def image(self, store: Store) -> AbstractAsyncContextManager[ImageDriver]:
        """The driver of an image store."""
        ...

    def life_cycle(self, store: Store) -> AbstractAsyncContextManager[LifeCycle]:
        """The store's life cycle."""
        ...


class PluginOpener:
    """Opens stores with the installed providers; every driver is guarded."""

    def __init__(self) -> None:
        self._providers: dict[str, Provider] = {}

    def primary(self, store: Store) -> AbstractAsyncContextManager[PrimaryDriver]:
        """The guarded driver; ``ConfigurationError`` when the provider is not installed."""
        return open_primary(*self._configured(store), expected_store(store))

    def image(self, store: Store) -> AbstractAsyncContextManager[ImageDriver]:
        """As for a primary store."""
        return open_image(*self._configured(store), expected_store(store))

    def life_cycle(self, store: Store) -> AbstractAsyncContextManager[LifeCycle]:
        """As for a primary store."""
        provider, config = self._configured(store)
        return open_life_cycle(provider, config, store.role, expected_store(store))

    def _configured(self, store: Store) -> tuple[Provider, msgspec.Struct]:
        provider = self._providers.get(store.provider)
        if provider is None:
            provider = self._providers[store.provider] = load_provider(store.provider)
        return provider, msgspec.json.decode(store.config, type=provider.config_type)


class _Keeper:
    """One opened port: a task of its own enters it, keeps it, and leaves it again.

    Nothing that becomes of those who wait for it cuts an opening or a closing off in the middle.
    """

    def __init__(
        self, enter: Callable[[], Awaitable[AbstractAsyncContextManager[object]]], lane: Lane
    ) -> None:
        self.opened: asyncio.Future[CalledDriver] = asyncio.get_running_loop().create_future()
        self._leave = asyncio.Event()
        # Whose step happens to open a store is not who has to wait for what opening leaves behind.
        with watching(None), in_lane(lane):
            self.task = asyncio.create_task(self._keep(enter, lane), name="open store")

    async def _keep(
        self, enter: Callable[[], Awaitable[AbstractAsyncContextManager[object]]], lane: Lane
    ) -> None:
        try:
            async with await enter() as driver:
                if self.opened.done():  # given up, by a driver that goes on when it is cancelled
                    return
                self.opened.set_result(CalledDriver(driver, lane))
                await self._leave.wait()
        except BaseException as failure:
            if self.opened.done():
                raise
            if isinstance(failure, asyncio.CancelledError):
                self._tell(Unavailable("opening the store was cancelled from within"))
                raise
            self._tell(failure)

    def _tell(self, failure: BaseException) -> None:
        """Whoever waits goes on with this; it may be that nobody waits any more."""
        self.opened.set_exception(failure)
        self.opened.exception()

    @property
    def failed(self) -> bool:
        """Whether it could not be opened, or is open no more."""
        opened = self.opened
        return (opened.done() and opened.exception() is not None) or self.task.done()

    def leave(self) -> asyncio.Task[None]:
        """Begin to close; what is not open yet is given up. The task ends when it is closed."""
        self._leave.set()
        if not self.opened.done():
            self.task.cancel()
            # Told here, since a task that is cancelled before it has begun tells nobody.
            self._tell(Unavailable("the store was closed while it was opened"))
        return self.task


class OpenStores:
    """What is open, by store and port; it ends with ``aclose``.

    Each store has a lane of its own and each port is opened by itself, so that a store that does
    not answer stops neither the opening nor the calls of another.
    """

    def __init__(self, catalogue: Catalogue, opener: Opener) -> None:
        self._catalogue = catalogue
        self._opener = opener
        self._keepers: dict[tuple[str, str], _Keeper] = {}
        self._open: dict[tuple[str, str], CalledDriver] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._lanes: dict[str, Lane] = {}

    async def primary(self, store: str) -> PrimaryDriver:
        """The driver of a primary store; any ``DriverError`` when it cannot be opened."""
        return cast("PrimaryDriver", await self._entered(store, "primary"))

    async def image(self, store: str) -> ImageDriver:
        """The driver of an image store; as for a primary store."""
        return cast("ImageDriver", await self._entered(store, "image"))

    async def life_cycle(self, store: str) -> LifeCycle:
        """The life cycle of a store, which need not be initialized."""
        return cast("LifeCycle", await self._entered(store, "life_cycle"))

    async def credential(self, store: str, host: str) -> str:
        """The secret by which a host presents itself to a store, made at its first use."""
        return await host_credential(store, host, self._catalogue.secrets)

    def lane(self, store: str) -> Lane:
        """Where the blocking work of a store is done."""
        found = self._lanes.get(store)
        if found is None:
            found = self._lanes[store] = runtime().open_lane(STORE_THREADS)
        return found

    async def _entered(self, store: str, port: str) -> object:
        place = (store, port)
        driver = self._open.get(place)
        if driver is not None:
            return driver
        found = self._keepers.get(place)
        if found is None or found.failed:
            found = self._keepers[place] = _Keeper(
                lambda: self._manager(store, port), self.lane(store)
            )
        driver = await asyncio.shield(found.opened)
        if self._keepers.get(place) is found:
            self._open[place] = driver
        return driver

    async def _manager(self, store: str, port: str) -> AbstractAsyncContextManager[object]:
        row = await self._catalogue.transact(lambda tx: tx.get(Store, store))
        row = await with_secrets(row, self._catalogue.secrets)
        opened: AbstractAsyncContextManager[object] = getattr(self._opener, port)(row)
        return opened

    async def forget(self, store: str) -> None:
        """Close all that is open of a store that was given back, and its lane after that.

        Whoever asks for one of its ports again, as a recovery may, opens that anew.
        """
        lane = self._lanes.pop(store, None)
        places = [(store, port) for port in _PORTS]
        for place in places:
            self._open.pop(place, None)
        found = [keeper for place in places if (keeper := self._keepers.pop(place, None))]
        closing = {keeper.leave() for keeper in found}
        self._leaving.update(closing)
        left = set(closing)

        def closed(task: asyncio.Task[None]) -> None:
            self._leaving.discard(task)
            left.discard(task)
            if not left and lane is not None:
                lane.close()

        if not closing:
            if lane is not None:
                lane.close()
            return
        for task in closing:
            task.add_done_callback(closed)
        await asyncio.wait(closing)
        for task in closing:
            if not task.cancelled():  # that it is cancelled is nothing to whoever closes it
                task.result()

    async def aclose(self) -> None:
        """Close everything that is open, all at once: one that does not close stops no other."""
        self._leaving.update(keeper.leave() for keeper in self._keepers.values())
        self._keepers, self._open = {}, {}
        ended = await asyncio.gather(*self._leaving, return_exceptions=True)
        for lane in self._lanes.values():
            lane.close()
        for failure in ended:
            if isinstance(failure, Exception):
                raise failure
