"""The plug-in's root: what the driver is called and how its stores are opened."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import ClassVar

import msgspec

from holdfast.contract.errors import Unauthenticated
from holdfast.contract.ports import ImageDriver, LifeCycle, PrimaryDriver, Provider
from holdfast.contract.requests import Role, ScopeKind
from holdfast.contract.testbed import InsideTestbed, Testbed, TestbedFactory, TestbedKind
from holdfast_drivers.memory.backend import Backend
from holdfast_drivers.memory.config import MemoryConfig
from holdfast_drivers.memory.find_backend import backend_of
from holdfast_drivers.memory.image_driver import MemoryImageDriver
from holdfast_drivers.memory.lifecycle import MemoryLifeCycle
from holdfast_drivers.memory.primary_driver import MemoryPrimaryDriver
from holdfast_drivers.memory.testbed import run_testbed


class MemoryProvider(Provider):
    """Volumes and objects in the memory of this process.

    The four types say what is opened; a mutant replaces one of them.
    """

    name: ClassVar[str] = "memory"
    roles: ClassVar[tuple[Role, ...]] = (Role.PRIMARY, Role.IMAGE)
    scopes: ClassVar[tuple[ScopeKind, ...]] = (ScopeKind.ZONE,)
    config_type: ClassVar[type[msgspec.Struct]] = MemoryConfig
    secret_fields: ClassVar[tuple[str, ...]] = ("token",)

    backend_type: type[Backend] = Backend
    primary_type: type[MemoryPrimaryDriver] = MemoryPrimaryDriver
    image_type: type[MemoryImageDriver] = MemoryImageDriver
    life_cycle_type: type[MemoryLifeCycle] = MemoryLifeCycle

    @asynccontextmanager
    async def primary(self, config: msgspec.Struct) -> AsyncIterator[PrimaryDriver]:
        yield self.primary_type(_accepted(config), _memory(config).namespace)

    @asynccontextmanager
    async def image(self, config: msgspec.Struct) -> AsyncIterator[ImageDriver]:
        yield self.image_type(_accepted(config), _memory(config).namespace)

    @asynccontextmanager
    async def life_cycle(self, config: msgspec.Struct, role: Role) -> AsyncIterator[LifeCycle]:
        yield self.life_cycle_type(_memory(config), role)

    def testbeds(self) -> Mapping[TestbedKind, TestbedFactory]:
        return {TestbedKind.EMBEDDED: InsideTestbed(self._testbed)}

    @asynccontextmanager
    async def _testbed(self, run: str) -> AsyncIterator[Testbed]:
        async with run_testbed(self.backend_type, run) as testbed:
            yield testbed


def _memory(config: msgspec.Struct) -> MemoryConfig:
    if not isinstance(config, MemoryConfig):
        raise TypeError(f"a {type(config).__name__} is no configuration of driver memory")
    return config


def _accepted(config: msgspec.Struct) -> Backend:
    """The backend of a configuration, where it accepts the token."""
    backend = backend_of(_memory(config))
    if _memory(config).token != backend.token:
        raise Unauthenticated(f"memory space {backend.name} does not accept the token")
    return backend
