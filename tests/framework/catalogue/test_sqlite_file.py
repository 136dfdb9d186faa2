"""A catalogue's file: who may have it, what it survives, and what is said when it is unusable."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import Engine, event

from holdfast.catalogue.observer import observe
from holdfast.catalogue.owner_lock import Ownership
from holdfast.catalogue.port import Catalogue, CatalogueHeld, Transaction
from holdfast.catalogue.sqlite import open_catalogue
from holdfast.contract.errors import ConfigurationError, EnvironmentUnavailable, HoldfastError
from holdfast.model.rows import LedgerEntry, Zone

WRITER = """
import asyncio, sys
from functools import partial
from holdfast.catalogue.sqlite import open_catalogue
from holdfast.model.rows import LedgerEntry, Zone

def write(tx, number):
    tx.insert(Zone(id=f"{number:06d}", name="a"))
    tx.insert(LedgerEntry(id=f"{number:06d}", store="s", holder="v", amount_bytes=number))

async def client(catalogue, first):
    for number in range(first, 1_000_000, 8):
        await catalogue.transact(partial(write, number=number))
        print(f"{number:06d}", flush=True)

async def main():
    async with open_catalogue(sys.argv[1]) as catalogue:
        await asyncio.gather(*(client(catalogue, first) for first in range(8)))

asyncio.run(main())
"""


def zones(tx: Transaction) -> list[str]:
    return [zone.id for zone in tx.select(Zone)]


def in_catalogue(path: Path | str, function: Callable[[Transaction], Any]) -> Any:
    async def run() -> Any:
        async with open_catalogue(path) as catalogue:
            return await catalogue.transact(function)

    return asyncio.run(run())


def refusal(path: Path | str) -> HoldfastError:
    """The error of an attempt to open, after a look that it is for people."""
    with pytest.raises(HoldfastError) as raised:
        in_catalogue(path, zones)
    message = str(raised.value)
    assert "\n" not in message
    assert str(path).removeprefix("sqlite:///") in message
    return raised.value


def listing(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): None if path.is_dir() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
    }


@contextmanager
def writer(path: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_what_was_acknowledged_survives_sigkill(tmp_path: Path) -> None:
    """After SIGKILL every acknowledged transaction is there; any other is whole or absent."""
    path = tmp_path / "zone.db"
    with writer(path) as process:
        assert process.stdout is not None
        acknowledged = {process.stdout.readline().strip() for _ in range(200)}
        process.send_signal(signal.SIGKILL)
        acknowledged |= {line.strip() for line in process.stdout if line.endswith("\n")}

    written, ledger = in_catalogue(
        path, lambda tx: (zones(tx), [entry.id for entry in tx.select(LedgerEntry)])
    )

    assert written == ledger
    assert acknowledged <= set(written)
    assert len(acknowledged) >= 200


@pytest.mark.slow
def test_a_second_process_is_told_who_has_the_catalogue(tmp_path: Path) -> None:
    """While a process has the catalogue, another is refused with its id and touches nothing."""
    path = tmp_path / "zone.db"
    with writer(path) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        before = listing(tmp_path)
        link = tmp_path.parent / f"{tmp_path.name}-link.db"
        link.symlink_to(path)
        told = [refusal(path), refusal(link), refusal(f"sqlite:///{path}")]
        link.unlink()

        assert [CatalogueHeld] * 3 == [type(error) for error in told]
        assert all(f"process {process.pid}" in str(error) for error in told)
        assert before == listing(tmp_path)
    assert in_catalogue(path, zones) != []


def test_a_catalogue_is_free_when_it_is_closed(tmp_path: Path) -> None:
    """A closed catalogue is one file; it can be opened again, by path or address."""
    path = tmp_path / "zone.db"
    in_catalogue(path, lambda tx: tx.insert(Zone(id="z", name="a")))

    assert list(listing(tmp_path)) == ["zone.db"]
    assert in_catalogue(f"sqlite:///{path}", zones) == ["z"]


def test_one_process_opens_a_catalogue_once(tmp_path: Path) -> None:
    """Opening what this very process has open is refused as well."""

    async def run() -> None:
        async with open_catalogue(tmp_path / "zone.db"):
            with pytest.raises(CatalogueHeld, match=f"process {os.getpid()}"):
                async with open_catalogue(tmp_path / "zone.db"):
                    pass

    asyncio.run(run())


def test_what_is_no_catalogue_is_left_alone(tmp_path: Path) -> None:
    """Something else's file or folder is refused by name and cause, and nothing is written."""
    (tmp_path / "folder.db").mkdir()
    (tmp_path / "text.db").write_text("not a database, but long enough to be looked at")
    (tmp_path / "torn.db").write_bytes(b"SQLite format 3\0" + b"\x07" * 5000)
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("CREATE TABLE bookmarks (url TEXT)")
    other.close()
    before = listing(tmp_path)
    names = ("folder.db", "text.db", "torn.db", "other.db")
    told = {name: refusal(tmp_path / name) for name in names}
    told["missing"] = refusal(tmp_path / "missing" / "zone.db")
    told["postgresql"] = refusal("postgresql://zone")

    assert before == listing(tmp_path)
    assert EnvironmentUnavailable is type(told.pop("missing"))
    assert all(isinstance(error, ConfigurationError) for error in told.values())


def test_a_newer_schema_is_not_touched(tmp_path: Path) -> None:
    """A catalogue of a newer Holdfast is refused, saying so, and keeps every byte."""
    path = tmp_path / "zone.db"
    in_catalogue(path, zones)
    with sqlite3.connect(path) as newer:
        newer.execute("UPDATE alembic_version SET version_num = '9999'")
    newer.close()
    before = path.read_bytes()

    assert "newer Holdfast (schema 9999" in str(refusal(path))
    assert before == path.read_bytes()


def test_what_another_makes_meanwhile_is_not_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An opening that fails takes away only what it made itself, not a file that appeared between
    its first look and its turn.
    """
    path = tmp_path / "zone.db"

    class Later(Ownership):
        def __init__(self, path: Path) -> None:
            with sqlite3.connect(path) as other:
                other.execute("CREATE TABLE something (id)")
            other.close()
            super().__init__(path)

    monkeypatch.setattr("holdfast.catalogue.sqlite.Ownership", Later)

    assert "of something else" in str(refusal(path))
    assert path.exists()


@contextmanager
def nobody() -> Iterator[None]:
    """Act as somebody to whom files can be unreadable, which they never are to root."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


def test_an_unreadable_file_is_named() -> None:
    """A file that may not be read is refused with the system's reason."""
    with nobody(), tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "zone.db"
        path.touch(mode=0)

        assert "Permission denied" in str(refusal(path))


@contextmanager
def disk_of(pages: int) -> Iterator[None]:
    """SQLite reports a full disk past so many pages of 4 KiB."""

    def limit(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute(f"PRAGMA max_page_count={pages}")

    event.listen(Engine, "connect", limit)
    try:
        yield
    finally:
        event.remove(Engine, "connect", limit)


def test_a_full_disk_leaves_no_half_made_catalogue(tmp_path: Path) -> None:
    """A new catalogue that does not fit is an error that names the file, and no file."""
    path = tmp_path / "zone.db"
    with disk_of(10):
        assert "the disk is full" in str(refusal(path))

    assert list(listing(tmp_path)) == []
    assert in_catalogue(path, zones) == []


def test_one_that_does_not_fit_does_not_harm_its_neighbours(tmp_path: Path) -> None:
    """When a commit of many fails on the disk, those that fit are kept and only the others fail."""

    def insert(tx: Transaction, number: int) -> int:
        tx.insert(Zone(id=f"{number:02d}", name="x" * (4 << 20 if number == 5 else 10)))
        return number

    async def run(catalogue: Catalogue) -> list[Any]:
        return await asyncio.gather(
            *(catalogue.transact(partial(insert, number=number)) for number in range(10)),
            return_exceptions=True,
        )

    async def run_on_small_disk() -> list[Any]:
        async with open_catalogue(tmp_path / "zone.db") as catalogue:
            return await run(catalogue)

    with disk_of(300):
        answers = asyncio.run(run_on_small_disk())
    failed = answers.pop(5)

    assert isinstance(failed, EnvironmentUnavailable)
    assert "the disk is full" in str(failed)
    assert answers == [0, 1, 2, 3, 4, 6, 7, 8, 9]
    assert [f"{number:02d}" for number in answers] == in_catalogue(tmp_path / "zone.db", zones)


UNWRITABLE = """
import asyncio, os, resource, sys
from holdfast.catalogue.sqlite import open_catalogue
from holdfast.model.rows import Zone

async def insert(catalogue, name):
    try:
        await catalogue.transact(lambda tx: tx.insert(Zone(id=name, name="x" * 100_000)))
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "done"

async def main():
    path = sys.argv[1]
    async with open_catalogue(path) as catalogue:
        print(await insert(catalogue, "before"))
        most = os.path.getsize(path + "-wal")
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))
        print(await insert(catalogue, "refused"))
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        print(await insert(catalogue, "after"))
    async with open_catalogue(path) as catalogue:
        print(await insert(catalogue, "again"))

asyncio.run(main())
"""


@pytest.mark.slow
def test_after_a_commit_of_unknown_fate_nothing_goes_on(tmp_path: Path) -> None:
    """A commit that the system broke off closes the catalogue to everything until reopened."""
    path = tmp_path / "zone.db"
    ran = subprocess.run(
        [sys.executable, "-c", UNWRITABLE, str(path)], check=True, capture_output=True, text=True
    )
    before, refused, after, again = ran.stdout.splitlines()

    assert [before, again] == ["done", "done"]
    assert refused == after
    assert refused.startswith(f"CommitUncertain: {path}: the last commit may or may not be on disk")
    assert {"again", "before"} == set(in_catalogue(path, zones)) - {"refused"}


class Points:
    """Keeps the order of commits and answers."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def before(self) -> None:
        self.seen.append("before")

    def after(self) -> None:
        self.seen.append("after")


def test_answers_come_after_the_commit(tmp_path: Path) -> None:
    """Waiting transactions share one commit, seen from outside, and are answered after it."""
    points = Points()

    async def client(catalogue: Catalogue, number: int) -> None:
        await catalogue.transact(lambda tx: tx.insert(Zone(id=str(number), name="a")))
        points.seen.append("answer")

    async def run() -> None:
        async with open_catalogue(tmp_path / "zone.db") as catalogue:
            points.seen.clear()
            await asyncio.gather(*(client(catalogue, number) for number in range(3)))
            await catalogue.transact(zones)

    with observe(points):
        asyncio.run(run())

    assert points.seen == ["before", "after", "answer", "answer", "answer"]


def test_a_failed_commit_is_not_kept_in_memory(tmp_path: Path) -> None:
    """What a commit that failed would have changed reads as it was before."""

    class Refuses(Points):
        def before(self) -> None:
            raise RuntimeError("refused")

    async def run() -> tuple[Zone, Zone]:
        async with open_catalogue(tmp_path / "zone.db") as catalogue:
            zone = await catalogue.transact(lambda tx: tx.insert(Zone(id="z", name="a")))
            with observe(Refuses()), pytest.raises(RuntimeError, match="refused"):
                await catalogue.transact(
                    lambda tx: tx.update(msgspec.structs.replace(zone, name="b"))
                )
            return zone, await catalogue.transact(lambda tx: tx.get(Zone, "z"))

    before, after = asyncio.run(run())

    assert before == after
