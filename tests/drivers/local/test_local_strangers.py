"""A store's folder in which something stands that no driver put there."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from holdfast.contract import answers, requests
from holdfast.contract.answers import HealthState, OwnedKind, OwnedThing, Partial, Undetermined
from holdfast.contract.capabilities import ObjectKind
from holdfast.contract.errors import Corrupt, Denied, DriverError
from holdfast.contract.handles import FileHandle
from holdfast.contract.requests import CallContext, Role
from holdfast.data import open_block_io
from holdfast_drivers.local.inspector import LocalInspector
from local_stores import CTX, MIB, Store, create, opened, put, with_store
from strangers import BAD, DISKS, ENTRIES, NAMES, NO_FILES, surroundings, untouched

CAPACITY_BYTES = 64 * MIB


async def owned(stream: AsyncIterator[OwnedThing]) -> list[OwnedThing]:
    return [thing async for thing in stream]


async def things(store: Store, role: Role) -> list[OwnedThing]:
    driver = await (store.primary() if role is Role.PRIMARY else store.image())
    return await owned(driver.enumerate(CTX, requests.EnumerateOwned()))


async def unreadable(store: Store, role: Role) -> list[OwnedThing]:
    """What is set apart, told alike by driver and inspector."""
    found = [thing for thing in await things(store, role) if thing.kind is OwnedKind.UNREADABLE]
    inspector = LocalInspector(Path(store.config.root), store.folder / role.value, role)
    seen = [
        thing
        for thing in (await inspector.inventory()).things
        if thing.kind is OwnedKind.UNREADABLE
    ]
    assert len(found) == len(seen)
    assert all(thing.reason for thing in found)
    assert all(thing.detail for thing in seen)
    assert all(f"{thing.id}{thing.reason}{thing.key}".isprintable() for thing in found)
    return found


async def use_primary(store: Store) -> None:
    """All that a store does for other things than the one that is unreadable."""
    driver = await store.primary()
    assert (await driver.health(CTX, requests.CheckHealth())).state is HealthState.UP
    await create(driver, "new")
    await driver.create_snapshot(CTX, requests.CreateSnapshot(key="of new", volume="new"))
    volumes = await driver.list_volumes(CTX, requests.ListVolumes())
    assert [item.key for item in volumes.items] == ["good", "new"]
    snapshots = await driver.list_snapshots(CTX, requests.ListSnapshots(volume="new"))
    assert [item.key for item in snapshots.items] == ["of new"]
    assert (await driver.stats(CTX, requests.GetStats())).objects >= 2
    await driver.pools(CTX, requests.ListPools())
    await driver.resize_volume(CTX, requests.ResizeVolume(key="good", size_bytes=2 * MIB))
    async with open_block_io(await opened(driver, "good")) as content:
        await content.write_at(0, b"good")
        assert await content.read_at(0, 4) == b"good"
    await driver.revoke(CTX, requests.Revoke(volume="good", host="host"))
    await driver.delete_snapshot(CTX, requests.DeleteSnapshot(key="of new"))
    await driver.delete_volume(CTX, requests.DeleteVolume(key="new"))


def with_stranger(
    tmp_path: Path, where: str, name: bytes, make: Callable[[Path], object]
) -> Callable[[Callable[[Store], Awaitable[None]]], None]:
    """A bounded store of each role with something good in it, and a stranger in one folder."""
    root = surroundings(tmp_path)

    def run(use: Callable[[Store], Awaitable[None]]) -> None:
        async def main(store: Store) -> None:
            await create(await store.primary(), "good")
            await put(await store.image(), "good", b"good", upload="first")
            await (await store.image()).start_upload(
                CTX, requests.StartUpload(upload="open", key="later", kind=ObjectKind.ISO)
            )
            make(store.folder / where / os.fsdecode(name))
            await use(store)

        with_store(root, main, capacity_bytes=CAPACITY_BYTES)
        assert untouched(tmp_path)

    return run


@pytest.mark.parametrize("shelf", ["volumes", "snapshots"])
@pytest.mark.parametrize("kind", DISKS)
def test_one_unreadable_disk_stops_nothing_else(tmp_path: Path, kind: str, shelf: str) -> None:
    """It is named with a reason, all others are served, and deleting it by its key is possible."""

    async def use(store: Store) -> None:
        (found,) = await unreadable(store, Role.PRIMARY)
        assert (found.id, found.key) == (f"{shelf}/{BAD}", BAD)
        await use_primary(store)
        driver = await store.primary()
        if shelf == "volumes":
            await driver.delete_volume(CTX, requests.DeleteVolume(key=BAD))
        else:
            await driver.delete_snapshot(CTX, requests.DeleteSnapshot(key=BAD))
        assert await unreadable(store, Role.PRIMARY) == []

    with_stranger(tmp_path, f"primary/{shelf}", BAD.encode(), DISKS[kind])(use)


@pytest.mark.parametrize("kind", DISKS)
def test_nothing_is_done_to_what_an_unreadable_volume_leads_to(tmp_path: Path, kind: str) -> None:
    """Calls about it are ``Corrupt``, at once, and nothing outside of the store is touched."""

    async def use(store: Store) -> None:
        driver = await store.primary()
        source = requests.VolumeSource(BAD)
        calls: list[Awaitable[object]] = [
            driver.get_volume(CTX, requests.GetVolume(key=BAD)),
            create(driver, BAD),
            driver.stats(CTX, requests.GetStats(volume=BAD)),
            driver.resize_volume(CTX, requests.ResizeVolume(key=BAD, size_bytes=4 * MIB)),
            driver.resize_volume(CTX, requests.ResizeVolume(key=BAD, size_bytes=4096, shrink=True)),
            driver.create_snapshot(CTX, requests.CreateSnapshot(key="snap", volume=BAD)),
            driver.create_volume(
                CTX, requests.CreateVolume(key="clone", size_bytes=MIB, source=source)
            ),
            driver.grant(CTX, requests.Grant(volume=BAD, host="host")),
        ]
        for call in calls:
            with pytest.raises(Corrupt):
                await call
        with pytest.raises((Corrupt, Denied)):
            await driver.open(CTX, requests.Open(volume=BAD, host="host"))
        await driver.revoke(CTX, requests.Revoke(volume=BAD, host="host"))
        deletion = requests.DeleteVolume(key=BAD)
        probed = await driver.probe(CTX, "delete_volume", deletion)
        assert isinstance(probed, Partial | answers.Absent)
        kinds = [thing.kind for thing in await things(store, Role.PRIMARY)]
        assert sorted(kinds) == [OwnedKind.STORE, OwnedKind.UNREADABLE, OwnedKind.VOLUME]

    with_stranger(tmp_path, "primary/volumes", BAD.encode(), DISKS[kind])(use)


@pytest.mark.parametrize("shelf", ["objects", "uploads"])
@pytest.mark.parametrize("kind", ENTRIES)
def test_one_unreadable_object_stops_nothing_else(tmp_path: Path, kind: str, shelf: str) -> None:
    """It is named with a reason, and uploads, lists and figures of a bounded store go on."""

    async def use(store: Store) -> None:
        (found,) = await unreadable(store, Role.IMAGE)
        assert (found.id, found.key) == (f"{shelf}/{BAD}", BAD)
        driver = await store.image()
        await put(driver, "new", b"new", upload="second")
        page = await driver.list(CTX, requests.ListObjects())
        assert [item.key for item in page.items] == ["good", "new"]
        assert (await driver.stats(CTX, requests.GetStats())).objects == 2
        assert (await driver.get(CTX, requests.GetObject(key="good"))).data == b"good"
        await driver.delete(CTX, requests.DeleteObject(key="good"))
        await driver.abort_upload(CTX, requests.AbortUpload(upload="open"))
        if shelf == "objects":
            with pytest.raises(Corrupt):
                await driver.head(CTX, requests.HeadObject(key=BAD))
            await driver.delete(CTX, requests.DeleteObject(key=BAD))
        else:
            await driver.abort_upload(CTX, requests.AbortUpload(upload=BAD))
        assert await unreadable(store, Role.IMAGE) == []

    with_stranger(tmp_path, f"image/{shelf}", BAD.encode(), ENTRIES[kind])(use)


@pytest.mark.parametrize("where", ["primary/volumes", "primary/grants", "primary"])
@pytest.mark.parametrize("kind", NAMES)
def test_a_stray_name_is_told_so_that_it_cannot_act(tmp_path: Path, kind: str, where: str) -> None:
    """A name that no key has is set apart, is told printable, and stops nothing."""

    async def use(store: Store) -> None:
        (found,) = await unreadable(store, Role.PRIMARY)
        assert (found.key, len(found.id.encode()) <= 128) == ("", True)
        await use_primary(store)

    stray = ENTRIES["a stray file"]
    with_stranger(tmp_path, where, NAMES[kind], stray)(use)


@pytest.mark.parametrize("where", ["image", "image/objects", "image/uploads", "image/grants"])
@pytest.mark.parametrize("kind", NAMES)
def test_a_stray_name_in_an_image_store_is_told(tmp_path: Path, kind: str, where: str) -> None:
    """As in a primary store, in each of its folders."""

    async def use(store: Store) -> None:
        (found,) = await unreadable(store, Role.IMAGE)
        assert found.key == ""
        driver = await store.image()
        await put(driver, "new", b"new", upload="second")

    with_stranger(tmp_path, where, NAMES[kind], ENTRIES["a stray file"])(use)


@pytest.mark.parametrize("kind", ["a stray file", "an empty folder", "a pipe", "a link"])
def test_a_stray_entry_beside_a_volumes_data_is_told(tmp_path: Path, kind: str) -> None:
    """What stands in a volume's own folder is named, stays, and goes with the volume."""

    async def use(store: Store) -> None:
        (found,) = await unreadable(store, Role.PRIMARY)
        assert found.id == "volumes/good/notes"
        await use_primary(store)
        driver = await store.primary()
        await driver.delete_volume(CTX, requests.DeleteVolume(key="good"))
        assert await unreadable(store, Role.PRIMARY) == []

    with_stranger(tmp_path, "primary/volumes/good", b"notes", ENTRIES[kind])(use)


def replace(path: Path, kind: str) -> None:
    path.unlink()
    if kind == "another file":
        path.write_bytes(bytes(MIB))
    else:
        ENTRIES[kind](path)


async def write(handle: FileHandle) -> None:
    async with open_block_io(handle) as content:
        await content.write_at(0, b"late")


@pytest.mark.parametrize("kind", [*NO_FILES, "another file", "an empty folder"])
def test_what_stands_in_the_place_of_a_grant_leads_nowhere(tmp_path: Path, kind: str) -> None:
    """A grant's name that is not the volume's own file opens nothing, and is revoked like any."""
    root = surroundings(tmp_path)

    async def use(store: Store) -> None:
        driver = await store.primary()
        await create(driver, "good")
        handle = await opened(driver, "good")
        replace(Path(handle.path), kind)
        with pytest.raises(Corrupt):
            await driver.open(CTX, requests.Open(volume="good", host="host"))
        if kind != "another file":  # which is a file of the store, if not the volume's
            with pytest.raises((Corrupt, Denied)):
                await write(handle)
        told = await unreadable(store, Role.PRIMARY)
        assert len(told) == (0 if kind == "another file" else 1)
        await driver.revoke(CTX, requests.Revoke(volume="good", host="host"))
        assert await unreadable(store, Role.PRIMARY) == []
        await opened(driver, "good")

    with_store(root, use)
    assert untouched(tmp_path)


@pytest.mark.parametrize("name", ["volumes", "snapshots", "grants", "staging"])
def test_a_folder_of_a_store_that_is_a_link_is_not_followed(tmp_path: Path, name: str) -> None:
    """Where a whole folder leads elsewhere, no call reads or changes anything there."""
    root = surroundings(tmp_path)

    async def use(store: Store) -> None:
        driver = await store.primary()
        await create(driver, "good")
        await driver.create_snapshot(CTX, requests.CreateSnapshot(key="snap", volume="good"))
        folder = store.folder / "primary" / name
        away = tmp_path / "away"
        folder.rename(away)
        folder.symlink_to(away)
        before = sorted(str(path) for path in away.rglob("*"))
        calls: list[Awaitable[object]] = [
            driver.delete_volume(CTX, requests.DeleteVolume(key="good")),
            create(driver, "new"),
            driver.grant(CTX, requests.Grant(volume="good", host="host")),
            driver.delete_snapshot(CTX, requests.DeleteSnapshot(key="snap")),
        ]
        refused = 0
        for call in calls:
            try:
                await call
            except DriverError:
                refused += 1
        assert refused
        assert sorted(str(path) for path in away.rglob("*")) == before

    with_store(root, use)


@pytest.mark.parametrize("kind", [*NO_FILES, "a folder"])
@pytest.mark.parametrize("name", ["store.json", "lock", "store.spare", "fences"])
def test_the_files_of_a_store_itself_are_files(tmp_path: Path, name: str, kind: str) -> None:
    """What stands in their place is ``Corrupt`` for what needs them, at once, and not followed."""
    root = surroundings(tmp_path)

    async def use(store: Store) -> None:
        life_cycle = await store.life_cycle(Role.PRIMARY)
        path = store.folder / "primary" / name
        path.unlink()
        ENTRIES.get(kind, Path.mkdir)(path)
        fenced = CallContext(operation="op", deadline=CTX.deadline, fence=1 << 32)
        with pytest.raises(Corrupt):
            await life_cycle.maintain(fenced, requests.MaintainStore())
        probed = await (await store.primary()).probe(
            CTX, "delete_volume", requests.DeleteVolume(key="one")
        )
        assert isinstance(probed, Undetermined) == (name in {"store.json", "lock"})

    with_store(root, use)
    assert untouched(tmp_path)


def test_a_backup_made_of_hard_links_is_not_written_to(tmp_path: Path) -> None:
    """What has another name elsewhere is not written over, however often the store changes."""

    async def use(store: Store) -> None:
        life_cycle = await store.life_cycle(Role.PRIMARY)
        folder, backup = store.folder / "primary", tmp_path / "backup"
        backup.mkdir()
        for name in ("store.json", "store.spare"):
            os.link(folder / name, backup / name)
        before = {path.name: path.read_bytes() for path in backup.iterdir()}
        for _ in range(3):
            await life_cycle.maintain(CTX, requests.MaintainStore())
            await life_cycle.cancel_maintenance(CTX, requests.CancelMaintenance())
        assert {path.name: path.read_bytes() for path in backup.iterdir()} == before

    with_store(tmp_path, use)


def test_what_is_left_of_an_unreadable_volume_counts_against_the_bound(tmp_path: Path) -> None:
    """A damaged row frees no space: its data is still there."""

    async def use(store: Store) -> None:
        driver = await store.primary()
        await create(driver, "one", 2 * MIB)
        (store.folder / "primary/volumes/one/row.json").write_bytes(b"{")
        with pytest.raises(DriverError, match="do not fit"):
            await create(driver, "two", 2 * MIB)
        await create(driver, "three", MIB)

    with_store(tmp_path, use, capacity_bytes=3 * MIB)
