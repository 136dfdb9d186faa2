"""Where the demo's stores are: folders of its own, or servers that run for the story."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import msgspec

from holdfast.concurrency.runtime import runtime
from holdfast.contract.errors import ConfigurationError, UsageError
from holdfast.contract.ports import Provider
from holdfast.contract.requests import Role
from holdfast.contract.testbed import HostPlace, Testbed, TestbedFactory
from holdfast.contract.testbed_choice import choose_testbed
from holdfast.demo.story import HOST, StoreConfig
from holdfast.storage_daemon import DataPlane, use_data_plane
from holdfast.stores.open_store import parse_config
from holdfast.stores.plugins import load_provider

FOLDERS = "local"
"""The provider whose stores are folders, which need no server."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """The providers that were asked for, each as ``NAME`` or ``NAME:KIND[:VARIANT]``."""

    primary: str = FOLDERS
    images: str = FOLDERS

    @property
    def servers(self) -> bool:
        """Whether servers have to run."""
        return (self.primary, self.images) != (FOLDERS, FOLDERS)


class Stage:
    """Tells where each store is.

    Args:
        testbeds: the running servers, by the role of the stores they keep; any other role has
            folders.
    """

    def __init__(self, testbeds: Mapping[Role, tuple[Provider, Testbed]] | None = None) -> None:
        self._testbeds = testbeds or {}

    @property
    def host(self) -> str:
        """The host that uses the volumes."""
        entry = self._testbeds.get(Role.PRIMARY)
        return entry[1].hosts[0] if entry else HOST

    def store(self, folder: Path, name: str, role: Role) -> StoreConfig:
        """A store of the story: in a folder under ``folder``, or a namespace of its server."""
        entry = self._testbeds.get(role)
        if entry is not None:
            provider, testbed = entry
            config = testbed.config(role, name)
        else:
            provider = load_provider(FOLDERS)
            config = parse_config(provider, {"root": str(folder), "namespace": name})
        return StoreConfig(name=name, role=role, provider=provider.name, config=config)

    def told(self) -> tuple[str, ...]:
        """What really answers for each role that has a server, as its inspector attests."""
        return tuple(
            f"{role} stores on {testbed.identity.vendor} {testbed.identity.product} "
            f"{testbed.identity.version}"
            for role, (_, testbed) in self._testbeds.items()
        )

    def place_of(self, host: str) -> HostPlace:
        """Where a host is: where its volumes' server says, else this machine."""
        for _, testbed in self._testbeds.values():
            if host in testbed.hosts:
                return testbed.place_of(host)
        return HostPlace()


@asynccontextmanager
async def running_stage(choice: Wanted) -> AsyncIterator[Stage]:
    """Start the servers that the stores need, and end them after the story.

    Raises:
        ConfigurationError: no such provider or testbed.
        UsageError: the provider has no stores of the role.
        EnvironmentUnavailable: this machine cannot run the server.
    """
    run = runtime().new_id("demo")
    testbeds: dict[Role, tuple[Provider, Testbed]] = {}
    async with AsyncExitStack() as stack:
        for role, name in ((Role.PRIMARY, choice.primary), (Role.IMAGE, choice.images)):
            if name == FOLDERS:
                continue
            provider, factory = _factory(name, role)
            testbeds[role] = (provider, await stack.enter_async_context(factory(run)))
        stage = Stage(testbeds)
        if any(testbed.data_plane for _, testbed in testbeds.values()):
            plane = await stack.enter_async_context(DataPlane(stage.place_of))
            stack.enter_context(use_data_plane(plane))
        yield stage


def _factory(choice: str, role: Role) -> tuple[Provider, TestbedFactory]:
    """The provider of this name and what starts its testbed."""
    name, _, backend = choice.partition(":")
    provider = load_provider(name)
    if role not in provider.roles:
        raise UsageError(f"provider {name} has no {role} stores")
    try:
        return provider, choose_testbed(provider, backend)
    except ConfigurationError as problem:
        raise ConfigurationError(f"provider {name}: {problem}") from problem
