"""The local driver when the disk is full, broken, away or damaged."""

import errno
import os
from collections.abc import Awaitable
from pathlib import Path

import pytest

from holdfast.contract import requests
from holdfast.contract.answers import (
    Done,
    HealthState,
    Partial,
    ProbeResult,
    StoreState,
    Undetermined,
)
from holdfast.contract.errors import Corrupt, Exhausted, NotFound, Unavailable, Unknown
from holdfast.contract.requests import Role
from holdfast.data.whole_objects import read_object
from holdfast.files.mutations import Mutation, MutationKind, observe
from local_stores import CTX, MIB, Failing, Store, context, create, opened, put, with_store


@pytest.mark.parametrize(
    "kind",
    [
        MutationKind.MKDIR,
        MutationKind.CREATE,
        MutationKind.TRUNCATE,
        MutationKind.WRITE,
        MutationKind.FSYNC_FILE,
        MutationKind.RENAME,
        MutationKind.FSYNC_DIRECTORY,
    ],
)
def test_a_full_disk_leaves_nothing(tmp_path: Path, kind: MutationKind) -> None:
    """Whatever step finds no space, the error is ``Exhausted`` and nothing is left."""

    async def use(store: Store) -> list[str]:
        driver = await store.primary()
        with observe(Failing(kind, errno.ENOSPC)), pytest.raises(Exhausted):
            await create(driver, "one")
        stream = driver.enumerate(CTX, requests.EnumerateOwned())
        left = [thing.kind async for thing in stream]
        assert (await create(driver, "one")).size_bytes == MIB
        return [str(kind) for kind in left]

    assert with_store(tmp_path, use) == ["store"]


def test_an_unreadable_answer_of_the_disk_is_unknown(tmp_path: Path) -> None:
    """After an input/output error nobody claims to know the outcome."""

    async def use(store: Store) -> None:
        driver = await store.primary()
        failing = Failing(MutationKind.FSYNC_DIRECTORY, errno.EIO)
        with observe(failing), pytest.raises(Unknown):
            await create(driver, "one")

    with_store(tmp_path, use)


class FailingAfter:
    """Lets one change happen and refuses from then on to make anything durable."""

    def __init__(self, kind: MutationKind, part_of_name: str) -> None:
        self._kind = kind
        self._part_of_name = part_of_name
        self._happened = False

    def before(self, mutation: Mutation) -> None:
        if self._happened and mutation.kind in _DURABLE:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), mutation.path)

    def after(self, mutation: Mutation) -> None:
        name = mutation.target or mutation.path
        self._happened |= mutation.kind is self._kind and self._part_of_name in name


_DURABLE = {MutationKind.FSYNC_DIRECTORY, MutationKind.FSYNC_FILE}


@pytest.mark.parametrize(
    ("request_", "kind", "part_of_name"),
    [
        (requests.RevertVolume(key="one", snapshot="snap"), MutationKind.RENAME, "one/row.json"),
        (requests.DeleteVolume(key="one"), MutationKind.RENAME, "staging/volume.one"),
        (requests.DeleteSnapshot(key="snap"), MutationKind.RENAME, "staging/snapshot.snap"),
        (requests.ResizeVolume(key="one", size_bytes=2 * MIB), MutationKind.TRUNCATE, "one/data"),
        (requests.Revoke(volume="two", host="host"), MutationKind.UNLINK, "grants/two"),
    ],
    ids=["revert", "delete", "delete snapshot", "resize", "revoke"],
)
def test_an_error_after_the_change_is_unknown_and_the_probe_tells(
    tmp_path: Path, request_: requests.Request, kind: MutationKind, part_of_name: str
) -> None:
    """What is refused after a change was made is no promise that nothing happened."""

    async def use(store: Store) -> ProbeResult:
        driver = await store.primary()
        await create(driver, "one")
        await create(driver, "two")
        await opened(driver, "two")
        await driver.create_snapshot(CTX, requests.CreateSnapshot(key="snap", volume="one"))
        verb = requests.verb_of(request_)
        with observe(FailingAfter(kind, part_of_name)), pytest.raises(Unknown):
            await getattr(driver, verb)(CTX, request_)
        if isinstance(await driver.probe(CTX, verb, request_), Partial):
            await getattr(driver, verb)(CTX, request_)
        return await driver.probe(CTX, verb, request_)

    assert isinstance(with_store(tmp_path, use), Done)


def test_an_object_that_was_replaced_is_never_called_refused(tmp_path: Path) -> None:
    """After the new object took the place of the old one an error leaves the outcome open."""

    async def use(store: Store) -> bytes:
        driver = await store.image()
        await put(driver, "key", b"old", upload="first")
        replaced = FailingAfter(MutationKind.RENAME, "objects/key/row.json")
        with observe(replaced), pytest.raises(Unknown):
            await put(driver, "key", b"new", upload="second")
        await put(driver, "key", b"new", upload="second")
        return (await driver.get(CTX, requests.GetObject(key="key"))).data

    assert with_store(tmp_path, use) == b"new"


def test_a_store_that_changed_is_never_called_refused(tmp_path: Path) -> None:
    """After a store's record was replaced or its folder is gone an error leaves that open."""

    async def use(store: Store) -> None:
        life_cycle = await store.life_cycle(Role.PRIMARY)
        replaced = FailingAfter(MutationKind.EXCHANGE, "store.json")
        with observe(replaced), pytest.raises(Unknown):
            await life_cycle.maintain(CTX, requests.MaintainStore())
        assert (await life_cycle.get(CTX)).state is StoreState.MAINTENANCE
        await life_cycle.detach(CTX, requests.DetachHost(host="host"))
        gone = FailingAfter(MutationKind.RENAME, ".leaving")
        with observe(gone), pytest.raises(Unknown):
            await life_cycle.delete_store(CTX, requests.DeleteStore())
        with pytest.raises(NotFound):
            await life_cycle.get(CTX)

    with_store(tmp_path, use)


def test_a_store_that_is_away_is_unavailable_and_nothing_is_absent(tmp_path: Path) -> None:
    """While the root is away every verb says so; no thing is called absent."""
    root = tmp_path / "root"
    root.mkdir()

    async def use(store: Store) -> None:
        driver, image = await store.primary(), await store.image()
        await create(driver, "one")
        root.rename(tmp_path / "away")
        calls: list[Awaitable[object]] = [
            driver.get_volume(CTX, requests.GetVolume(key="two")),
            driver.delete_volume(CTX, requests.DeleteVolume(key="two")),
            driver.revoke(CTX, requests.Revoke(volume="two", host="host")),
            driver.list_volumes(CTX, requests.ListVolumes()),
            driver.stats(CTX, requests.GetStats()),
            image.head(CTX, requests.HeadObject(key="two")),
            image.abort_upload(CTX, requests.AbortUpload(upload="two")),
        ]
        for call in calls:
            with pytest.raises(Unavailable):
                await call
        health = await driver.health(CTX, requests.CheckHealth())
        assert (health.state, health.dependency) == (HealthState.DOWN, f"folder {root}")
        request = requests.DeleteVolume(key="one")
        assert isinstance(await driver.probe(CTX, "delete_volume", request), Undetermined)
        (tmp_path / "away").rename(root)
        await driver.get_volume(CTX, requests.GetVolume(key="one"))

    with_store(root, use)


@pytest.mark.parametrize("damage", ["row.json", "data"])
def test_a_lost_file_is_corrupt_and_never_absent(tmp_path: Path, damage: str) -> None:
    """What the driver recorded and cannot find again is ``Corrupt``; it can still be deleted."""

    async def use(store: Store) -> None:
        driver = await store.primary()
        await create(driver, "one")
        (store.folder / "primary/volumes/one" / damage).unlink()
        with pytest.raises(Corrupt):
            await driver.get_volume(CTX, requests.GetVolume(key="one"))
        with pytest.raises(Corrupt):
            await create(driver, "one")
        await driver.delete_volume(CTX, requests.DeleteVolume(key="one"))
        await create(driver, "one")

    with_store(tmp_path, use)


def test_a_lost_store_file_is_corrupt(tmp_path: Path) -> None:
    """A store whose own record is gone or damaged is ``Corrupt``, not a fresh place."""

    async def use(store: Store) -> None:
        driver, life_cycle = await store.primary(), await store.life_cycle(Role.PRIMARY)
        record = store.folder / "primary/store.json"
        for spoil in (lambda: record.write_bytes(b"{}"), record.unlink):
            spoil()
            with pytest.raises(Corrupt):
                await driver.list_volumes(CTX, requests.ListVolumes())
            with pytest.raises(Corrupt):
                await life_cycle.initialize(CTX, requests.InitializeStore(name="store"))

    with_store(tmp_path, use)


LOST: dict[str, tuple[Role, requests.Request]] = {
    "primary/volumes": (Role.PRIMARY, requests.DeleteVolume(key="one")),
    "primary/snapshots": (Role.PRIMARY, requests.DeleteSnapshot(key="one")),
    "image/objects": (Role.IMAGE, requests.DeleteObject(key="one")),
    "image/uploads": (Role.IMAGE, requests.AbortUpload(upload="one")),
}


@pytest.mark.parametrize("kind", ["away", "a pipe", "a file"])
@pytest.mark.parametrize("shelf", LOST)
def test_nothing_is_gone_where_the_folder_of_its_kind_is_lost(
    tmp_path: Path, shelf: str, kind: str
) -> None:
    """A deletion that finds no folder of volumes cannot say that a volume is deleted: it lives
    where that folder is now.
    """
    role, request_ = LOST[shelf]

    async def use(store: Store) -> None:
        primary, image = await store.primary(), await store.image()
        driver = primary if role is Role.PRIMARY else image
        folder = store.folder / shelf
        folder.rename(tmp_path / "elsewhere")
        if kind == "a pipe":
            os.mkfifo(folder)
        elif kind == "a file":
            folder.touch()
        with pytest.raises(Corrupt):
            await getattr(driver, requests.verb_of(request_))(CTX, request_)
        probed = await driver.probe(CTX, requests.verb_of(request_), request_)
        assert isinstance(probed, Undetermined)

    with_store(tmp_path, use)


def test_a_damaged_object_is_never_handed_out(tmp_path: Path) -> None:
    """A changed byte is noticed when all is read, another length always."""

    async def use(store: Store) -> None:
        driver = await store.image()
        await put(driver, "key", b"content")
        (data,) = (store.folder / "image/objects/key").glob("data*")
        data.write_bytes(b"c0ntent")
        with pytest.raises(Corrupt):
            await driver.get(CTX, requests.GetObject(key="key"))
        with pytest.raises(Corrupt):
            assert [chunk async for chunk in read_object(driver, context, "key")]
        data.write_bytes(b"cont")
        for call in (
            driver.get(CTX, requests.GetObject(key="key", offset_bytes=1, length_bytes=1)),
            driver.head(CTX, requests.HeadObject(key="key")),
            driver.open_object(CTX, requests.OpenObject(key="key")),
        ):
            with pytest.raises(Corrupt):
                await call

    with_store(tmp_path, use)
