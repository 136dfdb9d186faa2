"""The plug-in's root: what the driver is called and how its stores are opened."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import ClassVar

import msgspec

from holdfast.contract.ports import HostListener, LifeCycle, PrimaryDriver, Provider
from holdfast.contract.requests import Role, ScopeKind
from holdfast.contract.testbed import TestbedFactory, TestbedKind
from holdfast_drivers.iscsi.agent_entry import ENTRY
from holdfast_drivers.iscsi.config import IscsiConfig, host_config
from holdfast_drivers.iscsi.testbed import TGT, iscsi_testbed
from holdfast_drivers.servers.server_specs import BackendServer, NeedsServers
from holdfast_drivers.storage_host.agent import Agent
from holdfast_drivers.storage_host.capabilities import storage_host_capabilities
from holdfast_drivers.storage_host.connection import GrantReplay, open_agent
from holdfast_drivers.storage_host.driver import StorageHostDriver
from holdfast_drivers.storage_host.lifecycle import StorageHostLifeCycle


class IscsiProvider(Provider, NeedsServers):
    """Volumes on a storage host, used over iSCSI."""

    name: ClassVar[str] = "iscsi"
    roles: ClassVar[tuple[Role, ...]] = (Role.PRIMARY,)
    scopes: ClassVar[tuple[ScopeKind, ...]] = (ScopeKind.CLUSTER, ScopeKind.ZONE)
    config_type: ClassVar[type[msgspec.Struct]] = IscsiConfig
    secret_fields: ClassVar[tuple[str, ...]] = ("mutual_secret",)

    @asynccontextmanager
    async def primary(self, config: msgspec.Struct) -> AsyncIterator[PrimaryDriver]:
        settings = _iscsi(config)
        async with _agent(settings) as agent:
            yield StorageHostDriver(
                agent, storage_host_capabilities(settings, await agent.features())
            )

    def life_cycle(
        self, config: msgspec.Struct, role: Role
    ) -> AbstractAsyncContextManager[LifeCycle]:
        return _life_cycle(_iscsi(config))

    def host_listener(self, config: msgspec.Struct) -> HostListener:
        settings = _iscsi(config)
        return GrantReplay(lambda: _agent(settings))

    def testbeds(self) -> Mapping[TestbedKind, TestbedFactory]:
        return {TestbedKind.CONTAINER: iscsi_testbed}

    def servers(self) -> tuple[BackendServer, ...]:
        return (BackendServer(name="tgt", images=(TGT,)),)


def _agent(config: IscsiConfig) -> AbstractAsyncContextManager[Agent]:
    return open_agent(config, ENTRY, host_config(config))


@asynccontextmanager
async def _life_cycle(config: IscsiConfig) -> AsyncIterator[LifeCycle]:
    async with _agent(config) as agent:
        yield StorageHostLifeCycle(agent)


def _iscsi(config: msgspec.Struct) -> IscsiConfig:
    if not isinstance(config, IscsiConfig):
        raise TypeError(f"a {type(config).__name__} is no configuration of driver iscsi")
    return config
