"""The plug-in's root: what the driver is called and how its stores are opened."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import ClassVar

import msgspec

from holdfast.contract.ports import ImageDriver, LifeCycle, Provider
from holdfast.contract.requests import Role, ScopeKind
from holdfast.contract.testbed import TestbedFactory, TestbedKind
from holdfast_drivers.servers.server_specs import BackendServer, NeedsServers
from holdfast_drivers.swift.config import SwiftConfig
from holdfast_drivers.swift.connection import open_connection
from holdfast_drivers.swift.gateway.server import GATEWAY_IMAGE
from holdfast_drivers.swift.gateway.testbed import gateway_testbed
from holdfast_drivers.swift.image_driver import SwiftImageDriver
from holdfast_drivers.swift.lifecycle import SwiftLifeCycle
from holdfast_drivers.swift.server_recipe import SWIFT_IMAGE
from holdfast_drivers.swift.testbed import swift_testbed


class SwiftProvider(Provider, NeedsServers):
    """Objects in an account of OpenStack Swift, or of anything that speaks as it does."""

    name: ClassVar[str] = "swift"
    roles: ClassVar[tuple[Role, ...]] = (Role.IMAGE,)
    scopes: ClassVar[tuple[ScopeKind, ...]] = (ScopeKind.REGION, ScopeKind.ZONE)
    config_type: ClassVar[type[msgspec.Struct]] = SwiftConfig
    secret_fields: ClassVar[tuple[str, ...]] = ("key",)

    @asynccontextmanager
    async def image(self, config: msgspec.Struct) -> AsyncIterator[ImageDriver]:
        async with open_connection(_swift(config)) as connection:
            yield SwiftImageDriver(connection)

    @asynccontextmanager
    async def life_cycle(self, config: msgspec.Struct, role: Role) -> AsyncIterator[LifeCycle]:
        async with open_connection(_swift(config)) as connection:
            yield SwiftLifeCycle(connection)

    def testbeds(self) -> Mapping[TestbedKind, TestbedFactory]:
        return {TestbedKind.CONTAINER: swift_testbed}

    def testbed_variants(self) -> Mapping[str, TestbedFactory]:
        return {"container:gateway": gateway_testbed}

    def servers(self) -> tuple[BackendServer, ...]:
        return (
            BackendServer(name="swift", images=(SWIFT_IMAGE,)),
            BackendServer(name="swift gateway", images=(GATEWAY_IMAGE,)),
        )


def _swift(config: msgspec.Struct) -> SwiftConfig:
    if not isinstance(config, SwiftConfig):
        raise TypeError(f"a {type(config).__name__} is no configuration of driver swift")
    return config
