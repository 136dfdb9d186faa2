"""Every fault a testbed can put in force, in the middle of every verb that changes something.

``HOLDFAST_FAULTS=full`` meets each verb alone, at each of its requests; else all verbs meet a fault
at once. ``HOLDFAST_BACKENDS`` chooses backends, ``HOLDFAST_ONLY_FAULTS`` names of ``Fault``.
"""

import asyncio
import itertools
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from fault_cases import STORE_VERBS, Case, image_cases, primary_cases, store_case
from fault_strike import strike
from fault_world import World
from holdfast.contract.requests import Role
from holdfast.contract.testbed import Fault, Testbed
from running_testbeds import Running

pytestmark = pytest.mark.slow
FULL = os.environ.get("HOLDFAST_FAULTS") == "full"
CHOSEN = frozenset(filter(None, os.environ.get("HOLDFAST_ONLY_FAULTS", "").split(",")))
REQUESTS_MAX = 12
SETTLE_S = 120.0
_LOOK_S = 0.2
_numbers = itertools.count()


def faults_of(place: tuple[Running, Role]) -> list[Fault]:
    """The faults that a testbed offers, always in one order."""
    offered = [fault for fault in Fault if fault in place[0].testbed.faults]
    return [fault for fault in offered if not CHOSEN or fault.name in CHOSEN]


@asynccontextmanager
async def opened(place: tuple[Running, Role]) -> AsyncIterator[World]:
    """A new world with an open store; its driver leaves no task behind."""
    found, role = place
    around = asyncio.all_tasks()
    async with World(found.provider, found.testbed, role, f"f{next(_numbers)}") as world:
        await world.open()
        yield world
    await _ended(around, found.testbed)


async def _ended(around: set[asyncio.Task[object]], testbed: Testbed) -> None:
    """Wait until no task is left that was not there before, and that is not the testbed's own."""
    async with asyncio.timeout(SETTLE_S):
        while left := asyncio.all_tasks() - around - testbed.tasks:
            await asyncio.wait(left, timeout=_LOOK_S)


@asynccontextmanager
async def stores(place: tuple[Running, Role], verbs: tuple[str, ...]) -> AsyncIterator[list[Case]]:
    """One world for each verb of the life cycle."""
    found, role = place
    async with AsyncExitStack() as stack:
        cases: list[Case] = []
        for verb in verbs:
            world = World(found.provider, found.testbed, role, f"f{next(_numbers)}")
            cases.append(store_case(await stack.enter_async_context(world), verb))
        yield cases


def cases_of(world: World) -> list[Case]:
    """Every verb that changes something and that the opened store can do."""
    return primary_cases(world) if world.role is Role.PRIMARY else image_cases(world)


async def prepared(cases: list[Case]) -> list[Case]:
    """Cases that are ready for their calls; two stores may share a lock while they are made."""
    for case in cases:
        await case.prepare()
    return cases


def test_a_fault_in_the_middle_of_all_verbs_at_once(place: tuple[Running, Role]) -> None:
    """Errors have the right class in time, probes are true, repeats converge, nothing is left."""

    async def story(fault: Fault) -> list[str]:
        async with opened(place) as world, stores(place, STORE_VERBS) as others:
            cases = await prepared([*cases_of(world), *others])
            return (await strike(cases, fault, len(cases)))[0]

    assert [text for fault in faults_of(place) for text in place[0].run(story(fault))] == []


if FULL:

    @pytest.mark.timeout(4 * 3600)
    def test_a_fault_at_each_request_of_each_verb(place: tuple[Running, Role]) -> None:
        """A verb alone converges, at whichever of its requests a fault meets it."""
        found = place[0]
        wrong: list[str] = []
        for fault, verb in itertools.product(faults_of(place), found.run(verbs_of(place))):
            for count in range(1, REQUESTS_MAX):
                said, last = found.run(alone(place, verb, fault, count))
                wrong += [f"at request {count}, {text}" for text in said]
                if last:
                    break
        assert wrong == []


async def verbs_of(place: tuple[Running, Role]) -> list[str]:
    """Every verb that changes something, those of the life cycle last."""
    async with opened(place) as world:
        names = [case.verb for case in cases_of(world)]
        await world.clear()
    return [*names, *STORE_VERBS]


async def alone(
    place: tuple[Running, Role], verb: str, fault: Fault, count: int
) -> tuple[list[str], bool]:
    """What is wrong when a fault meets one verb at one request, and whether that was the last."""
    if verb in STORE_VERBS:
        async with stores(place, (verb,)) as cases:
            return await strike(await prepared(cases), fault, count)
    async with opened(place) as world:
        cases = [case for case in cases_of(world) if case.verb == verb]
        return await strike(await prepared(cases), fault, count)
