"""Reads a store's folder as an operator would: names, JSON and raw bytes, no driver code.

Nothing here is imported from the driver but its configuration; what it knows of the layout is
written in the driver's README.
"""

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from holdfast.data.digest import BLOCK_BYTES, block_hash, digest_of_hashes
from holdfast.infos import OwnedKind
from holdfast.requests import Role
from holdfast.runtime import runtime
from holdfast.testbed import Inspected, Inspector, Inventory

_READ_BYTES = 1 << 20
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
        known = {"store.json", "lock", "grants", "staging"}
        if self._role is Role.PRIMARY:
            known |= {"volumes", "snapshots"}
            yield from _disks(folder / "volumes", OwnedKind.VOLUME)
            yield from _disks(folder / "snapshots", OwnedKind.SNAPSHOT)
            yield from _grants(folder, store.get("hosts", ()))
        else:
            known |= {"objects", "uploads"}
            yield from _objects(folder / "objects")
            yield from _uploads(folder / "uploads")
        for path in (*folder.iterdir(), *(folder / "staging").iterdir()):
            if path.name not in known or path.parent.name == "staging":
                yield _leftover(path)


def _json(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_bytes()))


def _leftover(path: Path) -> Inspected:
    name = f"{path.parent.name}/{path.name}"
    return Inspected(kind=OwnedKind.TEMPORARY, key=name, unfinished=True)


def _rows(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    for path in folder.iterdir():
        yield path, _json(path / "row.json")


def _disks(folder: Path, kind: OwnedKind) -> Iterator[Inspected]:
    for path, row in _rows(folder):
        data = path / row.get("data", "data")
        yield Inspected(
            kind=kind,
            key=row["key"],
            id=row["id"],
            size_bytes=data.stat().st_size,
            digest=raw_digest(data),
            detail=row.get("volume", ""),
        )
        yield from (_leftover(other) for other in path.iterdir() if other not in _parts(path, data))


def _parts(path: Path, data: Path) -> tuple[Path, Path]:
    return path / "row.json", data


def _grants(folder: Path, hosts: tuple[str, ...]) -> Iterator[Inspected]:
    volumes = {path.name: row["key"] for path, row in _rows(folder / "volumes")}
    names = {hashlib.blake2b(host.encode(), digest_size=8).hexdigest(): host for host in hosts}
    for path in (folder / "grants").iterdir():
        volume, host, mode, name, _ = path.name.split(".")
        key = volumes.get(volume, volume)
        yield Inspected(
            kind=OwnedKind.GRANT,
            key=key,
            id=name,
            detail=f"{key}|{names.get(host, host)}|{_MODES[mode]}",
        )


def _objects(folder: Path) -> Iterator[Inspected]:
    for path, row in _rows(folder):
        data = path / row["data"]
        with data.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        yield Inspected(
            kind=OwnedKind.OBJECT,
            key=row["key"],
            id=row["id"],
            size_bytes=data.stat().st_size,
            digest=digest,
        )
        yield from (_leftover(other) for other in path.iterdir() if other not in _parts(path, data))


def _uploads(folder: Path) -> Iterator[Inspected]:
    for path, row in _rows(folder):
        parts = [part for part in path.iterdir() if part.name != "row.json"]
        yield Inspected(
            kind=OwnedKind.UPLOAD,
            key=row["key"],
            id=row["id"],
            size_bytes=sum(part.stat().st_size for part in parts),
            unfinished=True,
        )


def raw_digest(path: Path) -> str:
    """The content digest of a raw file; holes are not read."""
    with path.open("rb", buffering=0) as file:
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
