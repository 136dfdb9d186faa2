"""The local driver when it is shared: drivers at once, grants, objects, life cycle."""

import asyncio
import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.contract import requests
from holdfast.contract.answers import Done, ProbeResult, Undetermined, VolumeInfo
from holdfast.contract.capabilities import ObjectKind
from holdfast.contract.errors import Busy, Denied, InUse, Invalid, NotFound, Precondition
from holdfast.contract.requests import Role
from holdfast.data import open_block_io
from holdfast.files.mutations import Mutation, MutationKind, observe, open_existing
from local_stores import CTX, MIB, Store, create, opened, put, with_store


def test_two_drivers_on_one_store_make_one_volume(tmp_path: Path) -> None:
    """However many create the same volume at once, there is one, and nobody gets another answer."""

    async def use(store: Store) -> tuple[set[str], set[type[BaseException]], int]:
        drivers = [await store.primary() for _ in range(8)]
        answers = await asyncio.gather(
            *(create(driver, "one") for driver in drivers), return_exceptions=True
        )
        ids = {answer.id for answer in answers if isinstance(answer, VolumeInfo)}
        errors = {type(answer) for answer in answers if isinstance(answer, BaseException)}
        listed = await drivers[0].list_volumes(CTX, requests.ListVolumes())
        return ids, errors, len(listed.items)

    ids, errors, listed = with_store(tmp_path, use)
    assert (len(ids), listed) == (1, 1)
    assert errors <= {Busy}


def test_a_key_that_is_at_work_is_busy_and_another_is_not(tmp_path: Path) -> None:
    """While one call works on a volume another is refused at once, on that volume only."""

    async def use(store: Store) -> None:
        driver, other = await store.primary(), await store.primary()
        await create(driver, "one")
        loop = asyncio.get_running_loop()
        tried: list[object] = []

        class Trying:
            def before(self, mutation: Mutation) -> None:
                if mutation.kind is MutationKind.TRUNCATE and not tried:
                    tried.append(None)
                    for key in ("one", "two"):
                        work = asyncio.run_coroutine_threadsafe(attempt(key), loop)
                        tried.append(work.result())

            def after(self, mutation: Mutation) -> None:
                """Nothing to see."""

        async def attempt(key: str) -> str:
            try:
                await create(other, key)
            except Busy as error:
                return error.object
            return "created"

        with observe(Trying()):
            resize = requests.ResizeVolume(key="one", size_bytes=2 * MIB)
            await driver.resize_volume(CTX, resize)
        assert tried == [None, "one", "created"]

    with_store(tmp_path, use)


def test_a_snapshot_waits_for_the_write_that_is_under_way(tmp_path: Path) -> None:
    """A snapshot holds a whole write or nothing of it, however the file is copied."""

    async def use(store: Store) -> None:
        driver = await store.primary()
        await create(driver, "one", 8 * MIB)
        async with open_block_io(await opened(driver, "one")) as content:
            for round_number in range(1, 6):
                written = bytes([round_number]) * (8 * MIB)
                key = f"snap-{round_number}"
                await asyncio.gather(
                    content.write_at(0, written),
                    driver.create_snapshot(CTX, requests.CreateSnapshot(key=key, volume="one")),
                )
                (data,) = (store.folder / "primary/snapshots" / key).glob("data")
                assert len(set(data.read_bytes())) == 1

    with_store(tmp_path, use)


def test_a_revoked_handle_is_dead_for_good(tmp_path: Path) -> None:
    """After revoke a handle stays useless, also once the host is granted the volume again."""

    async def use(store: Store) -> bytes:
        driver = await store.primary()
        await create(driver, "one")
        old = await opened(driver, "one")
        async with open_block_io(old) as content:
            await driver.revoke(CTX, requests.Revoke(volume="one", host="host"))
            new = await opened(driver, "one")
            with pytest.raises(Denied):
                await content.write_at(0, b"late")
        async with open_block_io(new) as content:
            return await content.read_at(0, 4)

    assert with_store(tmp_path, use) == bytes(4)


def _is_waited_for(path: Path) -> bool:
    """Whether somebody waits for the lock of a file."""
    ending = f":{path.stat().st_ino} 0 EOF"
    lines = Path("/proc/locks").read_text().splitlines()
    return any("-> FLOCK" in line and line.endswith(ending) for line in lines)


def test_a_revoke_ends_only_when_no_call_is_at_work(tmp_path: Path) -> None:
    """Also a repeated revoke waits for the write under way, and until then no probe says done."""

    async def use(store: Store) -> ProbeResult:
        driver = await store.primary()
        await create(driver, "one")
        handle = await opened(driver, "one")
        request = requests.Revoke(volume="one", host="host")
        data = store.folder / "primary/volumes/one/data"
        with open_existing(data) as written:
            fcntl.flock(written.fd, fcntl.LOCK_SH)  # as a write of another process does
            os.unlink(handle.path)  # noqa: PTH108 - as a call does that is killed before it waits
            assert isinstance(await driver.probe(CTX, "revoke", request), Undetermined)
            repeated = asyncio.create_task(driver.revoke(CTX, request))
            while not repeated.done() and not _is_waited_for(data):  # noqa: ASYNC110 - no event tells
                await asyncio.sleep(0)
            assert not repeated.done()
        await repeated
        return await driver.probe(CTX, "revoke", request)

    assert isinstance(with_store(tmp_path, use), Done)


def test_a_reader_finds_the_old_object_or_the_new_one(tmp_path: Path) -> None:
    """While an object is replaced again and again every reader gets one of them whole."""

    async def use(store: Store) -> set[str]:
        writer, reader = await store.image(), await store.image()
        wanted = {await put(writer, "key", b"0" * 5000)}
        seen: set[str] = set()
        done = asyncio.Event()

        async def read() -> None:
            while not done.is_set():
                answer = await reader.get(CTX, requests.GetObject(key="key"))
                seen.add(hashlib.sha256(answer.data).hexdigest())

        async def write() -> None:
            for number in range(1, 20):
                wanted.add(await put(writer, "key", bytes([number]) * 5000, f"up{number}"))
            done.set()

        await asyncio.gather(read(), read(), write())
        return seen - wanted

    assert with_store(tmp_path, use) == set()


def test_a_handle_of_a_deleted_object_is_useless(tmp_path: Path) -> None:
    """Who still reads an object that was deleted or replaced is ``Denied``, at once."""

    async def use(store: Store) -> list[type[Exception]]:
        driver = await store.image()
        seen: list[type[Exception]] = []
        for number in range(2):
            await put(driver, "key", b"content", f"up{number}")
            handle = await driver.open_object(CTX, requests.OpenObject(key="key"))
            async with open_block_io(handle) as content:
                assert await content.read_at(0, 7) == b"content"
                if number:
                    await driver.delete(CTX, requests.DeleteObject(key="key"))
                else:
                    await put(driver, "key", b"another", "up2")
                try:
                    await content.read_at(0, 7)
                except Denied as error:
                    seen.append(type(error))
        return seen

    assert with_store(tmp_path, use) == [Denied, Denied]


def test_parts_that_were_replaced_are_foreign(tmp_path: Path) -> None:
    """A completion that names a part by an old tag is ``Invalid``, and the upload stays open."""

    async def use(store: Store) -> None:
        driver = await store.image()
        start = requests.StartUpload(upload="up", key="key", kind=ObjectKind.ISO)
        await driver.start_upload(CTX, start)
        sent = [
            (
                await driver.upload_part(CTX, requests.UploadPart(upload="up", number=1, data=data))
            ).part
            for data in (b"old", b"new")
        ]
        for part, expected in zip(sent, (Invalid, None), strict=True):
            finish = requests.CompleteUpload(
                upload="up", parts=(part,), size_bytes=3, sha256=hashlib.sha256(b"new").hexdigest()
            )
            if expected is None:
                await driver.complete_upload(CTX, finish)
            else:
                with pytest.raises(expected):
                    await driver.complete_upload(CTX, finish)
        with pytest.raises(NotFound):
            await driver.upload_part(CTX, requests.UploadPart(upload="up", number=1, data=b""))

    with_store(tmp_path, use)


def test_a_store_is_given_back_only_when_it_is_empty(tmp_path: Path) -> None:
    """Neither a thing nor a host keeps it; then nothing is left, and nothing beside was touched."""
    (tmp_path / "beside").write_bytes(b"mine")

    async def use(store: Store) -> None:
        driver = await store.primary()
        await create(driver, "one")
        life_cycle = await store.life_cycle(Role.PRIMARY)
        with pytest.raises(InUse) as caught:
            await life_cycle.delete_store(CTX, requests.DeleteStore())
        assert caught.value.holders == ("volumes/one", "hosts/host")
        await driver.delete_volume(CTX, requests.DeleteVolume(key="one"))
        for role in Role:
            again = await store.life_cycle(role)
            with pytest.raises(InUse) as caught:
                await again.delete_store(CTX, requests.DeleteStore())
            assert caught.value.holders == ("hosts/host",)
            await again.detach(CTX, requests.DetachHost(host="host"))
            await again.delete_store(CTX, requests.DeleteStore())
            await again.delete_store(CTX, requests.DeleteStore())
        with pytest.raises(NotFound):
            await create(driver, "one")

    with_store(tmp_path, use)
    assert [path.name for path in tmp_path.iterdir()] == ["beside"]


def test_a_store_at_rest_allocates_nothing(tmp_path: Path) -> None:
    """In maintenance nothing new is made, and what is granted keeps working."""

    async def use(store: Store) -> bytes:
        driver, image = await store.primary(), await store.image()
        await create(driver, "one")
        handle = await opened(driver, "one")
        for role in Role:
            life_cycle = await store.life_cycle(role)
            await life_cycle.maintain(CTX, requests.MaintainStore())
        start = requests.StartUpload(upload="up", key="key", kind=ObjectKind.ISO)
        for call in (create(driver, "two"), image.start_upload(CTX, start)):
            with pytest.raises(Precondition):
                await call
        async with open_block_io(handle) as content:
            await content.write_at(0, b"still")
            return await content.read_at(0, 5)

    assert with_store(tmp_path, use) == b"still"


@pytest.fixture
def reflink_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system that shares blocks; skips where none can be mounted."""
    image, folder = tmp_path / "xfs.img", tmp_path / "mounted"
    image.touch()
    os.truncate(image, 512 * MIB)
    folder.mkdir()
    if os.geteuid() != 0 or shutil.which("mkfs.xfs") is None:
        pytest.skip("mounting an XFS image needs root and mkfs.xfs")
    subprocess.run(["mkfs.xfs", "-q", "-m", "reflink=1", image], check=True)
    mounted = subprocess.run(
        ["mount", "-o", "loop", image, folder], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"an XFS image cannot be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.slow
def test_where_blocks_can_be_shared_snapshots_and_clones_are_native(reflink_folder: Path) -> None:
    """On such a file system the capability is declared, and a clone of much data costs nothing."""

    async def use(store: Store) -> tuple[bool, bool, int, bytes]:
        driver = await store.primary()
        await create(driver, "one", 64 * MIB)
        async with open_block_io(await opened(driver, "one")) as content:
            await content.write_at(0, os.urandom(48 * MIB))
            await content.flush()
            free = os.statvfs(reflink_folder).f_bavail * os.statvfs(reflink_folder).f_frsize
            await driver.create_snapshot(CTX, requests.CreateSnapshot(key="s", volume="one"))
            source = requests.SnapshotSource("s")
            await driver.create_volume(
                CTX, requests.CreateVolume(key="c", size_bytes=64 * MIB, source=source)
            )
            left = os.statvfs(reflink_folder).f_bavail * os.statvfs(reflink_folder).f_frsize
            await content.write_at(0, b"changed")
            await content.flush()
            before = await content.read_at(7, MIB)
        async with open_block_io(await opened(driver, "c")) as content:
            same = await content.read_at(7, MIB) == before
            first = await content.read_at(0, 7)
        assert same
        declared = driver.capabilities
        assert declared.snapshot is not None
        assert declared.clone is not None
        return declared.snapshot.native, declared.clone.native, (free - left) // MIB, first

    native, clones, used_mib, first = with_store(reflink_folder, use)
    assert (native, clones) == (True, True)
    assert used_mib < 8
    assert first != b"changed"


def test_nothing_is_written_but_through_the_observed_functions(tmp_path: Path) -> None:
    """Every file the driver leaves behind was seen to be created or given its name."""
    names: set[str] = set()

    class Watching:
        def before(self, mutation: Mutation) -> None:
            """Only what happened counts."""

        def after(self, mutation: Mutation) -> None:
            names.add(mutation.target or mutation.path)

    async def use(store: Store) -> None:
        driver, image = await store.primary(), await store.image()
        await create(driver, "one")
        await opened(driver, "one")
        await put(image, "key", b"content")

    with observe(Watching()):
        with_store(tmp_path, use)
    roots = {Path(name) for name in names}
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    unseen = [path for path in left if path not in roots and path.parent not in roots]
    assert unseen == []
