"""One provider, its running testbed and what is watched around it: what outlives a plan."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import msgspec

from holdfast.contract.ports import Provider
from holdfast.contract.requests import Role
from holdfast.contract.testbed import BadConfig, Inspector, Testbed
from holdfast.storage_daemon import DataPlane, use_data_plane
from holdfast_conformance.foreign_texts import described
from holdfast_conformance.protocol import Blame, Setup
from holdfast_conformance.testbed_process.provider_and_testbed import Stopped, testbed_failed
from holdfast_conformance.worker.canaries import Canaries, secrets_of
from holdfast_conformance.worker.capture import Capture
from holdfast_conformance.worker.containment import Containment
from holdfast_conformance.worker.hosts import Hosts


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """What every command works on."""

    setup: Setup
    provider: Provider
    testbed: Testbed
    containment: Containment
    capture: Capture
    canaries: Canaries
    hosts: Hosts
    declared: dict[Role, object] = {}
    """The capabilities of each role as its first driver in this process declared them."""

    def config(self, role: Role, namespace: str) -> msgspec.Struct:
        """The configuration of a namespace; its secrets become canaries."""
        try:
            config = self.testbed.config(role, namespace)
        except Exception as problem:
            raise testbed_failed("config", problem) from problem
        self.canaries.know(secrets_of(config, self.provider.secret_fields))
        return config

    def bad_configs(self, role: Role, namespace: str) -> tuple[BadConfig, ...]:
        """Configurations that must be refused; their secrets become canaries, too."""
        try:
            found = self.testbed.bad_configs(role, namespace)
        except Exception as problem:
            raise testbed_failed("bad_configs", problem) from problem
        for bad in found:
            self.canaries.know(secrets_of(bad.config, self.provider.secret_fields))
        return found

    def inspector(self, role: Role, namespace: str) -> Inspector:
        """The inspector of a namespace."""
        try:
            return self.testbed.inspector(role, namespace)
        except Exception as problem:
            raise testbed_failed("inspector", problem) from problem

    async def remove(self, role: Role, namespace: str) -> None:
        """Remove a namespace without the driver's help."""
        try:
            await self.testbed.remove(role, namespace)
        except Exception as problem:
            raise testbed_failed("remove", problem) from problem


@asynccontextmanager
async def open_hosts(testbed: Testbed) -> AsyncIterator[Hosts]:
    """The hosts, each with its daemon running; made before any plan, which would be blamed for it.

    Raises:
        Stopped: the daemons do not start.
    """
    try:
        needed = testbed.data_plane
    except Exception as problem:
        reason = f"the testbed has an attribute that is wrong: {described(problem)}"
        raise Stopped(Blame.DRIVER, reason) from problem
    if not needed:
        yield Hosts()
        return
    async with AsyncExitStack() as stack:
        try:
            plane = await stack.enter_async_context(DataPlane(testbed.place_of))
            await plane.start(testbed.hosts)
        except Exception as problem:
            raise testbed_failed("data plane", problem) from problem
        stack.enter_context(use_data_plane(plane))
        yield Hosts(plane)


def roles_of(provider: Provider) -> tuple[Role, ...]:
    """The provider's roles, each once."""
    return tuple(dict.fromkeys(Role(role) for role in provider.roles))
