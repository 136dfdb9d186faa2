"""Acme's shelves: a primary store as one folder with a database."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import ClassVar

import msgspec

from acme_shelf.config import ShelfConfig
from acme_shelf.driver import ShelfDriver
from acme_shelf.lifecycle import ShelfLifeCycle
from acme_shelf.shelf import Shelf
from acme_shelf.testbed import shelf_testbed
from holdfast.contract.ports import LifeCycle, PrimaryDriver, Provider
from holdfast.contract.requests import Role, ScopeKind
from holdfast.contract.testbed import TestbedFactory, TestbedKind

__all__ = ["ShelfProvider"]


class ShelfProvider(Provider):
    """What Holdfast finds by the entry point ``acme-shelf``."""

    name: ClassVar[str] = "acme-shelf"
    roles: ClassVar[tuple[Role, ...]] = (Role.PRIMARY,)
    scopes: ClassVar[tuple[ScopeKind, ...]] = (ScopeKind.HOST,)
    config_type: ClassVar[type[msgspec.Struct]] = ShelfConfig

    @asynccontextmanager
    async def primary(self, config: msgspec.Struct) -> AsyncIterator[PrimaryDriver]:
        assert isinstance(config, ShelfConfig)
        yield ShelfDriver(Shelf(config))

    def life_cycle(
        self, config: msgspec.Struct, role: Role
    ) -> AbstractAsyncContextManager[LifeCycle]:
        assert isinstance(config, ShelfConfig)
        return _life_cycle(config)

    def testbeds(self) -> Mapping[TestbedKind, TestbedFactory]:
        return {TestbedKind.EMBEDDED: shelf_testbed}


@asynccontextmanager
async def _life_cycle(config: ShelfConfig) -> AsyncIterator[LifeCycle]:
    yield ShelfLifeCycle(Shelf(config))
