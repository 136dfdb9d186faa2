"""Whose the files of a catalogue are, and by how many names: nothing else is opened or written."""

import asyncio
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from operator import methodcaller
from pathlib import Path

import pytest

from catalogue_files import fill, harm_of, killed, transacted, within
from holdfast.catalogue.port import (
    Catalogue,
    CatalogueDamaged,
    CatalogueHeld,
    CatalogueReplaced,
)
from holdfast.catalogue.sqlite import open_catalogue
from holdfast.contract.errors import ConfigurationError, HoldfastError
from holdfast.model.rows import Volume, Zone

TRY = """
import asyncio, sys
from holdfast.catalogue.sqlite import open_catalogue
from holdfast.contract.errors import HoldfastError

async def run():
    async with open_catalogue(sys.argv[1]):
        return "opened"

try:
    print(asyncio.run(run()))
except HoldfastError as refused:
    print(type(refused).__name__, refused)
"""


def attempt(path: Path) -> str:
    """What another process gets."""
    ran = subprocess.run(
        [sys.executable, "-c", TRY, str(path)], check=True, capture_output=True, text=True
    )
    return ran.stdout.strip()


def make(path: Path) -> Path:
    transacted(path, lambda tx: fill(tx, count=5))
    return path


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def modes(folder: Path) -> dict[str, str]:
    return {path.name: f"{stat.S_IMODE(path.stat().st_mode):04o}" for path in folder.iterdir()}


FILES = {"zone.db": "0600", "zone.db-wal": "0600", "zone.db-shm": "0600", "zone.db.lock": "0600"}


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o777])
def test_every_file_is_its_owners_alone(tmp_path: Path, mask: int) -> None:
    """Catalogue, WAL, index and lock are 0600 whatever the umask says."""

    async def use(catalogue: Catalogue) -> dict[str, str]:
        await catalogue.transact(lambda tx: tx.insert(Zone(id="z", name="z")))
        return modes(tmp_path)

    with umask(mask):
        assert within(tmp_path / "zone.db", use) == FILES


def test_files_that_others_could_read_are_closed_to_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What exists with a wider mode is tightened, all of it, and it is said."""
    path = tmp_path / "zone.db"
    killed(path, fill)
    for file in tmp_path.iterdir():
        file.chmod(0o664)

    async def use(_catalogue: Catalogue) -> dict[str, str]:
        return modes(tmp_path)

    assert within(path, use) == FILES
    assert f"{path}: others could open it (mode 0664)" in caplog.text


def test_what_is_no_catalogue_keeps_its_mode(tmp_path: Path) -> None:
    """A file that turns out to be something else is left as it is."""
    path = tmp_path / "text.db"
    path.write_text("nothing of ours")
    path.chmod(0o644)

    assert isinstance(harm_of(path), ConfigurationError)
    assert modes(tmp_path) == {"text.db": "0644"}


def as_link(path: Path, target: Path) -> None:
    path.symlink_to(target)


def as_hard_link(path: Path, target: Path) -> None:
    path.hardlink_to(target)


def as_text(path: Path, _target: Path) -> None:
    path.write_text("somebody's notes\n")


def as_fifo(path: Path, _target: Path) -> None:
    os.mkfifo(path)


def as_folder(path: Path, _target: Path) -> None:
    path.mkdir()


def as_socket(path: Path, _target: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def as_dangling_link(path: Path, target: Path) -> None:
    path.symlink_to(target.with_name("nowhere"))


ODD = [as_link, as_hard_link, as_fifo, as_folder, as_socket, as_dangling_link]


@pytest.mark.parametrize(
    ("odd", "ending"),
    [
        *((odd, ending) for odd in ODD for ending in (".lock", "-wal", "-shm", "-journal")),
        # SQLite takes no notice of a text in the other two places.
        (as_text, ".lock"),
        (as_text, "-wal"),
    ],
)
def test_what_lies_beside_a_catalogue_is_never_followed(
    tmp_path: Path, odd: Callable[[Path, Path], None], ending: str
) -> None:
    """A link, FIFO, folder or somebody's file in the place of one of its own is refused, and
    neither that nor what it leads to is touched.
    """
    path = make(tmp_path / "zone.db")
    target = tmp_path / "precious"
    target.write_text("precious\n")
    odd(tmp_path / f"zone.db{ending}", target)
    before = sorted(tmp_path.iterdir())

    told = harm_of(path)

    assert isinstance(told, ConfigurationError)
    assert f"zone.db{ending}" in str(told)
    assert target.read_text() == "precious\n"
    assert before == sorted(tmp_path.iterdir())
    if odd is as_text:
        assert (tmp_path / f"zone.db{ending}").read_text() == "somebody's notes\n"


@pytest.mark.parametrize("odd", [as_fifo, as_folder, as_socket])
@pytest.mark.parametrize("linked", [False, True])
def test_a_catalogue_is_a_regular_file(
    tmp_path: Path, odd: Callable[[Path, Path], None], *, linked: bool
) -> None:
    """What is no file is refused at once, also behind a link, and never waited for."""
    path = tmp_path / "zone.db"
    if linked:
        path.symlink_to(tmp_path / "odd")
    odd(tmp_path / "odd" if linked else path, tmp_path)

    with pytest.raises(ConfigurationError, match="a regular file is needed"):
        within(path, Catalogue.check)


def test_a_device_and_a_link_to_itself_are_no_catalogues(tmp_path: Path) -> None:
    """A device is refused by name, and so is a link that leads nowhere but to itself."""
    loop = tmp_path / "zone.db"
    loop.symlink_to(loop)

    assert isinstance(harm_of(loop), ConfigurationError)
    assert isinstance(harm_of(Path("/dev/null")), ConfigurationError)


@pytest.mark.slow
@pytest.mark.parametrize("linked_before", [True, False])
def test_a_hard_link_lets_nobody_else_in(tmp_path: Path, *, linked_before: bool) -> None:
    """A catalogue is one catalogue by all its names, whichever was there first."""
    path, other = make(tmp_path / "zone.db"), tmp_path / "other.db"
    if linked_before:
        other.hardlink_to(path)

    async def use(catalogue: Catalogue) -> None:
        if not linked_before:
            other.hardlink_to(path)
        told = await asyncio.to_thread(attempt, other)
        assert told.startswith("CatalogueHeld")
        assert f"process {os.getpid()}" in told
        with pytest.raises(CatalogueHeld):
            async with open_catalogue(other):
                pass
        await catalogue.transact(lambda tx: fill(tx, first=100, count=5))

    within(path, use)
    assert harm_of(other) == ()
    assert len(transacted(other, lambda tx: tx.select(Volume))) == 10


def posix_locks(path: Path) -> int:
    file = path.stat()
    name = f"{os.major(file.st_dev):02x}:{os.minor(file.st_dev):02x}:{file.st_ino}"
    lines = Path("/proc/locks").read_text().splitlines()
    return sum(name in line.split() and "POSIX" in line for line in lines)


def test_a_refused_opening_leaves_the_locks_of_sqlite(tmp_path: Path) -> None:
    """SQLite's own locks on an open catalogue outlive every attempt of this process to open it."""
    path, other = make(tmp_path / "zone.db"), tmp_path / "other.db"
    other.hardlink_to(path)

    async def use(catalogue: Catalogue) -> None:
        await catalogue.transact(lambda tx: tx.insert(Zone(id="z", name="z")))
        held = posix_locks(path)
        assert held > 0
        for name in (path, other):
            with pytest.raises(CatalogueHeld):
                async with open_catalogue(name):
                    pass
        assert held == posix_locks(path)
        await catalogue.check()
        assert held == posix_locks(path)

    within(path, use)


def test_a_wal_beside_another_name_is_not_forgotten(tmp_path: Path) -> None:
    """What a killed owner committed under one name is not lost under another of the same file."""
    path, other = make(tmp_path / "zone.db"), tmp_path / "other.db"
    killed(path, lambda tx: fill(tx, first=100, count=5))
    other.hardlink_to(path)

    told = harm_of(other)

    assert isinstance(told, CatalogueDamaged)
    assert f"open as {path}" in str(told)
    assert len(transacted(path, lambda tx: tx.select(Volume))) == 10
    assert harm_of(other) == ()


def test_a_catalogue_that_moved_without_its_wal_is_named(tmp_path: Path) -> None:
    """A catalogue that was moved is opened with what it committed last, or not at all."""
    path, moved = make(tmp_path / "zone.db"), tmp_path / "moved.db"
    killed(path, lambda tx: fill(tx, first=100, count=5))
    path.rename(moved)

    assert isinstance(harm_of(moved), CatalogueDamaged)

    (tmp_path / "zone.db-wal").rename(tmp_path / "moved.db-wal")
    assert harm_of(moved) == ()
    assert len(transacted(moved, lambda tx: tx.select(Volume))) == 10


def test_a_catalogue_begun_in_the_place_of_one_that_moved_leaves_its_wal(tmp_path: Path) -> None:
    """Who opens the name that a killed owner's catalogue had takes away nothing that it left."""
    path, moved = make(tmp_path / "zone.db"), tmp_path / "moved.db"
    killed(path, lambda tx: fill(tx, first=100, count=5))
    path.rename(moved)
    left = (tmp_path / "zone.db-wal").read_bytes()

    assert isinstance(harm_of(path), CatalogueDamaged)

    assert (tmp_path / "zone.db-wal").read_bytes() == left
    assert not path.exists()
    (tmp_path / "zone.db-wal").rename(tmp_path / "moved.db-wal")
    assert len(transacted(moved, lambda tx: tx.select(Volume))) == 10


@pytest.mark.parametrize("emptied", [False, True])
def test_no_catalogue_is_begun_beside_the_secrets_of_another(
    tmp_path: Path, *, emptied: bool
) -> None:
    """A catalogue that is not where its secrets are is named, and they wait for it."""
    path, secrets = make(tmp_path / "zone.db"), tmp_path / "zone.db.secrets"
    within(path, lambda catalogue: catalogue.secrets.keep({"store-1/key": "s"}))
    kept = secrets.read_bytes()
    path.rename(tmp_path / "moved.db")
    if emptied:
        path.touch()

    told = harm_of(path)

    assert isinstance(told, CatalogueDamaged)
    assert "zone.db.secrets" in str(told)
    assert secrets.read_bytes() == kept
    assert path.exists() == emptied
    (tmp_path / "moved.db").rename(path)
    assert harm_of(path) == ()


def test_a_copy_is_a_catalogue_of_its_own(tmp_path: Path) -> None:
    """A copy of a closed catalogue opens while the original is in use, and after it."""
    path, copy = make(tmp_path / "zone.db"), tmp_path / "copy.db"
    copy.write_bytes(path.read_bytes())

    async def use(catalogue: Catalogue) -> None:
        await catalogue.transact(lambda tx: tx.insert(Zone(id="z", name="z")))
        async with open_catalogue(copy) as other:
            assert await other.transact(lambda tx: tx.find(Zone, "z")) is None

    within(path, use)
    assert harm_of(copy) == ()


def removed(path: Path) -> None:
    path.unlink()


def moved_away(path: Path) -> None:
    path.rename(path.with_name("moved"))


def replaced(path: Path) -> None:
    copy = path.with_name("copy")
    copy.write_bytes(path.read_bytes())
    copy.rename(path)


def wal_removed(path: Path) -> None:
    path.with_name(f"{path.name}-wal").unlink()


@pytest.mark.slow
@pytest.mark.parametrize("harm", [removed, moved_away, replaced, wal_removed])
def test_a_catalogue_that_is_taken_away_takes_no_more(
    tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    """Once the open file or its WAL does not bear its name, no commit is acknowledged, and nobody
    else gets in by that name.
    """
    path = make(tmp_path / "zone.db")

    async def use(catalogue: Catalogue) -> None:
        harm(path)
        for name in "ab":
            insert = methodcaller("insert", Zone(id=name, name=name))
            with pytest.raises(CatalogueReplaced, match=r"zone\.db.*moved, removed or replaced"):
                await catalogue.transact(insert)
        assert (await asyncio.to_thread(attempt, path)).startswith("CatalogueHeld")

    within(path, use)


def test_a_catalogue_may_be_reached_through_a_link(tmp_path: Path) -> None:
    """A symbolic link to a catalogue is one more name for it, from anywhere."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    link = folder / "link.db"
    link.symlink_to("../zone.db")
    transacted(link, lambda tx: tx.insert(Zone(id="z", name="z")))

    assert list(modes(folder)) == ["link.db"]
    assert [zone.id for zone in transacted(tmp_path / "zone.db", lambda tx: tx.select(Zone))] == [
        "z"
    ]


def test_a_held_catalogue_is_told_apart_from_a_broken_one(tmp_path: Path) -> None:
    """Nobody is told that a catalogue is damaged because somebody else is using it."""
    path = make(tmp_path / "zone.db")

    async def use(catalogue: Catalogue) -> str:
        await catalogue.transact(lambda tx: tx.insert(Zone(id="z", name="z")))
        return await asyncio.to_thread(attempt, path)

    assert within(path, use).startswith("CatalogueHeld")
    assert not isinstance(harm_of(path), HoldfastError)
