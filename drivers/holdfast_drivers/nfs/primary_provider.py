"""The plug-in's root for volumes on an NFS server."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import ClassVar

import msgspec

from holdfast.backends.specs import BackendServer
from holdfast.channel import Channel
from holdfast.channel.local import LocalChannel
from holdfast.channel.ssh import SshChannel, SshPlace
from holdfast.errors import Invalid
from holdfast.infos import HealthInfo, StoreInfo
from holdfast.ports import HostListener, LifeCycle, PrimaryDriver, Provider
from holdfast.remote.client import RemoteClient
from holdfast.remote.sharing import shared_client
from holdfast.requests import AttachHost, CallContext, CheckHealth, Role, ScopeKind
from holdfast.testbed import TestbedFactory, TestbedKind
from holdfast_drivers.local.hosted import Agent, HostedLifeCycle, HostedPrimaryDriver
from holdfast_drivers.nfs.config import check_setting
from holdfast_drivers.nfs.host import ENTRY
from holdfast_drivers.nfs.primary_config import (
    NfsConfig,
    address_of,
    capabilities,
    check_root,
    host_config,
)
from holdfast_drivers.nfs.server import BACKEND
from holdfast_drivers.nfs.testbed import nfs_testbed, qcow2_testbed


class NfsProvider(Provider):
    """Volumes as files on a storage host, each grant an export of nfs-ganesha."""

    name: ClassVar[str] = "nfs"
    roles: ClassVar[tuple[Role, ...]] = (Role.PRIMARY,)
    scopes: ClassVar[tuple[ScopeKind, ...]] = (ScopeKind.CLUSTER, ScopeKind.ZONE)
    config_type: ClassVar[type[msgspec.Struct]] = NfsConfig

    @asynccontextmanager
    async def primary(self, config: msgspec.Struct) -> AsyncIterator[PrimaryDriver]:
        told = _nfs(config)
        async with _agent(told) as agent:
            yield HostedPrimaryDriver(agent, capabilities(told, await agent.features()))

    def life_cycle(
        self, config: msgspec.Struct, role: Role
    ) -> AbstractAsyncContextManager[LifeCycle]:
        return _life_cycle(_nfs(config))

    def host_listener(self, config: msgspec.Struct) -> HostListener:
        return NfsHostListener(_nfs(config))

    def testbeds(self) -> Mapping[TestbedKind, TestbedFactory]:
        return {TestbedKind.CONTAINER: nfs_testbed}

    def testbed_variants(self) -> Mapping[str, TestbedFactory]:
        return {"container:qcow2": qcow2_testbed}

    def servers(self) -> tuple[BackendServer, ...]:
        return (BACKEND,)


class NfsLifeCycle(HostedLifeCycle):
    """A folder of the storage host becomes a store; hosts are known to it by their addresses."""

    def __init__(self, agent: Agent, config: NfsConfig) -> None:
        super().__init__(agent)
        self._config = config

    async def attach(self, ctx: CallContext, request: AttachHost) -> StoreInfo:
        address_of(self._config.hosts, request.host)
        return await super().attach(ctx, request)


class NfsHostListener(HostListener):
    """Has ganesha told of all grants again when a host comes, as every verb does."""

    def __init__(self, config: NfsConfig) -> None:
        self._config = config

    async def host_connected(self, ctx: CallContext, host: str) -> None:
        async with _agent(self._config) as agent:
            await agent.call(ctx, CheckHealth(), HealthInfo)

    async def host_disconnected(self, ctx: CallContext, host: str) -> None:
        """Nothing is released: a host that is out of reach may still write."""


@asynccontextmanager
async def _agent(config: NfsConfig) -> AsyncIterator[Agent]:
    """The agent of a store, started when it is first asked, and ended by the last who has it."""
    told = msgspec.msgpack.encode(host_config(config))

    def make() -> RemoteClient:
        return RemoteClient(
            _channel(config),
            ENTRY,
            told,
            python=(config.python,),
            socket=config.agent_socket,
        )

    async with shared_client(msgspec.msgpack.encode(config), make) as client:
        yield Agent(client)


def _channel(config: NfsConfig) -> Channel:
    check_setting("server", config.server)
    check_root(config)
    for host in config.hosts:
        address_of(config.hosts, host)
    if not config.ssh_host:
        return LocalChannel()
    if not config.key_file or not config.known_hosts_file:
        raise Invalid("with ssh_host, the settings key_file and known_hosts_file are needed")
    return SshChannel(
        SshPlace(
            host=config.ssh_host,
            port=config.ssh_port,
            user=config.ssh_user,
            key_file=config.key_file,
            known_hosts_file=config.known_hosts_file,
        )
    )


@asynccontextmanager
async def _life_cycle(config: NfsConfig) -> AsyncIterator[LifeCycle]:
    async with _agent(config) as agent:
        yield NfsLifeCycle(agent, config)


def _nfs(config: msgspec.Struct) -> NfsConfig:
    if not isinstance(config, NfsConfig):
        raise TypeError(f"a {type(config).__name__} is no configuration of driver nfs")
    return config
