"""The plug-in's root: what the driver is called and how its stores are opened."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import ClassVar

import msgspec

from holdfast.concurrency.runtime import runtime
from holdfast.contract.errors import Unavailable
from holdfast.contract.ports import ImageDriver, LifeCycle, PrimaryDriver, Provider
from holdfast.contract.requests import Role, ScopeKind
from holdfast.contract.testbed import TestbedFactory, TestbedKind
from holdfast_drivers.local.config import LocalConfig, image_capabilities, primary_capabilities
from holdfast_drivers.local.errors import driver_error
from holdfast_drivers.local.features import Features, find_features
from holdfast_drivers.local.image_driver import LocalImageDriver
from holdfast_drivers.local.lifecycle import LocalLifeCycle, StoreFolder
from holdfast_drivers.local.primary_driver import LocalPrimaryDriver
from holdfast_drivers.local.store_folder import Place
from holdfast_drivers.local.testbed import attached_testbed, local_testbed


class LocalProvider(Provider):
    """Volumes and objects in a folder of this host."""

    name: ClassVar[str] = "local"
    roles: ClassVar[tuple[Role, ...]] = (Role.PRIMARY, Role.IMAGE)
    scopes: ClassVar[tuple[ScopeKind, ...]] = (ScopeKind.HOST,)
    config_type: ClassVar[type[msgspec.Struct]] = LocalConfig

    @asynccontextmanager
    async def primary(self, config: msgspec.Struct) -> AsyncIterator[PrimaryDriver]:
        place, features = await _open(config, Role.PRIMARY)
        local = _local(config)
        yield LocalPrimaryDriver(place, primary_capabilities(local, features), local.attach)

    @asynccontextmanager
    async def image(self, config: msgspec.Struct) -> AsyncIterator[ImageDriver]:
        place, features = await _open(config, Role.IMAGE)
        yield LocalImageDriver(place, image_capabilities(features))

    def life_cycle(
        self, config: msgspec.Struct, role: Role
    ) -> AbstractAsyncContextManager[LifeCycle]:
        return _life_cycle(_local(config), role)

    def testbeds(self) -> Mapping[TestbedKind, TestbedFactory]:
        return {TestbedKind.EMBEDDED: local_testbed}

    def testbed_variants(self) -> Mapping[str, TestbedFactory]:
        return {f"{TestbedKind.EMBEDDED}:daemon": attached_testbed}


@asynccontextmanager
async def _life_cycle(config: LocalConfig, role: Role) -> AsyncIterator[LifeCycle]:
    hosts_max = 1 if role is Role.PRIMARY else None
    yield LocalLifeCycle(StoreFolder(lambda: Place(config, role), hosts_max))


def _local(config: msgspec.Struct) -> LocalConfig:
    if not isinstance(config, LocalConfig):
        raise TypeError(f"a {type(config).__name__} is no configuration of driver local")
    return config


async def _open(config: msgspec.Struct, role: Role) -> tuple[Place, Features]:
    place = Place(_local(config), role)
    try:
        features = await runtime().run_blocking(find_features, place.root, place.lock)
    except FileNotFoundError as error:
        raise Unavailable(f"root {place.root} cannot be reached: {error.strerror}") from error
    except OSError as error:
        raise driver_error(error) from error
    return place, features
