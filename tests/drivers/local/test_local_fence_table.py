"""The table of fences: its size, what it forgets, full disks, damage, and stores from before it."""

import errno
from pathlib import Path

import msgspec
import pytest

from fenced_stores import (
    DELETE,
    EARLIER,
    GRANT,
    GROW,
    LATER,
    LATEST,
    MIB,
    OWNER,
    REVOKE,
    VOLUME,
    Opened,
    context,
    refused,
    story,
)
from holdfast.contract import requests
from holdfast.contract.errors import DriverError
from holdfast.files import mutations
from holdfast.files.mutations import Mutation, MutationKind, observe


def test_one_object_says_nothing_of_another(tmp_path: Path) -> None:
    """Calls on different objects come in any order, hundreds of them."""

    async def told(store: Opened) -> None:
        for number in range(300, 0, -1):
            key = f"gone {number}"
            await store.call(requests.DeleteVolume(key=key), context(number))

    story(tmp_path, told)


def test_the_table_of_fences_never_grows_and_forgets_nothing_silently(tmp_path: Path) -> None:
    """What had to make room is refused all the same, if only by being told to come again."""

    async def told(store: Opened) -> None:
        size = (tmp_path / "n" / "primary" / "fences").stat().st_size
        for number in range(1, 3001):
            await store.call(requests.DeleteVolume(key=f"gone {number}"), context(number + 10))
        assert (tmp_path / "n" / "primary" / "fences").stat().st_size == size
        for number in range(1, 3001, 50):
            request = requests.CreateVolume(key=f"gone {number}", size_bytes=MIB)
            with pytest.raises(DriverError) as error:
                await store.call(request, context(number))
            assert error.value.final
        assert list((tmp_path / "n" / "primary" / "volumes").iterdir()) == []

    story(tmp_path, told)


def test_a_store_from_before_fences_gets_a_table_with_its_first_call(tmp_path: Path) -> None:
    """A store without the file works, and refuses what is late from then on."""

    async def told(store: Opened) -> None:
        (tmp_path / "n" / "primary" / "fences").unlink()
        await store.call(VOLUME, context(LATER))
        await store.call(DELETE, context(LATEST))
        await refused(store, VOLUME, context(EARLIER), tmp_path)

    story(tmp_path, told)


class NoSpace:
    """A file system that has no space for anything that is not there yet."""

    def before(self, mutation: Mutation) -> None:
        """Refuse."""
        if mutation.kind in {MutationKind.CREATE, MutationKind.MKDIR, MutationKind.LINK}:
            raise OSError(errno.ENOSPC, "No space left on device", mutation.path)

    def after(self, mutation: Mutation) -> None:
        """Nothing."""


def test_a_full_store_from_before_fences_can_be_emptied(tmp_path: Path) -> None:
    """Where there is no space for a table, what gives space back goes on without one."""

    async def told(store: Opened) -> None:
        for number, request in enumerate((VOLUME, GRANT), 1):
            await store.call(request, context(number))
        (tmp_path / "n" / "primary" / "fences").unlink()
        with observe(NoSpace()):
            await store.call(REVOKE, context(LATER))
        assert list((tmp_path / "n" / "primary" / "grants").iterdir()) == []

    story(tmp_path, told)


def test_a_full_store_from_before_fences_says_which_it_is(tmp_path: Path) -> None:
    """Whoever empties a store asks it that first; the answer needs no table of fences."""

    async def told(store: Opened) -> None:
        (tmp_path / "n" / "primary" / "fences").unlink()
        with observe(NoSpace()):
            assert (await store.life_cycle.get(context(LATER))).name == "store"

    story(tmp_path, told)


def test_a_damaged_fence_is_taken_for_none(tmp_path: Path) -> None:
    """A slot that is not as it was written stops nobody's work."""

    async def told(store: Opened) -> None:
        await store.call(VOLUME, context(EARLIER))
        with mutations.open_existing(tmp_path / "n" / "primary" / "fences", writable=True) as file:
            mutations.write_at(file, 0, b"\xff" * file.size_bytes())
        await store.call(DELETE, context(LATER))

    story(tmp_path, told)


def test_what_a_row_says_of_its_fence_is_kept_by_later_versions(tmp_path: Path) -> None:
    """A row without a fence, of an earlier version, is read; every later call passes."""

    async def told(store: Opened) -> None:
        await store.call(VOLUME, context(EARLIER))
        row = tmp_path / "n" / "primary" / "volumes" / "v" / "row.json"
        told = msgspec.json.decode(row.read_bytes())
        assert told.pop("fence") == OWNER + EARLIER
        row.write_bytes(msgspec.json.encode(told))
        await store.call(GROW, context(LATER))

    story(tmp_path, told)
