"""Drivers that say more than anybody reads, or declare what no store can be."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import ClassVar

import msgspec

from holdfast.contract.answers import VolumeInfo
from holdfast.contract.capabilities import PrimaryCapabilities
from holdfast.contract.errors import Conflict
from holdfast.contract.ports import PrimaryDriver, Provider
from holdfast.contract.requests import CallContext, CreateVolume, Role
from holdfast.contract.testbed import TestbedFactory, TestbedKind
from holdfast.stores.plugins import load_provider

LONG = 1 << 18
_MEMORY = load_provider("memory")


class _Loud:
    """The memory driver, whose errors tell a story without an end."""

    def __init__(self, driver: PrimaryDriver) -> None:
        self._driver = driver

    def __getattr__(self, name: str) -> object:
        return getattr(self._driver, name)

    async def create_volume(self, ctx: CallContext, request: CreateVolume) -> VolumeInfo:
        raise Conflict("\x1b[2J\u202e" + "no " * (LONG // 3), object="o" * LONG)


class LoudProvider(Provider):
    """Refuses every volume, at length."""

    name: ClassVar[str] = "loud"
    roles: ClassVar[tuple[Role, ...]] = (Role.PRIMARY,)
    scopes = _MEMORY.scopes
    config_type = _MEMORY.config_type

    def testbeds(self) -> Mapping[TestbedKind, TestbedFactory]:
        return _MEMORY.testbeds()

    def life_cycle(self, config, role):  # type: ignore[no-untyped-def]
        return _MEMORY.life_cycle(config, role)

    @asynccontextmanager
    async def primary(self, config: msgspec.Struct) -> AsyncIterator[PrimaryDriver]:
        async with _MEMORY.primary(config) as driver:
            yield _Loud(driver)  # type: ignore[misc]


class _Nonsense(_Loud):
    @property
    def capabilities(self) -> PrimaryCapabilities:
        declared = self._driver.capabilities
        volume = msgspec.structs.replace(declared.volume, size_granularity_bytes=0)
        return msgspec.structs.replace(declared, volume=volume)


class NonsenseProvider(LoudProvider):
    """Declares sizes in steps of nothing."""

    name: ClassVar[str] = "nonsense"

    @asynccontextmanager
    async def primary(self, config: msgspec.Struct) -> AsyncIterator[PrimaryDriver]:
        async with _MEMORY.primary(config) as driver:
            yield _Nonsense(driver)  # type: ignore[misc]
