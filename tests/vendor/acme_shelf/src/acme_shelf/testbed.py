"""Acme's testbed: shelves in a temporary folder, looked at with plain SQL and file reads."""

import contextlib
import hashlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from acme_shelf.config import ShelfConfig
from holdfast.contract.answers import OwnedKind
from holdfast.contract.errors import ErrorKind
from holdfast.contract.requests import Role
from holdfast.contract.testbed import (
    BackendIdentity,
    BadConfig,
    Fault,
    Inspected,
    Inspector,
    Inventory,
    Testbed,
    TestbedKind,
)
from holdfast.data import BLOCK_BYTES, block_hash, digest_of_hashes


class ShelfInspector(Inspector):
    """Reads one shelf without the driver, also while its folder is away."""

    def __init__(self, around: Path, away: Path) -> None:
        self._around = around
        self._away = away

    async def inventory(self) -> Inventory:
        around = self._away if self._away.exists() else self._around
        folder = around / "shelf"
        outside = hashlib.sha256()
        for path in sorted(around.rglob("*")):
            if path != folder and folder not in path.parents:
                outside.update(str(path.relative_to(around)).encode())
                outside.update(path.read_bytes() if path.is_file() else b"")
        things = sorted(_things(folder), key=lambda thing: (thing.kind, thing.key))
        return Inventory(things=tuple(things), outside_digest=outside.hexdigest())


def _things(folder: Path) -> Iterator[Inspected]:
    if not (folder / "shelf.db").exists():
        return
    uri = f"file:{folder / 'shelf.db'}?mode=ro"
    with contextlib.closing(sqlite3.connect(uri, uri=True)) as database:
        hosts = sorted(row[0] for row in database.execute("select name from hosts"))
        for store_id, name, rests, _ in database.execute("select * from store"):
            detail = f"{name}|{'maintenance' if rests else 'up'}|{','.join(hosts)}"
            yield Inspected(kind=OwnedKind.STORE, key=name, id=store_id, detail=detail)
        known = set[str]()
        for key, volume_id in database.execute("select key, id from volumes"):
            path = folder / f"{volume_id}.raw"
            known.add(path.name)
            yield Inspected(
                kind=OwnedKind.VOLUME,
                key=key,
                id=volume_id,
                size_bytes=path.stat().st_size,
                digest=_digest(path),
            )
        for volume, host, grant_id, _ in database.execute("select * from grants"):
            known.add(grant_id)
            yield Inspected(
                kind=OwnedKind.GRANT,
                key=volume,
                id=grant_id,
                detail=f"{volume}|{host}|exclusive",
            )
    for path in (*folder.glob("*.raw"), *(folder / "granted").iterdir()):
        if path.name not in known:
            yield Inspected(kind=OwnedKind.TEMPORARY, key=path.name, unfinished=True)


def _digest(path: Path) -> str:
    """The content digest; the few blocks of a large sparse file are found by seeking."""
    with path.open("rb") as file:
        size_bytes = file.seek(0, 2)
        return digest_of_hashes(size_bytes, _hashes(file.fileno(), size_bytes))


def _hashes(fd: int, size_bytes: int) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset < size_bytes:
        try:
            offset = os.lseek(fd, offset, os.SEEK_DATA)
        except OSError:
            return
        end = os.lseek(fd, offset, os.SEEK_HOLE)
        for number in range(offset // BLOCK_BYTES, -(-end // BLOCK_BYTES)):
            yield number, block_hash(os.pread(fd, BLOCK_BYTES, number * BLOCK_BYTES))
        offset = end


class ShelfTestbed(Testbed):
    """Shelves under one temporary folder."""

    kind = TestbedKind.EMBEDDED
    second_path = "SQL on the database and reads of the files"
    hosts = ("rack-1", "rack-2", "rack-3")
    faults = frozenset({Fault.DOWN})

    def __init__(self, base: Path) -> None:
        self._folder = base / "shelves"
        self._away = base / "away"
        self.identity = BackendIdentity(vendor="Acme", product="Shelf", version="1.0")

    def config(self, role: Role, namespace: str) -> msgspec.Struct:
        around = self._folder / namespace
        around.mkdir(parents=True, exist_ok=True)
        (around / "not-ours").write_text("hands off")
        return ShelfConfig(folder=str(around), namespace="shelf")

    def bad_configs(self, role: Role, namespace: str) -> tuple[BadConfig, ...]:
        self.config(role, namespace)
        folders = {"missing": "missing", "a file": "not-ours"}
        return tuple(
            BadConfig(
                name=name,
                config=ShelfConfig(
                    folder=str(self._folder / namespace / folder), namespace="shelf"
                ),
                expected=(ErrorKind.INVALID,),
            )
            for name, folder in folders.items()
        )

    def inspector(self, role: Role, namespace: str) -> Inspector:
        return ShelfInspector(self._folder / namespace, self._away / namespace)

    @asynccontextmanager
    async def inject(self, fault: Fault) -> AsyncIterator[None]:
        self._folder.rename(self._away)
        try:
            yield
        finally:
            self._away.rename(self._folder)

    async def remove(self, role: Role, namespace: str) -> None:
        shutil.rmtree(self._folder / namespace, ignore_errors=True)


@asynccontextmanager
async def shelf_testbed(run: str) -> AsyncIterator[ShelfTestbed]:
    """A testbed whose temporary folder carries the run id."""
    with tempfile.TemporaryDirectory(prefix=f"acme-{run}-") as base:
        (Path(base) / "shelves").mkdir()
        yield ShelfTestbed(Path(base))
