"""The drivers of the stores in a catalogue: opened at first use, guarded, kept, and closed in the
end.
"""

import asyncio
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Protocol, TypeVar, cast

import msgspec

from holdfast.catalogue.port import Catalogue
from holdfast.identity import ExpectedStore
from holdfast.model.rows import Store
from holdfast.opening import open_image, open_life_cycle, open_primary
from holdfast.plugins import load_provider
from holdfast.ports import ImageDriver, LifeCycle, PrimaryDriver, Provider
from holdfast.requests import Role

T = TypeVar("T")


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


class OpenStores:
    """What is open, by store and port; it ends with ``aclose``."""

    def __init__(self, catalogue: Catalogue, opener: Opener) -> None:
        self._catalogue = catalogue
        self._opener = opener
        self._open: dict[tuple[str, str], tuple[object, AsyncExitStack]] = {}
        self._opening = asyncio.Lock()

    async def primary(self, store: str) -> PrimaryDriver:
        """The driver of a primary store; any ``DriverError`` when it cannot be opened."""
        found = self._open.get((store, "primary"))
        return cast("PrimaryDriver", found[0] if found else await self._enter(store, "primary"))

    async def image(self, store: str) -> ImageDriver:
        """The driver of an image store; as for a primary store."""
        found = self._open.get((store, "image"))
        return cast("ImageDriver", found[0] if found else await self._enter(store, "image"))

    async def life_cycle(self, store: str) -> LifeCycle:
        """The life cycle of a store, which need not be initialized."""
        found = self._open.get((store, "life_cycle"))
        return cast("LifeCycle", found[0] if found else await self._enter(store, "life_cycle"))

    async def _enter(self, store: str, port: str) -> object:
        async with self._opening:
            found = self._open.get((store, port))
            if found is not None:
                return found[0]
            row = await self._catalogue.transact(lambda tx: tx.get(Store, store))
            stack = AsyncExitStack()
            opened: object = await stack.enter_async_context(getattr(self._opener, port)(row))
            self._open[store, port] = (opened, stack)
            return opened

    async def forget(self, store: str) -> None:
        """Close the drivers of a store that was given back; its life cycle may be asked again."""
        for role in Role:
            found = self._open.pop((store, role.value), None)
            if found is not None:
                await found[1].aclose()

    async def aclose(self) -> None:
        """Close everything that is open, last opened first."""
        async with AsyncExitStack() as everything:
            for _, stack in self._open.values():
                everything.push_async_exit(stack)
            self._open = {}
