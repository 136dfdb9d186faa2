"""The plug-in's root for volumes on an NFS server."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import ClassVar

import msgspec

from holdfast.contract.answers import StoreInfo
from holdfast.contract.ports import HostListener, LifeCycle, PrimaryDriver, Provider
from holdfast.contract.requests import AttachHost, CallContext, Role, ScopeKind
from holdfast.contract.testbed import TestbedFactory, TestbedKind
from holdfast_drivers.nfs.agent_entry import ENTRY
from holdfast_drivers.nfs.config import check_setting
from holdfast_drivers.nfs.primary_config import (
    NfsConfig,
    address_of,
    host_config,
)
from holdfast_drivers.nfs.server import BACKEND
from holdfast_drivers.nfs.testbed import nfs_testbed, qcow2_testbed
from holdfast_drivers.servers.server_specs import BackendServer, NeedsServers
from holdfast_drivers.storage_host.agent import Agent
from holdfast_drivers.storage_host.capabilities import storage_host_capabilities
from holdfast_drivers.storage_host.connection import GrantReplay, open_agent
from holdfast_drivers.storage_host.driver import StorageHostDriver
from holdfast_drivers.storage_host.lifecycle import StorageHostLifeCycle


class NfsProvider(Provider, NeedsServers):
    """Volumes as files on a storage host, each grant an export of nfs-ganesha."""

    name: ClassVar[str] = "nfs"
    roles: ClassVar[tuple[Role, ...]] = (Role.PRIMARY,)
    scopes: ClassVar[tuple[ScopeKind, ...]] = (ScopeKind.CLUSTER, ScopeKind.ZONE)
    config_type: ClassVar[type[msgspec.Struct]] = NfsConfig

    @asynccontextmanager
    async def primary(self, config: msgspec.Struct) -> AsyncIterator[PrimaryDriver]:
        settings = _nfs(config)
        async with _agent(settings) as agent:
            features = await agent.features()
            yield StorageHostDriver(
                agent, storage_host_capabilities(settings, features, settings.format)
            )

    def life_cycle(
        self, config: msgspec.Struct, role: Role
    ) -> AbstractAsyncContextManager[LifeCycle]:
        return _life_cycle(_nfs(config))

    def host_listener(self, config: msgspec.Struct) -> HostListener:
        settings = _nfs(config)
        return GrantReplay(lambda: _agent(settings))

    def testbeds(self) -> Mapping[TestbedKind, TestbedFactory]:
        return {TestbedKind.CONTAINER: nfs_testbed}

    def testbed_variants(self) -> Mapping[str, TestbedFactory]:
        return {"container:qcow2": qcow2_testbed}

    def servers(self) -> tuple[BackendServer, ...]:
        return (BACKEND,)


class NfsLifeCycle(StorageHostLifeCycle):
    """A folder of the storage host becomes a store; hosts are known to it by their addresses."""

    def __init__(self, agent: Agent, config: NfsConfig) -> None:
        super().__init__(agent)
        self._config = config

    async def attach(self, ctx: CallContext, request: AttachHost) -> StoreInfo:
        address_of(self._config.hosts, request.host)
        return await super().attach(ctx, request)


def _agent(config: NfsConfig) -> AbstractAsyncContextManager[Agent]:
    check_setting("server", config.server)
    return open_agent(config, ENTRY, host_config(config))


@asynccontextmanager
async def _life_cycle(config: NfsConfig) -> AsyncIterator[LifeCycle]:
    async with _agent(config) as agent:
        yield NfsLifeCycle(agent, config)


def _nfs(config: msgspec.Struct) -> NfsConfig:
    if not isinstance(config, NfsConfig):
        raise TypeError(f"a {type(config).__name__} is no configuration of driver nfs")
    return config
