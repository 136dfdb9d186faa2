"""Reads a store's folder as an operator would: names, JSON and raw bytes, no driver code.

Nothing here is imported from the driver but its configuration; what it knows of the layout is
written in the driver's README.
"""

import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from holdfast.data.digest import BLOCK_BYTES, block_hash, digest_of_hashes
from holdfast.infos import OwnedKind
from holdfast.requests import Role
from holdfast.runtime import runtime
from holdfast.testbed import Inspected, Inspector, Inventory

_READ_BYTES = 1 << 20
_RECORD_MAX_BYTES = 16 << 20
_MODES = {"x": "exclusive", "r": "read_only"}


class LocalInspector(Inspector):
    """The inspector of one namespace.

    Args:
        sandbox: the folder around the root, whose content outside the store must never change.
        folder: where the store's folder is, while the backend is up.
    """

    def __init__(self, sandbox: Path, folder: Path, role: Role) -> None:
        self._sandbox = sandbox
        self._folder = folder
        self._role = role

    async def inventory(self) -> Inventory:
        """Everything in the store's folder, and a digest of all that is around it."""
        return await runtime().run_blocking(self._inventory)

    def _inventory(self) -> Inventory:
        sandbox, folder = self._sandbox, self._folder
        if not sandbox.exists():
            sandbox = sandbox.parent.with_suffix(".down") / sandbox.name
            folder = sandbox / folder.relative_to(self._sandbox)
        things = sorted(self._things(folder), key=lambda thing: (thing.kind, thing.key, thing.id))
        return Inventory(things=tuple(things), outside_digest=_outside(sandbox, folder))

    def _things(self, folder: Path) -> Iterator[Inspected]:
        for leftover in folder.parent.glob(f".{self._role.value}.*"):
            yield Inspected(kind=OwnedKind.TEMPORARY, key=leftover.name, unfinished=True)
        if not folder.exists():
            return
        store = _json(folder / "store.json")
        yield Inspected(
            kind=OwnedKind.STORE,
            key=store["name"],
            id=store["id"],
            detail=f"{store['name']}|{store.get('state', 'up')}|{','.join(store.get('hosts', ()))}",
        )
        known = {"store.json", "store.spare", "lock", "fences", "grants", "staging"}
        if self._role is Role.PRIMARY:
            known |= {"volumes", "snapshots"}
            yield from _each(folder / "volumes", lambda path: _disk(path, OwnedKind.VOLUME))
            yield from _each(folder / "snapshots", lambda path: _disk(path, OwnedKind.SNAPSHOT))
            yield from _grants(folder, store.get("hosts", ()))
        else:
            known |= {"objects", "uploads"}
            yield from _each(folder / "objects", _object)
            yield from _each(folder / "uploads", _upload)
            yield from (_stranger(path) for path in (folder / "grants").iterdir())
        yield from (_stranger(path) for path in folder.iterdir() if path.name not in known)
        yield from (_leftover(path) for path in (folder / "staging").iterdir())


_UNREADABLE = (OSError, ValueError, LookupError, TypeError, RecursionError)


def _open(path: Path) -> int:
    """Open what is a regular file, and follow nothing; a pipe is not waited for."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise ValueError(f"{path.name} is no file")
    return fd


def _json(path: Path) -> dict[str, Any]:
    with open(_open(path), "rb") as file:
        return dict(json.loads(file.read(_RECORD_MAX_BYTES)))


def _size(path: Path) -> int:
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{path.name} is no file")
    return status.st_size


def _leftover(path: Path) -> Inspected:
    return Inspected(kind=OwnedKind.TEMPORARY, key=_where(path), unfinished=True)


def _stranger(path: Path, why: str = "nobody's") -> Inspected:
    return Inspected(kind=OwnedKind.UNREADABLE, key=_where(path), detail=why)


def _where(path: Path) -> str:
    return f"{path.parent.name}/{ascii(path.name)[1:-1]}"


def _each(folder: Path, look: Callable[[Path], Iterator[Inspected]]) -> Iterator[Inspected]:
    """What there is under each name; what is unreadable is told by where it is, and why."""
    for path in folder.iterdir():
        try:
            if path.is_symlink():
                raise ValueError("it is a link")
            found = list(look(path))
        except _UNREADABLE as error:
            found = [_stranger(path, ascii(str(error)))]
        yield from found


def _row(path: Path) -> dict[str, Any]:
    row = _json(path / "row.json")
    if "~" not in path.name and unquote(path.name) != row["key"]:
        raise ValueError("row.json is of another key")
    return row


def _data(path: Path, row: dict[str, Any]) -> Path:
    name = str(row.get("data", "data"))
    if "/" in name or not name.startswith("data"):
        raise ValueError(f"row.json names {name!r}")
    return path / name


def _others(path: Path, data: Path) -> Iterator[Inspected]:
    """What is beside the row and the data: what a killed call left, and what nobody put there."""
    for other in path.iterdir():
        if other not in {path / "row.json", data}:
            yield _leftover(other) if other.name.startswith("data") else _stranger(other)


def _disk(path: Path, kind: OwnedKind) -> Iterator[Inspected]:
    row = _row(path)
    data = _data(path, row)
    yield Inspected(
        kind=kind,
        key=row["key"],
        id=row["id"],
        size_bytes=_size(data),
        digest=raw_digest(data),
        detail=row.get("volume", ""),
    )
    yield from _others(path, data)


def _grants(folder: Path, hosts: tuple[str, ...]) -> Iterator[Inspected]:
    names = {hashlib.blake2b(host.encode(), digest_size=8).hexdigest(): host for host in hosts}

    def grant(path: Path) -> Iterator[Inspected]:
        volume, host, mode, name, _ = path.name.split(".")
        _size(path)
        try:
            key = _json(folder / "volumes" / volume / "row.json")["key"]
        except _UNREADABLE:
            key = volume
        yield Inspected(
            kind=OwnedKind.GRANT,
            key=key,
            id=name,
            detail=f"{key}|{names.get(host, host)}|{_MODES[mode]}",
        )

    yield from _each(folder / "grants", grant)


def _object(path: Path) -> Iterator[Inspected]:
    row = _row(path)
    data = _data(path, row)
    with open(_open(data), "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    yield Inspected(
        kind=OwnedKind.OBJECT,
        key=row["key"],
        id=row["id"],
        size_bytes=_size(data),
        digest=digest,
    )
    yield from _others(path, data)


def _upload(path: Path) -> Iterator[Inspected]:
    row = _row(path)
    others = [other for other in path.iterdir() if other.name != "row.json"]
    parts = [other for other in others if other.name.startswith("part.")]
    yield Inspected(
        kind=OwnedKind.UPLOAD,
        key=row["key"],
        id=row["id"],
        size_bytes=sum(map(_size, parts)),
        unfinished=True,
    )
    yield from (_stranger(other) for other in others if other not in parts)


def raw_digest(path: Path) -> str:
    """The content digest of a raw file; holes are not read."""
    with open(_open(path), "rb", buffering=0) as file:
        size_bytes = os.fstat(file.fileno()).st_size
        return digest_of_hashes(size_bytes, _block_hashes(file.fileno(), size_bytes))


def _block_hashes(fd: int, size_bytes: int) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset < size_bytes:
        try:
            offset = os.lseek(fd, offset, os.SEEK_DATA) // BLOCK_BYTES * BLOCK_BYTES
        except OSError:  # only a hole is left
            return
        end = min(os.lseek(fd, offset, os.SEEK_HOLE), size_bytes)
        while offset < end:
            data = os.pread(fd, min(_READ_BYTES, size_bytes - offset), offset)
            for start in range(0, len(data), BLOCK_BYTES):
                block = data[start : start + BLOCK_BYTES]
                yield (offset + start) // BLOCK_BYTES, block_hash(block)
            offset += len(data)


def _outside(sandbox: Path, folder: Path) -> str:
    """A digest of every name, kind, mode and content in the sandbox but outside the store."""
    digest = hashlib.sha256()
    own = {folder.parent / f".{folder.name}.coming", folder.parent / f".{folder.name}.leaving"}
    waiting = [sandbox]
    while waiting:
        path = waiting.pop()
        if path in own or path == folder:
            continue
        # The namespace's own folder comes and goes with its stores; what is in it does not.
        status = path.lstat()
        if path != folder.parent:
            digest.update(f"{path.relative_to(sandbox)}\0{status.st_mode}\0".encode())
        if stat.S_ISDIR(status.st_mode):
            waiting += sorted(path.iterdir())
        elif stat.S_ISREG(status.st_mode):
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
