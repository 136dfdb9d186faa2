"""How this machine reaches the agent of a store: by a channel to its storage host."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import msgspec

from holdfast.contract.answers import HealthInfo
from holdfast.contract.errors import Invalid
from holdfast.contract.ports import HostListener
from holdfast.contract.requests import CallContext, CheckHealth
from holdfast.host_agent.client import RemoteClient
from holdfast.host_agent.shared_clients import shared_client
from holdfast.host_channel import Channel
from holdfast.host_channel.local import LocalChannel
from holdfast.host_channel.ssh import SshChannel, SshPlace
from holdfast_drivers.storage_host.agent import Agent
from holdfast_drivers.storage_host.config import StorageHostConfig


@asynccontextmanager
async def open_agent(
    config: StorageHostConfig, entry: str, told: msgspec.Struct
) -> AsyncIterator[Agent]:
    """The agent of a store, started when it is first asked, and ended by the last who has it.

    Args:
        config: of the store.
        entry: what the agent runs there, as ``module:name``.
        told: what the entry is told.

    Raises:
        Invalid: settings of the channel are missing.
    """

    def make() -> RemoteClient:
        return RemoteClient(
            _channel(config),
            entry,
            msgspec.msgpack.encode(told),
            python=(config.python,),
            socket=config.agent_socket,
        )

    async with shared_client((entry, msgspec.msgpack.encode(config)), make) as client:
        yield Agent(client)


def _channel(config: StorageHostConfig) -> Channel:
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


class GrantReplay(HostListener):
    """Has the server told of all grants again when a host comes, as every verb does."""

    def __init__(self, agent: Callable[[], AbstractAsyncContextManager[Agent]]) -> None:
        self._agent = agent

    async def host_connected(self, ctx: CallContext, host: str) -> None:
        async with self._agent() as agent:
            await agent.call(ctx, CheckHealth(), HealthInfo)

    async def host_disconnected(self, ctx: CallContext, host: str) -> None:
        """Nothing is released: a host that is out of reach may still write."""
