"""The reference driver refuses what comes after a later call on its object."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import msgspec
import pytest

from fenced_stores import (
    CASES,
    CLONE,
    COMPLETE,
    DELETE,
    EARLIER,
    GRANT,
    GROW,
    LATER,
    MIB,
    OWNER,
    PART,
    REVERT,
    SNAPSHOT,
    VOLUME,
    Opened,
    context,
)
from holdfast.contract import requests
from holdfast.contract.answers import Absent
from holdfast.contract.errors import Busy, DriverError, NotFound, Precondition
from holdfast.contract.requests import CallContext, PartReference, Request, Role, verb_of
from holdfast_drivers.memory import MemoryProvider
from holdfast_drivers.memory.backend import Backend
from holdfast_drivers.memory.fences import KEPT_MAX
from holdfast_drivers.memory.testbed import MemoryTestbed, start_backend

TAG = hashlib.sha256(PART.data).hexdigest()[:32]
COMPLETED = msgspec.structs.replace(
    COMPLETE, parts=(PartReference(number=1, size_bytes=len(PART.data), tag=TAG),)
)


def ours(request: Request) -> Request:
    """The request as this driver's parts are named."""
    return COMPLETED if request is COMPLETE else request


def story(told: Callable[[Opened], Awaitable[None]]) -> None:
    """Use a store of each role in a fresh space."""

    async def main() -> None:
        testbed = MemoryTestbed(start_backend(Backend, "test"))
        config, provider = testbed.config(Role.PRIMARY, "ns"), MemoryProvider()
        made = CallContext(operation="op-before", deadline=1e9)
        async with AsyncExitStack() as stack:
            life_cycles = [
                await stack.enter_async_context(provider.life_cycle(config, role))
                for role in (Role.PRIMARY, Role.IMAGE)
            ]
            for life_cycle in life_cycles:
                await life_cycle.initialize(made, requests.InitializeStore(name="store"))
            await life_cycles[0].attach(made, requests.AttachHost(host="host"))
            primary = await stack.enter_async_context(provider.primary(config))
            image = await stack.enter_async_context(provider.image(config))
            await told(Opened(life_cycles[0], primary, image))

    asyncio.run(main())


async def refused(store: Opened, request: Request) -> None:
    """A call is refused as late."""
    with pytest.raises(Precondition) as error:
        await store.call(request, context(EARLIER))
    assert error.value.state == "fenced"


@pytest.mark.parametrize(("before", "later", "late"), CASES.values(), ids=list(CASES))
def test_a_call_is_refused_after_a_later_one(
    before: tuple[Request, ...], later: Request, late: Request
) -> None:
    """What was given up and comes after a later call on the object is refused."""

    async def told(store: Opened) -> None:
        for number, request in enumerate(before, 1):
            await store.call(ours(request), context(number))
        await store.call(ours(later), context(LATER))
        await refused(store, ours(late))

    story(told)


def test_an_equal_or_a_higher_fence_and_none_pass() -> None:
    """A call may be repeated; a caller without a fence is neither checked nor kept."""
    bare = CallContext(operation="op", deadline=1e9)

    async def told(store: Opened) -> None:
        await store.call(VOLUME, context(LATER))
        await store.call(VOLUME, context(LATER))
        await store.call(DELETE, bare)
        await store.call(VOLUME, bare)
        newer = CallContext(operation="op", fence=2 * OWNER + 1, deadline=1e9)
        await store.call(GROW, newer)
        await refused(store, GROW)

    story(told)


def test_a_later_call_that_was_refused_counts_too() -> None:
    """It was made: what comes before it is late."""

    async def told(store: Opened) -> None:
        with pytest.raises(NotFound):
            await store.call(GROW, context(LATER))
        await refused(store, VOLUME)

    story(told)


def test_what_a_probe_did_not_see_never_happens() -> None:
    """A call that was still waiting when a probe said ``Absent`` is refused when it comes."""
    asked: tuple[Request, ...] = (CLONE, SNAPSHOT, GROW, GRANT, DELETE)

    async def told(store: Opened) -> None:
        await store.call(VOLUME, context(1))
        for request in asked:
            probed = await store.primary.probe(context(LATER), verb_of(request), request)
            assert isinstance(probed, Absent)
            await refused(store, request)
        await store.life_cycle.get(context(LATER))
        await refused(store, requests.MaintainStore())

    story(told)


def test_the_fences_never_grow_and_forget_nothing_silently() -> None:
    """What had to make room is refused all the same, if only by being told to come again."""

    async def told(store: Opened) -> None:
        for number in range(1, 2 * KEPT_MAX):
            await store.call(requests.DeleteVolume(key=f"gone {number}"), context(number + 10))
        for number in range(1, 2 * KEPT_MAX, 64):
            request = requests.CreateVolume(key=f"gone {number}", size_bytes=MIB)
            with pytest.raises((Precondition, Busy)) as error:
                await store.call(request, context(number))
            assert isinstance(error.value, DriverError)
            assert error.value.final

    story(told)


def test_a_revert_that_was_given_up_acts_no_more() -> None:
    """Its repetition was answered, and so it is late."""

    async def told(store: Opened) -> None:
        for number, request in enumerate((VOLUME, SNAPSHOT), 1):
            await store.call(request, context(number))
        await store.call(REVERT, context(LATER))
        await refused(store, REVERT)

    story(told)
