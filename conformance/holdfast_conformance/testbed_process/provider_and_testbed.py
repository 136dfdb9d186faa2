"""Which provider and which of its testbeds: found by name, started, or whose fault it is."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import entry_points

from holdfast.contract.errors import ConfigurationError, EnvironmentUnavailable
from holdfast.contract.ports import Provider
from holdfast.contract.testbed import Testbed, TestbedFactory
from holdfast.contract.testbed_choice import choose_testbed, offered_testbeds
from holdfast.stores.plugins import GROUP, load_provider
from holdfast_conformance.foreign_texts import described, writable
from holdfast_conformance.installed_mutants import MUTANT_PREFIX, find_mutant
from holdfast_conformance.protocol import Blame, Refused


class Stopped(Exception):
    """The worker cannot go on; ``refused`` says why and whose fault it is."""

    def __init__(self, blame: Blame, reason: str) -> None:
        super().__init__(reason)
        self.refused = Refused(blame=blame, reason=writable(reason))


class TestbedTrouble(Exception):
    """What went wrong in a testbed elsewhere; the message says it all."""

    __test__ = False


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


def chosen_testbed(provider: Provider, kind: str) -> TestbedFactory:
    """What starts the testbed of this kind, ``KIND:VARIANT`` or ``live:FILE``; by default the
    provider's first.

    Raises:
        Stopped: there is none.
    """
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
async def start_testbed(factory: TestbedFactory, run: str) -> AsyncIterator[Testbed]:
    """The running testbed.

    Raises:
        Stopped: it does not start.
    """
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


def testbed_failed(part: str, problem: Exception) -> Stopped:
    """What to raise when the testbed itself does not work; that says nothing about the driver."""
    if isinstance(problem, EnvironmentUnavailable):
        return Stopped(Blame.ENVIRONMENT, str(problem))
    told = str(problem) if isinstance(problem, TestbedTrouble) else described(problem)
    return Stopped(Blame.HARNESS, f"the testbed's {part} failed: {told}")
