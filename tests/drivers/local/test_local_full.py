"""A store on a disk that is full to the last byte and the last inode can be read and emptied."""

import contextlib
import errno
import os
import shutil
import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest

import full_store
from holdfast.contract import requests
from holdfast.contract.answers import Done, Partial, StoreState
from holdfast.contract.capabilities import ObjectKind
from holdfast.contract.errors import Exhausted, Unknown
from holdfast.contract.requests import Role
from holdfast.files.mutations import Mutation, MutationKind, observe
from local_stores import CTX, Failing, Store, create, put, with_store

SCRIPT = Path(full_store.__file__)


def _can_mount() -> bool:
    if os.getuid() or shutil.which("unshare") is None:
        return False
    tried = subprocess.run(
        ("unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"), capture_output=True, check=False
    )
    return not tried.returncode


@pytest.mark.slow
@pytest.mark.skipif(not _can_mount(), reason="only root mounts file systems, where it may")
@pytest.mark.parametrize("kind", full_store.KINDS)
def test_a_full_store_can_be_read_and_emptied(tmp_path: Path, kind: str) -> None:
    """Everything that reads or frees works, each time somebody else took what was freed before.

    What needs space is ``Exhausted`` and leaves nothing.
    """
    program = full_store.KINDS[kind][0]
    if shutil.which(program) is None:
        pytest.skip(f"there is no {program} on this machine")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        ("unshare", "-m", sys.executable, str(SCRIPT), kind, str(tmp_path)),
        capture_output=True,
        check=False,
        text=True,
        env=environment,
    )
    assert (done.returncode, done.stderr[-3000:]) == (0, "")


class Stopped(Exception):
    """The process is gone at this point."""


class NoName:
    """A disk on which nothing gets another name, and a call that ends after some of its changes."""

    def __init__(self, changes: int) -> None:
        self.left = changes

    def before(self, mutation: Mutation) -> None:
        if mutation.kind is MutationKind.RENAME:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), mutation.path)
        if self.left == 0:
            raise Stopped
        self.left -= 1

    def after(self, mutation: Mutation) -> None:
        """Nothing to see."""


DELETIONS: dict[Role, tuple[requests.Request, ...]] = {
    Role.PRIMARY: (requests.DeleteVolume(key="one"), requests.DeleteSnapshot(key="snap")),
    Role.IMAGE: (requests.DeleteObject(key="key"), requests.AbortUpload(upload="open")),
}


@pytest.mark.parametrize(
    ("role", "request_"), [(role, one) for role, made in DELETIONS.items() for one in made]
)
def test_without_room_for_one_name_a_thing_is_taken_apart_where_it_is(
    tmp_path: Path, role: Role, request_: requests.Request
) -> None:
    """Wherever that ends, the probe never says that nothing happened, and a repetition ends it."""
    verb = requests.verb_of(request_)

    async def use(store: Store) -> int:
        changes = 0
        primary, image = await store.primary(), await store.image()
        driver = primary if role is Role.PRIMARY else image
        for changes in count():
            await create(primary, "one")
            await primary.create_snapshot(CTX, requests.CreateSnapshot(key="snap", volume="one"))
            await put(image, "key", b"content", upload=f"up-{changes}")
            await image.start_upload(
                CTX, requests.StartUpload(upload="open", key="later", kind=ObjectKind.ISO)
            )
            with observe(NoName(changes)), contextlib.suppress(Stopped, Unknown):
                await getattr(driver, verb)(CTX, request_)
                break
            probed = await driver.probe(CTX, verb, request_)
            assert isinstance(probed, Partial | Done) or changes == 0
            with observe(NoName(99)):
                await getattr(driver, verb)(CTX, request_)
            assert isinstance(await driver.probe(CTX, verb, request_), Done)
        assert isinstance(await driver.probe(CTX, verb, request_), Done)
        return changes

    assert with_store(tmp_path, use) > 2


def test_a_store_that_cannot_exchange_names_changes_its_state_all_the_same(tmp_path: Path) -> None:
    """As on NFS: the spare takes the record's place, and there is a new spare afterwards."""

    class NoExchange(NoName):
        def before(self, mutation: Mutation) -> None:
            if mutation.kind is MutationKind.EXCHANGE:
                raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), mutation.path)

    async def use(store: Store) -> list[str]:
        life_cycle = await store.life_cycle(Role.PRIMARY)
        with observe(NoExchange(0)):
            await life_cycle.maintain(CTX, requests.MaintainStore())
            await life_cycle.detach(CTX, requests.DetachHost(host="host"))
        found = await life_cycle.get(CTX)
        assert (found.state, found.hosts) == (StoreState.MAINTENANCE, ())
        return sorted(path.name for path in (store.folder / "primary").iterdir())

    folders = [
        "fences",
        "grants",
        "lock",
        "snapshots",
        "staging",
        "store.json",
        "store.spare",
        "volumes",
    ]
    assert with_store(tmp_path, use) == folders


def test_a_state_that_finds_no_space_leaves_nothing(tmp_path: Path) -> None:
    """In a store from before there were spares, what was begun is removed and the state is old."""

    async def use(store: Store) -> list[str]:
        life_cycle = await store.life_cycle(Role.PRIMARY)
        folder = store.folder / "primary"
        (folder / "store.spare").unlink()
        before = sorted(str(path) for path in folder.rglob("*"))
        for kind in (MutationKind.CREATE, MutationKind.WRITE, MutationKind.FSYNC_FILE):
            with observe(Failing(kind, errno.ENOSPC)), pytest.raises(Exhausted):
                await life_cycle.maintain(CTX, requests.MaintainStore())
            assert sorted(str(path) for path in folder.rglob("*")) == before
        assert (await life_cycle.get(CTX)).state is StoreState.UP
        await life_cycle.maintain(CTX, requests.MaintainStore())
        return [path.name for path in (folder / "staging").iterdir()]

    assert with_store(tmp_path, use) == []
