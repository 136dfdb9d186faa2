"""Reads a store from the files on the server's disk, without the driver's code and without Swift's.

Nothing here is imported from the driver; what it knows of the layout is written in the driver's
README. Of Swift it knows where a name's files are, that the newest counts, and that their metadata
is in extended attributes.
"""

import base64
import hashlib
import json
import os
import pickle
import sqlite3
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec

from holdfast.concurrency.runtime import runtime
from holdfast.contract.answers import OwnedKind
from holdfast.contract.testbed import Inspected, Inspector, Inventory
from holdfast_drivers.inspection.inventories import inspected, inventory_of
from holdfast_drivers.inspection.readers.seen import store_of, unfinished

HASH_PREFIX: Final = b"holdfast"
HASH_SUFFIX: Final = b"testbed"
_PART_SHIFT: Final = 28
_FRESH_S: Final = 0.1
"""A folder's time is that of a clock which ticks: another change just now may show the same."""
_AREA: Final = "!/"
_META: Final = "X-Object-Meta-"
_OURS: Final = "X-Container-Meta-Holdfast-"
_CODES: Final = {".e": ".", ".f": "/", "~e": "~", "~f": "\x7f"}


class StoredFile(msgspec.Struct, frozen=True, kw_only=True):
    """One object on the disk: its account's and container's path, its metadata and its file."""

    account: str
    container: str
    name: str
    meta: dict[str, str]
    is_manifest: bool
    path: Path
    size_bytes: int
    changed: tuple[int, int]
    """Inode and time: other bytes have others."""


class Disk:
    """The objects and containers on one server's disk. Blocking functions."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[Path, tuple[int, StoredFile | None]] = {}
        self._digests: dict[tuple[tuple[int, int], ...], str] = {}

    def objects(self) -> list[StoredFile]:
        """Everything that is stored now, in no order."""
        found: list[StoredFile] = []
        for folder in _below(self.folder / "objects", 3):
            stored = self._object(folder)
            if stored is not None:
                found.append(stored)
        return found

    def _object(self, folder: Path) -> StoredFile | None:
        """What a folder of one name holds; its time changes whenever something in it does."""
        try:
            changed = folder.stat().st_mtime_ns
            known = self._known.get(folder)
            if known is not None and known[0] == changed:
                return known[1]
            stored = _stored(folder)
        except FileNotFoundError:  # it changes right now
            return None
        if changed < (runtime().wall_clock() - _FRESH_S) * 1e9:
            self._known[folder] = changed, stored
        return stored

    def container(self, account: str, name: str) -> dict[str, str] | None:
        """A container's metadata, or ``None`` where there is none."""
        digest = hashlib.md5(  # noqa: S324 - Swift's own way to place names
            HASH_PREFIX + f"/{account}/{name}".encode() + HASH_SUFFIX
        )
        part = struct.unpack(">I", digest.digest()[:4])[0] >> _PART_SHIFT
        folder = self.folder / "containers" / str(part) / digest.hexdigest()[-3:]
        database = folder / digest.hexdigest() / f"{digest.hexdigest()}.db"
        if not database.exists():
            return None
        connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=5)
        try:
            put, deleted, text = connection.execute(
                "SELECT put_timestamp, delete_timestamp, metadata FROM container_info"
            ).fetchone()
        finally:
            connection.close()
        if float(deleted) > float(put):
            return None
        return {key: value for key, (value, _) in json.loads(text or "{}").items() if value}

    def digest(self, files: list[StoredFile]) -> str:
        """The SHA-256 of the bytes of some files in a row."""
        known = tuple(file.changed for file in files)
        if known not in self._digests:
            whole = hashlib.sha256()
            for file in files:
                whole.update(file.path.read_bytes())
            self._digests[known] = whole.hexdigest()
        return self._digests[known]

    def remove(self, account: str, containers: frozenset[str]) -> None:
        """Remove everything in these containers, and what Swift keeps of removed names."""
        for folder in _below(self.folder / "objects", 3):
            stored = self._object(folder)
            if stored is None or (stored.account == account and stored.container in containers):
                self._known.pop(folder, None)
                _empty(folder)
        for name in containers:
            digest = hashlib.md5(  # noqa: S324 - Swift's own way to place names
                HASH_PREFIX + f"/{account}/{name}".encode() + HASH_SUFFIX
            ).hexdigest()
            for folder in (self.folder / "containers").glob(f"*/{digest[-3:]}/{digest}"):
                _empty(folder)
        self._digests.clear()


def _below(folder: Path, depth: int) -> Iterator[Path]:
    """All folders so many levels below."""
    try:
        inside = [entry for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return
    for entry in inside:
        if depth == 1:
            yield Path(entry.path)
        else:
            yield from _below(Path(entry.path), depth - 1)


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink(missing_ok=True)
    folder.rmdir()


def _stored(folder: Path) -> StoredFile | None:
    """The newest data in a folder, with the newest metadata; ``None`` after a deletion."""
    names = sorted(path.name for path in folder.iterdir())
    data = [name for name in names if name.endswith(".data")]
    gone = [name for name in names if name.endswith(".ts")]
    if not data or (gone and gone[-1] > data[-1]):
        return None
    path = folder / data[-1]
    whole = _metadata(path)
    meta = {key: value for key, value in whole.items() if key.startswith(_META)}
    later = [name for name in names if name.endswith(".meta") and name > data[-1]]
    if later:
        noted = _metadata(folder / later[-1])
        meta = {key: value for key, value in noted.items() if key.startswith(_META)}
    _, account, container, name = whole["name"].split("/", 3)
    status = path.stat()
    return StoredFile(
        account=account,
        container=container,
        name=name,
        meta={key.removeprefix(_META).lower(): value for key, value in meta.items()},
        is_manifest=whole.get("X-Static-Large-Object", "").lower() == "true",
        path=path,
        size_bytes=status.st_size,
        changed=(status.st_ino, status.st_mtime_ns),
    )


def _metadata(path: Path) -> dict[str, str]:
    packed = b""
    number = 0
    while True:
        try:
            packed += os.getxattr(path, f"user.swift.metadata{number or ''}")
        except OSError:
            break
        number += 1
    unpacked: dict[Any, Any] = pickle.loads(packed, encoding="bytes")  # noqa: S301 - written by the testbed's own server
    return {_text(key): _text(value) for key, value in unpacked.items()}


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


class SwiftInspector(Inspector):
    """The inspector of one namespace: its container."""

    def __init__(self, disk: Disk, account: str, container: str) -> None:
        self._disk = disk
        self._account = account
        self._container = container

    async def inventory(self) -> Inventory:
        """Everything in the container, and a digest of all other objects on the disk."""
        return await runtime().run_blocking(self._inventory)

    def _inventory(self) -> Inventory:
        own: dict[str, StoredFile] = {}
        outside: list[str] = []
        for file in self._disk.objects():
            if (file.account, file.container) == (self._account, self._container):
                own[file.name] = file
            else:
                where = f"{file.account}/{file.container}/{file.name}"
                outside.append(f"{where}\0{sorted(file.meta.items())}\0{self._disk.digest([file])}")
        digest = hashlib.sha256("\n".join(sorted(outside)).encode()).hexdigest()
        return inventory_of(self._things(own), digest)

    def _things(self, own: Mapping[str, StoredFile]) -> Iterator[Inspected]:
        objects = [file for name, file in own.items() if not name.startswith(_AREA)]
        rest = {
            name.removeprefix(_AREA): file for name, file in own.items() if name.startswith(_AREA)
        }
        known: set[str] = set()
        store = self._disk.container(self._account, self._container)
        if store is not None and f"{_OURS}Id" in store:
            yield _readable("store", lambda: _store(store))
            known.add("store")
        elif store is not None:
            yield inspected(unfinished("container"))
        groups: set[str] = set()
        for file in objects:
            yield _readable(file.name, partial(self._object, file, rest))
            groups |= {_group(file), file.meta.get("replaced", "")}
        current = {_group(file) for file in objects} - {""}
        for name, file in rest.items():
            if name.startswith("u/"):
                group = f"{name.removeprefix('u/')}.{file.meta.get('id', '')}"
                if "done" not in file.meta and group not in groups:
                    current.add(group)
                    parts = [part for other, part in rest.items() if f"/{group}/" in other]
                    yield _readable(name, partial(_upload, file, parts))
        yield from self._leftovers(rest, known, current)

    def _leftovers(
        self, rest: Mapping[str, StoredFile], known: set[str], current: set[str]
    ) -> Iterator[Inspected]:
        for name, file in rest.items():
            pieces = name.split("/")
            group = pieces[2] if pieces[0] == "d" and len(pieces) > 2 else ""
            if pieces[0] == "u":
                group = f"{pieces[1]}.{file.meta.get('id', '')}"
            if name not in known and group not in current:
                yield inspected(unfinished(name))

    def _object(self, file: StoredFile, rest: Mapping[str, StoredFile]) -> Inspected:
        """An object with the bytes that it is made of; what is missing of it shows in its size."""
        pieces = [file]
        if file.is_manifest:
            listed = json.loads(file.path.read_bytes())
            pieces = self._pieces(listed, rest)
        return Inspected(
            kind=OwnedKind.OBJECT,
            key=_key(file.name),
            id=file.meta.get("id", ""),
            size_bytes=sum(piece.size_bytes for piece in pieces),
            digest=self._disk.digest(pieces),
        )

    def _pieces(
        self, listed: Sequence[Mapping[str, Any]], rest: Mapping[str, StoredFile]
    ) -> list[StoredFile]:
        """The files that a manifest names, so far as they are there."""
        area = f"/{self._container}/{_AREA}"
        names = [str(piece["name"]).removeprefix(area) for piece in listed]
        return [rest[name] for name in names if name in rest]


def _readable(name: str, read: Callable[[], Inspected]) -> Inspected:
    """What one name stands for, or that it is unreadable, and why."""
    try:
        return read()
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        why = ascii(str(error) or type(error).__name__)
        return Inspected(kind=OwnedKind.UNREADABLE, key=ascii(name)[1:-1], detail=why)


def _upload(file: StoredFile, parts: Sequence[StoredFile]) -> Inspected:
    return Inspected(
        kind=OwnedKind.UPLOAD,
        key=_decoded(file.meta["upload"]),
        id=file.meta["id"],
        size_bytes=sum(part.size_bytes for part in parts),
        unfinished=True,
    )


def _store(meta: Mapping[str, str]) -> Inspected:
    name = _decoded(meta[f"{_OURS}Name"])
    hosts = sorted(
        (_decoded(value) for key, value in meta.items() if key.startswith(f"{_OURS}Host-")),
        key=str.encode,
    )
    state = meta.get(f"{_OURS}State", "up")
    row = {"name": name, "id": meta[f"{_OURS}Id"], "state": state, "hosts": hosts}
    return inspected(store_of(row))


def _group(file: StoredFile) -> str:
    try:
        upload = _decoded(file.meta.get("upload", ""))
    except ValueError:
        return ""  # nobody of ours made it, and it is of no group
    digest = hashlib.blake2b(upload.encode(), digest_size=16).hexdigest()
    return f"{digest}.{file.meta.get('upload-id', '')}"


def _decoded(value: str) -> str:
    return base64.urlsafe_b64decode(value).decode()


def _key(name: str) -> str:
    """The key that an object's name stands for."""
    key, rest = "", name
    while rest:
        if rest[0] == "!":
            key, rest = key + chr(int(rest[1:3], 16)), rest[3:]
        elif rest[0] in ".~":
            key, rest = key + _CODES.get(rest[:2], rest[:2]), rest[2:]
        else:
            key, rest = key + rest[0], rest[1:]
    return key
