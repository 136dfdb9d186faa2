"""One provider, its running testbed and what is watched around it: what outlives a plan."""

import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import entry_points

import msgspec

from holdfast.dataplane import DataPlane, use_data_plane
from holdfast.errors import ConfigurationError, EnvironmentUnavailable
from holdfast.plugins import GROUP, load_provider
from holdfast.ports import Provider
from holdfast.requests import Role
from holdfast.testbed import BadConfig, Inspector, Testbed, TestbedFactory
from holdfast.testbed_choice import choose_testbed, offered_testbeds
from holdfast_conformance.mutants import MUTANT_PREFIX, find_mutant
from holdfast_conformance.protocol import Blame, Refused, Setup
from holdfast_conformance.worker.canaries import Canaries, secrets_of
from holdfast_conformance.worker.capture import Capture
from holdfast_conformance.worker.containment import Containment, described, writable
from holdfast_conformance.worker.hosts import Hosts


class Stopped(Exception):
    """The worker cannot go on; ``refused`` says why and whose fault it is."""

    def __init__(self, blame: Blame, reason: str) -> None:
        super().__init__(reason)
        self.refused = Refused(blame=blame, reason=writable(reason))


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """What every command works on."""

    setup: Setup
    provider: Provider
    testbed: Testbed
    containment: Containment
    capture: Capture
    canaries: Canaries
    hosts: Hosts

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


def find_provider(reference: str) -> Provider:
    """The provider under test.

    Raises:
        Stopped: there is none of this name, or it cannot be loaded.
    """
    try:
        if reference.startswith(MUTANT_PREFIX):
            return find_mutant(reference.removeprefix(MUTANT_PREFIX)).provider()
        return load_provider(reference)
    except ConfigurationError as problem:
        blame = Blame.DRIVER if _exists(reference, problem) else Blame.CONFIGURATION
        raise Stopped(blame, str(problem)) from problem


def _exists(reference: str, problem: ConfigurationError) -> bool:
    """Whether what was asked for is there and broken, as against not there at all."""
    if reference.startswith(MUTANT_PREFIX):
        return False
    module_name, colon, attribute = reference.partition(":")
    if not colon:
        return any(found.name == reference for found in entry_points(group=GROUP))
    if module_name in sys.modules:
        return hasattr(sys.modules[module_name], attribute)
    cause = problem.__cause__
    missing = cause.name if isinstance(cause, ModuleNotFoundError) else None
    return missing is None or not f"{module_name}.".startswith(f"{missing}.")


@asynccontextmanager
async def start_testbed(provider: Provider, kind: str, run: str) -> AsyncIterator[Testbed]:
    """The testbed of this kind, ``KIND:VARIANT`` or ``live:FILE``; by default the provider's first.

    Raises:
        Stopped: there is none, or it does not start.
    """
    factory = _chosen(provider, kind)
    try:
        context = factory(run)
        testbed = await context.__aenter__()
    except EnvironmentUnavailable as problem:
        raise Stopped(Blame.ENVIRONMENT, str(problem)) from problem
    except Exception as problem:
        raise Stopped(
            Blame.DRIVER, f"its testbed does not start: {described(problem)}"
        ) from problem
    try:
        yield testbed
    finally:
        await context.__aexit__(None, None, None)


def _chosen(provider: Provider, kind: str) -> TestbedFactory:
    """What starts the testbed; ``Stopped`` where there is none."""
    try:
        offered = offered_testbeds(provider)
    except Exception as problem:
        raise Stopped(Blame.DRIVER, f"testbeds() fails: {described(problem)}") from problem
    if not kind and not offered:
        raise Stopped(Blame.DRIVER, "it offers no testbed, so there is nothing to run it on")
    try:
        return choose_testbed(provider, kind)
    except ConfigurationError as problem:
        raise Stopped(Blame.CONFIGURATION, str(problem)) from problem
    except Exception as problem:
        raise Stopped(Blame.DRIVER, f"live_testbed() fails: {described(problem)}") from problem


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


def testbed_failed(part: str, problem: Exception) -> Stopped:
    """What to raise when the testbed itself does not work; that says nothing about the driver."""
    if isinstance(problem, EnvironmentUnavailable):
        return Stopped(Blame.ENVIRONMENT, str(problem))
    return Stopped(Blame.HARNESS, f"the testbed's {part} failed: {described(problem)}")


def roles_of(provider: Provider) -> tuple[Role, ...]:
    """The provider's roles, each once."""
    return tuple(dict.fromkeys(Role(role) for role in provider.roles))
