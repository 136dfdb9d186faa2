"""The plug-in's root: what the driver is called and how its stores are opened."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import ClassVar

import msgspec

from holdfast.backends.specs import BackendServer
from holdfast.channel import Channel
from holdfast.channel.local import LocalChannel
from holdfast.channel.ssh import SshChannel, SshPlace
from holdfast.ports import HostListener, LifeCycle, PrimaryDriver, Provider
from holdfast.remote.client import RemoteClient
from holdfast.remote.sharing import shared_client
from holdfast.requests import CallContext, CheckHealth, Role, ScopeKind
from holdfast.testbed import TestbedFactory, TestbedKind
from holdfast_drivers.iscsi.config import IscsiConfig, capabilities, host_config
from holdfast_drivers.iscsi.host import ENTRY
from holdfast_drivers.iscsi.lifecycle import IscsiLifeCycle
from holdfast_drivers.iscsi.testbed import TGT, iscsi_testbed
from holdfast_drivers.local.hosted import Agent, HostedPrimaryDriver


class IscsiProvider(Provider):
    """Volumes on a storage host, used over iSCSI."""

    name: ClassVar[str] = "iscsi"
    roles: ClassVar[tuple[Role, ...]] = (Role.PRIMARY,)
    scopes: ClassVar[tuple[ScopeKind, ...]] = (ScopeKind.CLUSTER, ScopeKind.ZONE)
    config_type: ClassVar[type[msgspec.Struct]] = IscsiConfig
    secret_fields: ClassVar[tuple[str, ...]] = ("mutual_secret",)

    @asynccontextmanager
    async def primary(self, config: msgspec.Struct) -> AsyncIterator[PrimaryDriver]:
        told = _iscsi(config)
        async with _agent(told) as agent:
            yield HostedPrimaryDriver(agent, capabilities(told, await agent.features()))

    def life_cycle(
        self, config: msgspec.Struct, role: Role
    ) -> AbstractAsyncContextManager[LifeCycle]:
        return _life_cycle(_iscsi(config))

    def host_listener(self, config: msgspec.Struct) -> HostListener:
        return IscsiHostListener(_iscsi(config))

    def testbeds(self) -> Mapping[TestbedKind, TestbedFactory]:
        return {TestbedKind.CONTAINER: iscsi_testbed}

    def servers(self) -> tuple[BackendServer, ...]:
        return (BackendServer(name="tgt", images=(TGT,)),)


class IscsiHostListener(HostListener):
    """Has tgt told of all grants again when a host comes, as every verb does."""

    def __init__(self, config: IscsiConfig) -> None:
        self._config = config

    async def host_connected(self, ctx: CallContext, host: str) -> None:
        async with _agent(self._config) as agent:
            await agent.call(ctx, CheckHealth(), msgspec.Struct)

    async def host_disconnected(self, ctx: CallContext, host: str) -> None:
        """Nothing is released: a host that is out of reach may still write."""


@asynccontextmanager
async def _agent(config: IscsiConfig) -> AsyncIterator[Agent]:
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

    async with shared_client(config, make) as client:
        yield Agent(client)


def _channel(config: IscsiConfig) -> Channel:
    if not config.ssh_host:
        return LocalChannel()
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
async def _life_cycle(config: IscsiConfig) -> AsyncIterator[LifeCycle]:
    async with _agent(config) as agent:
        yield IscsiLifeCycle(agent)


def _iscsi(config: msgspec.Struct) -> IscsiConfig:
    if not isinstance(config, IscsiConfig):
        raise TypeError(f"a {type(config).__name__} is no configuration of driver iscsi")
    return config
