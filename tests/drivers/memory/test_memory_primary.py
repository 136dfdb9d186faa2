from holdfast.contract import answers, requests
from holdfast.contract.capabilities import AccessMode
from holdfast.contract.errors import (
    Conflict,
    Denied,
    Exhausted,
    InUse,
    Invalid,
    NotFound,
    OutOfRange,
)
from holdfast.data import open_block_io
from memory_worlds import BLOCK, CTX, World, tell
from worlds import refused


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
        assert await w.delete("never") == answers.Gone(key="never")
        await w.create("v")
        await w.grant("v")
        error = await refused(InUse, w.delete("v"))
        assert isinstance(error, InUse)
        assert error.holders == ("host-a",)
        await w.revoke("v")
        assert await w.delete("v") == answers.Gone(key="v")
        assert await w.delete("v") == answers.Gone(key="v")

    tell(story)


def test_a_volume_with_snapshots_blocks_its_deletion() -> None:
    """A volume cannot be deleted before its snapshots, as the declared lifetime says."""

    async def story(w: World) -> None:
        await w.create("v")
        await w.snapshot("s", "v")
        await refused(InUse, w.delete("v"))
        await w.driver.delete_snapshot(CTX, requests.DeleteSnapshot(key="s"))
        assert await w.delete("v") == answers.Gone(key="v")

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
        assert await w.revoke("v") == answers.Gone(key="v")
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
