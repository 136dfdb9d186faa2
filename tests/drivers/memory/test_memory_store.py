"""The reference driver's figures, outages, probes and life cycle."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.contract import answers, requests
from holdfast.contract.errors import (
    Conflict,
    DriverError,
    Exhausted,
    InUse,
    NotFound,
    OutOfRange,
    Precondition,
    Unauthenticated,
    Unavailable,
)
from holdfast.contract.requests import Role
from holdfast.contract.testbed import Fault
from holdfast.data import content_digest, open_block_io
from holdfast.stores.open_store import open_life_cycle, open_primary
from holdfast_drivers.memory import MemoryProvider
from holdfast_drivers.memory.backend import Backend
from holdfast_drivers.memory.config import MemoryConfig
from holdfast_drivers.memory.content import Content
from holdfast_drivers.memory.testbed import MemoryTestbed, start_backend
from memory_worlds import BLOCK, CTX, World, tell
from worlds import refused


def test_figures_are_exact_and_return_to_zero() -> None:
    """Used counts each written block once, however shared, and the last delete leaves nothing."""

    async def story(w: World) -> None:
        empty = await w.stats()
        assert (empty.used_bytes, empty.allocated_bytes, empty.objects) == (0, 0, 0)
        await w.create("v", 4 * BLOCK)
        await w.grant("v")
        await w.write("v", 0, b"1")
        await w.snapshot("s", "v")
        await w.create("c", 4 * BLOCK, requests.SnapshotSource("s"))
        full = await w.stats()
        assert (full.used_bytes, full.allocated_bytes, full.objects) == (BLOCK, 12 * BLOCK, 3)
        (pool,) = (await w.driver.pools(CTX, requests.ListPools())).items
        assert (pool.used_bytes, pool.total_bytes) == (BLOCK, full.total_bytes)
        single = await w.driver.stats(CTX, requests.GetStats(volume="c"))
        assert (single.total_bytes, single.used_bytes) == (4 * BLOCK, BLOCK)
        await w.revoke("v")
        await w.driver.delete_snapshot(CTX, requests.DeleteSnapshot(key="s"))
        await w.delete("v")
        await w.delete("c")
        assert await w.stats() == empty

    tell(story)


def test_the_number_of_volumes_is_limited() -> None:
    """The 65th volume is refused, and there is room again after a delete."""

    async def story(w: World) -> None:
        for number in range(64):
            await w.create(f"v{number}")
        error = await refused(Exhausted, w.create("more"))
        assert isinstance(error, Exhausted)
        assert error.what == "volumes"
        await w.delete("v0")
        assert (await w.create("more")).key == "more"

    tell(story)


def test_a_store_in_maintenance_allocates_nothing_and_keeps_serving() -> None:
    """In maintenance nothing new is made, what is granted keeps working, and it can be deleted."""

    async def story(w: World) -> None:
        await w.create("v")
        await w.create("unused")
        await w.grant("v")
        await w.life_cycle.maintain(CTX, requests.MaintainStore())
        await refused(Precondition, w.create("new"))
        await refused(Precondition, w.snapshot("s", "v"))
        await refused(Precondition, w.grant("unused"))
        await w.write("v", 0, b"x")
        await w.delete("unused")
        await w.life_cycle.cancel_maintenance(CTX, requests.CancelMaintenance())
        assert (await w.create("new")).key == "new"

    tell(story)


def test_a_backend_that_is_down_is_unavailable_and_changes_nothing() -> None:
    """While the backend is down every verb is Unavailable, health names it, and nothing changes."""

    async def story(w: World) -> None:
        await w.create("v")
        before = await w.things()
        async with w.testbed.inject(Fault.DOWN):
            await refused(Unavailable, w.create("new"))
            await refused(Unavailable, w.delete("never"))
            await refused(Unavailable, w.revoke("never"))
            await refused(Unavailable, w.life_cycle.get(CTX))
            request = requests.CreateVolume(key="v", size_bytes=BLOCK)
            probed = await w.driver.probe(CTX, "create_volume", request)
            assert isinstance(probed, answers.Undetermined)
            health = await w.driver.health(CTX, requests.CheckHealth())
            assert health.state is answers.HealthState.DOWN
            assert w.config.space in health.dependency
            assert await w.things() == before
        health = await w.driver.health(CTX, requests.CheckHealth())
        assert health.state is answers.HealthState.UP
        assert await w.things() == before

    tell(story)


def test_probes_tell_what_became_of_a_call() -> None:
    """A probe is Done with the lost answer after the call, and Absent before it or once undone."""

    async def story(w: World) -> None:
        create = requests.CreateVolume(key="v", size_bytes=5000)
        probe = w.driver.probe
        assert await probe(CTX, "create_volume", create) == answers.Absent()
        made = await w.driver.create_volume(CTX, create)
        assert await probe(CTX, "create_volume", create) == answers.Done(answer=made)
        other = requests.CreateVolume(key="v", size_bytes=1)
        assert await probe(CTX, "create_volume", other) == answers.Absent()
        grow = requests.ResizeVolume(key="v", size_bytes=9000)
        assert await probe(CTX, "resize_volume", grow) == answers.Absent()
        grown = await w.driver.resize_volume(CTX, grow)
        assert await probe(CTX, "resize_volume", grow) == answers.Done(answer=grown)
        snap = requests.CreateSnapshot(key="s", volume="v")
        assert await probe(CTX, "create_snapshot", snap) == answers.Absent()
        taken = await w.driver.create_snapshot(CTX, snap)
        assert await probe(CTX, "create_snapshot", snap) == answers.Done(answer=taken)
        back = requests.RevertVolume(key="v", snapshot="s")
        assert isinstance(await probe(CTX, "revert_volume", back), answers.Done)
        granting = requests.Grant(volume="v", host="host-a")
        assert await probe(CTX, "grant", granting) == answers.Absent()
        granted = await w.driver.grant(CTX, granting)
        assert await probe(CTX, "grant", granting) == answers.Done(answer=granted)
        await w.write("v", 0, b"x")
        assert await probe(CTX, "revert_volume", back) == answers.Absent()
        taking = requests.Revoke(volume="v", host="host-a")
        assert await probe(CTX, "revoke", taking) == answers.Absent()
        gone = await w.driver.revoke(CTX, taking)
        assert await probe(CTX, "revoke", taking) == answers.Done(answer=gone)
        for verb, request in (
            ("delete_snapshot", requests.DeleteSnapshot(key="s")),
            ("delete_volume", requests.DeleteVolume(key="v")),
        ):
            assert await probe(CTX, verb, request) == answers.Absent()
            gone = await getattr(w.driver, verb)(CTX, request)
            assert await probe(CTX, verb, request) == answers.Done(answer=gone)

    tell(story)


def test_enumerate_and_inspector_find_the_same() -> None:
    """Everything the inspector finds is also enumerated, with the operation that made it."""

    async def story(w: World) -> None:
        await w.create("v")
        await w.snapshot("s", "v")
        await w.grant("v")
        stream = w.driver.enumerate(CTX, requests.EnumerateOwned())
        owned = [thing async for thing in stream]
        found = {(thing.kind, thing.id) for thing in await w.things()}
        assert {(thing.kind, thing.id) for thing in owned} == found
        made = {thing.operation for thing in owned if thing.kind is not answers.OwnedKind.STORE}
        assert made == {"op-1"}

    tell(story)


def test_two_drivers_on_one_store_agree() -> None:
    """A driver keeps nothing to itself: another on the same store sees all it did."""

    async def story(w: World) -> None:
        made = await w.create("v")
        async with open_primary(MemoryProvider(), w.config) as second:
            assert await second.get_volume(CTX, requests.GetVolume(key="v")) == made
            await second.delete_volume(CTX, requests.DeleteVolume(key="v"))
        await refused(NotFound, w.driver.get_volume(CTX, requests.GetVolume(key="v")))

    tell(story)


def test_the_life_cycle_is_idempotent_and_refuses_what_it_must() -> None:
    """The same name answers with the same store; other names and granted hosts are refused."""

    async def story(w: World) -> None:
        again = await w.life_cycle.initialize(CTX, requests.InitializeStore(name="store"))
        assert again == await w.life_cycle.get(CTX)
        other = requests.InitializeStore(name="other")
        await refused(Conflict, w.life_cycle.initialize(CTX, other))
        assert again.hosts == ("host-a", "host-b")
        for number in range(6):
            await w.life_cycle.attach(CTX, requests.AttachHost(host=f"more-{number}"))
        one_more = requests.AttachHost(host="one-too-many")
        await refused(Exhausted, w.life_cycle.attach(CTX, one_more))
        await w.create("v")
        await w.grant("v")
        leaving = requests.DetachHost(host="host-a")
        await refused(InUse, w.life_cycle.detach(CTX, leaving))
        await refused(InUse, w.life_cycle.delete_store(CTX, requests.DeleteStore()))
        await w.revoke("v")
        assert "host-a" not in (await w.life_cycle.detach(CTX, leaving)).hosts
        assert await w.life_cycle.detach(CTX, leaving) == await w.life_cycle.get(CTX)
        await w.delete("v")
        gone = await w.life_cycle.delete_store(CTX, requests.DeleteStore())
        assert await w.life_cycle.delete_store(CTX, requests.DeleteStore()) == gone
        await refused(NotFound, w.life_cycle.get(CTX))
        await refused(NotFound, w.create("v"))
        assert await w.things() == ()

    tell(story)


@pytest.mark.parametrize("role", list(Role))
def test_bad_configurations_are_refused_without_residue(role: Role) -> None:
    """Each bad configuration is refused with an error it lists, shows no token, leaves nothing."""

    async def story() -> None:
        testbed = MemoryTestbed(start_backend(Backend, "test"))
        token = testbed.config(role, "ns").token
        for bad in testbed.bad_configs(role, "ns"):
            async with open_life_cycle(MemoryProvider(), bad.config, role) as life_cycle:
                request = requests.InitializeStore(name="store")
                error = await refused(DriverError, life_cycle.initialize(CTX, request))
                assert error.kind in bad.expected
                assert token not in str(error)
            assert (await testbed.inspector(role, "ns").inventory()).things == ()

    asyncio.run(story())


def test_a_wrong_token_opens_nothing() -> None:
    """A driver with a wrong token cannot be opened, and no configuration shows its token."""

    async def story(w: World) -> None:
        config = MemoryConfig(space=w.config.space, namespace="ns", token="not-the-token")
        assert "not-the-token" not in repr(config)
        with pytest.raises(Unauthenticated, match="does not accept"):
            async with open_primary(MemoryProvider(), config):
                pytest.fail("it opened")

    tell(story)


def test_the_inspector_notices_what_happens_outside() -> None:
    """A change in a place that the testbed lent to nobody changes the digest of the outside."""

    async def story(w: World) -> None:
        inspector = w.testbed.inspector(Role.PRIMARY, "ns")
        before = (await inspector.inventory()).outside_digest
        w.testbed.config(Role.PRIMARY, "another")
        await w.create("v")
        assert (await inspector.inventory()).outside_digest == before
        neighbour = w.testbed.backend.stores[Role.PRIMARY, "neighbour"]
        neighbour.volumes["decoy"].content.write(0, b"mine now")
        assert (await inspector.inventory()).outside_digest != before

    tell(story)


def test_inspector_and_handle_have_the_same_digest() -> None:
    """The digest that the inspector computes is that of the bytes behind the handle."""

    async def story(w: World) -> None:
        await w.create("v", 5 * BLOCK)
        await w.grant("v")
        await w.write("v", 1, b"1")
        await w.write("v", 4, b"2")
        handle = await w.driver.open(CTX, requests.Open(volume="v", host="host-a"))
        async with open_block_io(handle) as content:
            assert await content_digest(content) == await w.digest("v")

    tell(story)


OPERATIONS = st.one_of(
    st.tuples(st.just("write"), st.integers(0, 40000), st.binary(max_size=9000)),
    st.tuples(st.just("discard"), st.integers(0, 40000), st.integers(0, 20000)),
    st.tuples(st.just("resize"), st.integers(1, 9).map(lambda n: n * BLOCK), st.none()),
)


@pytest.mark.slow
@given(st.lists(OPERATIONS, max_size=12))
def test_content_is_an_array_of_bytes(
    operations: list[tuple[str, int, bytes | int | None]],
) -> None:
    """Sparse content reads like plain bytes after any writes, discards and resizes."""
    content, plain = Content(5 * BLOCK), bytearray(5 * BLOCK)
    for name, number, argument in operations:
        if name == "resize":
            content.resize(number)
            plain = plain[:number].ljust(number, b"\0")
        elif isinstance(argument, bytes):
            if number + len(argument) <= len(plain):
                content.write(number, argument)
                plain[number : number + len(argument)] = argument
        elif isinstance(argument, int) and number + argument <= len(plain):
            content.discard(number, argument)
            plain[number : number + argument] = bytes(argument)
    assert content.read(0, content.size_bytes) == bytes(plain)
    covered = bytearray(len(plain))
    for extent in content.extents():
        start, end = extent.offset_bytes, extent.offset_bytes + extent.length_bytes
        covered[start:end] = plain[start:end]
    assert covered == plain
    with pytest.raises(OutOfRange):
        content.read(len(plain), 1)
