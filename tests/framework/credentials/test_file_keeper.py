"""The file of secrets beside a catalogue: its owner's alone, whole after a crash, never a link."""

import asyncio
import os
import stat
from pathlib import Path

import pytest

from holdfast.contract.errors import ConfigurationError
from holdfast.credentials.secret_file import FileKeeper

SECRET = "canary-of-a-secret"


def keep(path: Path, name: str = "store-1/key") -> None:
    asyncio.run(FileKeeper(path).keep({name: SECRET}))


def find(path: Path, name: str = "store-1/key") -> str | None:
    return asyncio.run(FileKeeper(path).find(name))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_is_kept_is_found_by_the_next_process_and_goes_with_its_store(tmp_path: Path) -> None:
    path = tmp_path / "secrets"
    keep(path)
    keep(path, "store-2/key")

    assert find(path) == SECRET
    asyncio.run(FileKeeper(path).remove(["store-1"]))
    assert (find(path), find(path, "store-2/key")) == (None, SECRET)
    asyncio.run(FileKeeper(path).remove(["store-2"]))
    assert list(tmp_path.iterdir()) == []


def test_the_file_is_its_owners_alone_whatever_the_umask_and_the_file_before(
    tmp_path: Path,
) -> None:
    path = tmp_path / "secrets"
    before = os.umask(0)
    try:
        keep(path)
        assert mode(path) == 0o600
        path.chmod(0o644)
        assert find(path) == SECRET
        assert mode(path) == 0o600
    finally:
        os.umask(before)


def test_what_a_killed_change_left_is_no_hindrance_and_is_not_followed(tmp_path: Path) -> None:
    path, outside = tmp_path / "secrets", tmp_path / "outside"
    outside.write_text("another's")
    (tmp_path / "secrets.new").symlink_to(outside)
    keep(path)

    assert find(path) == SECRET
    assert outside.read_text() == "another's"


@pytest.mark.parametrize("kind", ["link", "fifo", "folder", "damaged", "other"])
def test_what_is_no_such_file_is_refused_by_name_and_left_alone(tmp_path: Path, kind: str) -> None:
    path, outside = tmp_path / "secrets", tmp_path / "outside"
    outside.write_text(f'{{"store-1/key":"{SECRET}"}}')
    match kind:
        case "link":
            path.symlink_to(outside)
        case "fifo":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "damaged":
            path.write_text(f'{{"store-1/key":"{SECRET}')
        case _:
            path.write_text(f'["{SECRET}"]')
    before = path.lstat()

    for work in (keep, find):
        with pytest.raises(ConfigurationError, match=str(path)) as problem:
            work(path)
        assert SECRET not in str(problem.value)
    assert path.lstat().st_ino == before.st_ino
    assert outside.read_text() == f'{{"store-1/key":"{SECRET}"}}'


def test_asking_for_the_stores_counts_nothing_up_until_something_changes(tmp_path: Path) -> None:
    async def story() -> None:
        keeper = FileKeeper(tmp_path / "secrets")
        await keeper.keep({"store-1/key": SECRET, "store-1/host/h": SECRET})
        asked = await keeper.stores()
        assert await keeper.stores() is asked
        assert asked == {"store-1"}
        await keeper.keep({"store-2/key": SECRET})
        assert (await keeper.has("store-2"), await keeper.has("store-3")) == (True, False)

    asyncio.run(story())
