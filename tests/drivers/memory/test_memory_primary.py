import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast import infos, requests
from holdfast.capabilities import AccessMode
from holdfast.data import BLOCK_BYTES, content_digest, open_block_io
from holdfast.errors import (
    Conflict,
    Denied,
    DriverError,
    Exhausted,
    InUse,
    Invalid,
    NotFound,
    OutOfRange,
    Precondition,
    Unauthenticated,
    Unavailable,
)
from holdfast.layers import LifeCycleGuard, PrimaryGuard
from holdfast.opening import open_life_cycle, open_primary
from holdfast.requests import CallContext, Role
from holdfast.testbed import Fault, Inspected
from holdfast_drivers.memory import MemoryProvider
from holdfast_drivers.memory.backend import Backend
from holdfast_drivers.memory.config import MemoryConfig
from holdfast_drivers.memory.content import Content
from holdfast_drivers.memory.testbed import MemoryTestbed, start_backend

CTX = CallContext(operation="op-1", deadline=1e9)
BLOCK = BLOCK_BYTES


class World(NamedTuple):
    """A primary store in memory, its life cycle and its testbed."""

    driver: PrimaryGuard
    life_cycle: LifeCycleGuard
    testbed: MemoryTestbed
    config: MemoryConfig

    async def create(
        self, key: str, size: int = BLOCK, source: requests.Source | None = None
    ) -> infos.VolumeInfo:
        request = requests.CreateVolume(key=key, size_bytes=size, source=source)
        return await self.driver.create_volume(CTX, request)

    async def snapshot(self, key: str, volume: str) -> infos.SnapshotInfo:
        return await self.driver.create_snapshot(
            CTX, requests.CreateSnapshot(key=key, volume=volume)
        )

    async def grant(
        self, volume: str, host: str = "host-a", mode: AccessMode = AccessMode.EXCLUSIVE
    ) -> infos.GrantInfo:
        return await self.driver.grant(CTX, requests.Grant(volume=volume, host=host, mode=mode))

    async def revoke(self, volume: str, host: str = "host-a") -> infos.Gone:
        return await self.driver.revoke(CTX, requests.Revoke(volume=volume, host=host))

    async def write(self, volume: str, block: int, fill: bytes, host: str = "host-a") -> None:
        handle = await self.driver.open(CTX, requests.Open(volume=volume, host=host))
        async with open_block_io(handle) as content:
            await content.write_at(block * BLOCK, fill * BLOCK)
            await content.flush()

    async def read(self, volume: str, block: int, host: str = "host-a") -> bytes:
        handle = await self.driver.open(CTX, requests.Open(volume=volume, host=host))
        async with open_block_io(handle) as content:
            return await content.read_at(block * BLOCK, BLOCK)

    async def delete(self, key: str) -> infos.Gone:
        return await self.driver.delete_volume(CTX, requests.DeleteVolume(key=key))

    async def resize(self, key: str, size: int, *, shrink: bool = False) -> infos.VolumeInfo:
        request = requests.ResizeVolume(key=key, size_bytes=size, shrink=shrink)
        return await self.driver.resize_volume(CTX, request)

    async def revert(self, key: str, snapshot: str) -> infos.VolumeInfo:
        return await self.driver.revert_volume(
            CTX, requests.RevertVolume(key=key, snapshot=snapshot)
        )

    async def stats(self) -> infos.StatsInfo:
        return await self.driver.stats(CTX, requests.GetStats())

    async def things(self) -> tuple[Inspected, ...]:
        return (await self.testbed.inspector(Role.PRIMARY, "ns").inventory()).things

    async def digest(self, key: str) -> str:
        return next(thing.digest for thing in await self.things() if thing.key == key)


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    provider = MemoryProvider()
    testbed = MemoryTestbed(start_backend(Backend, "test"))
    config = testbed.config(Role.PRIMARY, "ns")
    async with (
        open_life_cycle(provider, config, Role.PRIMARY) as life_cycle,
        open_primary(provider, config) as driver,
    ):
        await life_cycle.initialize(CTX, requests.InitializeStore(name="store"))
        for host in ("host-a", "host-b"):
            await life_cycle.attach(CTX, requests.AttachHost(host=host))
        yield World(driver, life_cycle, testbed, config)


def tell(story: Callable[[World], Awaitable[None]]) -> None:
    async def told() -> None:
        async with world() as opened:
            await story(opened)

    asyncio.run(told())


async def refused(error: type[DriverError], call: Awaitable[object]) -> DriverError:
    with pytest.raises(error) as caught:
        await call
    return caught.value


def test_sizes_are_rounded_up_and_reported() -> None:
    """A size is rounded up to 4 KiB, and the true size is what is reported."""

    async def story(w: World) -> None:
        assert (await w.create("v", 5000)).size_bytes == 8192
        assert (await w.create("one", 1)).size_bytes == 4096
        largest = await w.create("large", 2**40)
        assert largest.size_bytes == 2**40
        await refused(OutOfRange, w.create("too-large", 2**40 + 1))
        await refused(Invalid, w.create("nothing", 0))

    tell(story)


def test_equal_create_answers_the_same_and_another_is_a_conflict() -> None:
    """A key answers with the same volume, and a conflict leaves its bytes and grants alone."""

    async def story(w: World) -> None:
        first = await w.create("v", 5000)
        assert await w.create("v", 8192) == first
        await w.grant("v")
        await w.write("v", 1, b"x")
        before = await w.things()
        await refused(Conflict, w.create("v", 4096))
        await refused(Conflict, w.create("v", 8192, requests.VolumeSource("v")))
        assert await w.things() == before

    tell(story)


def test_delete_of_absent_succeeds_and_of_granted_is_refused() -> None:
    """An absent volume is deleted with success; a granted one names its holders and stays."""

    async def story(w: World) -> None:
        assert await w.delete("never") == infos.Gone(key="never")
        await w.create("v")
        await w.grant("v")
        error = await refused(InUse, w.delete("v"))
        assert isinstance(error, InUse)
        assert error.holders == ("host-a",)
        await w.revoke("v")
        assert await w.delete("v") == infos.Gone(key="v")
        assert await w.delete("v") == infos.Gone(key="v")

    tell(story)


def test_a_volume_with_snapshots_blocks_its_deletion() -> None:
    """A volume cannot be deleted before its snapshots, as the declared lifetime says."""

    async def story(w: World) -> None:
        await w.create("v")
        await w.snapshot("s", "v")
        await refused(InUse, w.delete("v"))
        await w.driver.delete_snapshot(CTX, requests.DeleteSnapshot(key="s"))
        assert await w.delete("v") == infos.Gone(key="v")

    tell(story)


def test_ids_are_never_used_again() -> None:
    """A volume created under a key that was used before has another id."""

    async def story(w: World) -> None:
        first = await w.create("v")
        await w.delete("v")
        assert (await w.create("v")).id != first.id

    tell(story)


def test_grow_keeps_bytes_and_its_tail_is_zero_also_after_a_shrink() -> None:
    """What was cut off by a shrink does not come back by a grow."""

    async def story(w: World) -> None:
        await w.create("v", 3 * BLOCK)
        await w.grant("v")
        for block in range(3):
            await w.write("v", block, b"x")
        assert (await w.resize("v", 2 * BLOCK)).size_bytes == 3 * BLOCK
        assert (await w.resize("v", 2 * BLOCK, shrink=True)).size_bytes == 2 * BLOCK
        assert (await w.resize("v", 3 * BLOCK)).size_bytes == 3 * BLOCK
        assert await w.read("v", 1) == b"x" * BLOCK
        assert await w.read("v", 2) == bytes(BLOCK)

    tell(story)


def test_snapshots_do_not_change_and_revert_brings_bytes_and_size_back() -> None:
    """A snapshot keeps its bytes under writes and resizes, and a revert restores them."""

    async def story(w: World) -> None:
        await w.create("v", 2 * BLOCK)
        await w.grant("v")
        await w.write("v", 0, b"1")
        taken = await w.snapshot("s", "v")
        at_snapshot = await w.digest("s")
        await w.write("v", 0, b"2")
        await w.resize("v", 4 * BLOCK)
        assert await w.digest("s") == at_snapshot
        assert await w.snapshot("s", "v") == taken
        await refused(InUse, w.revert("v", "s"))
        await w.revoke("v")
        assert (await w.revert("v", "s")).size_bytes == 2 * BLOCK
        assert await w.digest("v") == at_snapshot

    tell(story)


def test_snapshot_keys_belong_to_one_volume() -> None:
    """A snapshot's key is a conflict for another volume, which cannot be reverted to it either."""

    async def story(w: World) -> None:
        await w.create("v")
        await w.create("other")
        await w.snapshot("s", "v")
        await refused(Conflict, w.snapshot("s", "other"))
        await refused(Invalid, w.revert("other", "s"))
        await refused(NotFound, w.snapshot("t", "absent"))
        for number in range(7):
            await w.snapshot(f"more-{number}", "v")
        await refused(Exhausted, w.snapshot("one-too-many", "v"))

    tell(story)


def test_clones_live_on_their_own() -> None:
    """A clone starts with its source's bytes, continues with zeroes, and then goes its own way."""

    async def story(w: World) -> None:
        await w.create("v")
        await w.grant("v")
        await w.write("v", 0, b"1")
        await w.snapshot("s", "v")
        clone = await w.create("c", 2 * BLOCK, requests.SnapshotSource("s"))
        assert (clone.source, clone.size_bytes) == ("s", 2 * BLOCK)
        await w.grant("c")
        assert await w.read("c", 0) == b"1" * BLOCK
        assert await w.read("c", 1) == bytes(BLOCK)
        await w.write("c", 0, b"2")
        await w.driver.delete_snapshot(CTX, requests.DeleteSnapshot(key="s"))
        assert await w.read("v", 0) == b"1" * BLOCK
        assert await w.read("c", 0) == b"2" * BLOCK
        await refused(NotFound, w.create("d", BLOCK, requests.SnapshotSource("s")))
        await refused(OutOfRange, w.create("d", BLOCK, requests.VolumeSource("c")))

    tell(story)


def test_a_volume_can_be_made_from_a_handle() -> None:
    """A volume made from a handle has the bytes behind it, and asking again answers the same."""

    async def story(w: World) -> None:
        await w.create("v", 2 * BLOCK)
        await w.grant("v")
        await w.write("v", 1, b"1")
        handle = await w.driver.open(CTX, requests.Open(volume="v", host="host-a"))
        source = requests.DataSource(handle, 2 * BLOCK)
        made = await w.create("c", 2 * BLOCK, source)
        assert await w.create("c", 2 * BLOCK, source) == made
        assert await w.digest("c") == await w.digest("v")
        await refused(OutOfRange, w.create("d", BLOCK, source))
        await refused(Invalid, w.create("e", 9 * BLOCK, requests.DataSource(handle, 3 * BLOCK)))

    tell(story)


def test_a_grant_made_twice_is_one_grant() -> None:
    """Granting again counts nothing, and one revoke makes every handle useless."""

    async def story(w: World) -> None:
        await w.create("v")
        assert await w.grant("v") == await w.grant("v")
        await refused(Conflict, w.grant("v", mode=AccessMode.SHARED))
        handle = await w.driver.open(CTX, requests.Open(volume="v", host="host-a"))
        async with open_block_io(handle) as content:
            await w.revoke("v")
            await refused(Denied, content.read_at(0, BLOCK))
            await refused(Denied, content.write_at(0, b"x"))
            await refused(Denied, content.flush())
        assert await w.revoke("v") == infos.Gone(key="v")
        await refused(Denied, w.read("v", 0))

    tell(story)


def test_exclusive_grants_exclude_and_read_only_ones_cannot_write() -> None:
    """An exclusive grant keeps other hosts out, and the backend refuses read-only writes."""

    async def story(w: World) -> None:
        await w.create("v")
        await w.grant("v")
        for mode in AccessMode:
            error = await refused(InUse, w.grant("v", "host-b", mode))
            assert "host-a" in str(error)
        await w.revoke("v")
        await w.grant("v", mode=AccessMode.READ_ONLY)
        await w.grant("v", "host-b", AccessMode.SHARED)
        await refused(Denied, w.write("v", 0, b"x"))
        await w.write("v", 0, b"x", "host-b")
        assert await w.read("v", 0) == b"x" * BLOCK
        await refused(NotFound, w.grant("v", "stranger"))
        await refused(NotFound, w.grant("absent"))

    tell(story)


def test_lists_are_in_byte_order_a_page_at_a_time() -> None:
    """All pages together show every key once in byte order; a token of anybody else is invalid."""

    async def story(w: World) -> None:
        keys = ["b", "a", "ä", "Z", "~", "z/1", "z"]
        for key in keys:
            await w.create(key)
        found: list[str] = []
        token = ""
        while True:
            page = await w.driver.list_volumes(CTX, requests.ListVolumes(token=token, limit=2))
            found += [item.key for item in page.items]
            token = page.token
            if not token:
                break
        assert found == sorted(keys, key=str.encode)
        for wrong in ("never", "0" * 16, "x" * 16 + "zz"):
            request = requests.ListVolumes(token=wrong)
            await refused(Invalid, w.driver.list_volumes(CTX, request))
        first = await w.driver.list_volumes(CTX, requests.ListVolumes(limit=1))
        foreign = requests.ListSnapshots(token=first.token)
        await refused(Invalid, w.driver.list_snapshots(CTX, foreign))

    tell(story)


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
            assert isinstance(probed, infos.Undetermined)
            health = await w.driver.health(CTX, requests.CheckHealth())
            assert health.state is infos.HealthState.DOWN
            assert w.config.space in health.dependency
            assert await w.things() == before
        health = await w.driver.health(CTX, requests.CheckHealth())
        assert health.state is infos.HealthState.UP
        assert await w.things() == before

    tell(story)


def test_probes_tell_what_became_of_a_call() -> None:
    """A probe is Done with the lost answer after the call, and Absent before it or once undone."""

    async def story(w: World) -> None:
        create = requests.CreateVolume(key="v", size_bytes=5000)
        probe = w.driver.probe
        assert await probe(CTX, "create_volume", create) == infos.Absent()
        made = await w.driver.create_volume(CTX, create)
        assert await probe(CTX, "create_volume", create) == infos.Done(answer=made)
        other = requests.CreateVolume(key="v", size_bytes=1)
        assert await probe(CTX, "create_volume", other) == infos.Absent()
        grow = requests.ResizeVolume(key="v", size_bytes=9000)
        assert await probe(CTX, "resize_volume", grow) == infos.Absent()
        grown = await w.driver.resize_volume(CTX, grow)
        assert await probe(CTX, "resize_volume", grow) == infos.Done(answer=grown)
        snap = requests.CreateSnapshot(key="s", volume="v")
        assert await probe(CTX, "create_snapshot", snap) == infos.Absent()
        taken = await w.driver.create_snapshot(CTX, snap)
        assert await probe(CTX, "create_snapshot", snap) == infos.Done(answer=taken)
        back = requests.RevertVolume(key="v", snapshot="s")
        assert isinstance(await probe(CTX, "revert_volume", back), infos.Done)
        granting = requests.Grant(volume="v", host="host-a")
        assert await probe(CTX, "grant", granting) == infos.Absent()
        granted = await w.driver.grant(CTX, granting)
        assert await probe(CTX, "grant", granting) == infos.Done(answer=granted)
        await w.write("v", 0, b"x")
        assert await probe(CTX, "revert_volume", back) == infos.Absent()
        taking = requests.Revoke(volume="v", host="host-a")
        assert await probe(CTX, "revoke", taking) == infos.Absent()
        gone = await w.driver.revoke(CTX, taking)
        assert await probe(CTX, "revoke", taking) == infos.Done(answer=gone)
        for verb, request in (
            ("delete_snapshot", requests.DeleteSnapshot(key="s")),
            ("delete_volume", requests.DeleteVolume(key="v")),
        ):
            assert await probe(CTX, verb, request) == infos.Absent()
            gone = await getattr(w.driver, verb)(CTX, request)
            assert await probe(CTX, verb, request) == infos.Done(answer=gone)

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
        made = {thing.operation for thing in owned if thing.kind is not infos.OwnedKind.STORE}
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
