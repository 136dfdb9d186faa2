"""Reads a store's folder as an operator would: names, JSON and raw bytes, no driver code.

Nothing here is imported from the driver but its configuration; what it knows of the layout is
written in the driver's README.
"""

import asyncio
import hashlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from holdfast.concurrency.runtime import runtime
from holdfast.contract.requests import Role
from holdfast.contract.testbed import Inspector, Inventory
from holdfast_drivers.inspection.inventories import inspected, inventory_of
from holdfast_drivers.inspection.readers.disk_content import disk_of
from holdfast_drivers.inspection.readers.regular_files import loaded, sha256_of, size_of
from holdfast_drivers.inspection.readers.seen import Seen, grant_of, stranger
from holdfast_drivers.inspection.readers.store_folders import (
    UNREADABLE,
    Look,
    beside,
    beside_data,
    data_of,
    disk,
    keyed,
    shelves,
)
from holdfast_drivers.inspection.readers.surroundings import outside_digest

_LOOKS = 50
_AGAIN_S = 0.01
"""How often a store is looked at that does not stand still, and after what time again."""


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
        for _ in range(_LOOKS):
            with suppress(FileNotFoundError):  # a store may be on its way
                return await runtime().run_blocking(self._look)
            await asyncio.sleep(_AGAIN_S)
        return await runtime().run_blocking(self._look)

    def _look(self) -> Inventory:
        sandbox, folder = self._sandbox, self._folder
        if not sandbox.exists():
            sandbox = sandbox.parent.with_suffix(".down") / sandbox.name
            folder = sandbox / folder.relative_to(self._sandbox)
        return inventory_of(map(inspected, self._things(folder)), outside_digest(sandbox, folder))

    def _things(self, folder: Path) -> Iterator[Seen]:
        yield from beside(folder)
        if folder.is_symlink():
            yield stranger(folder, "it is a link")
        elif folder.exists() and not folder.is_dir():
            yield stranger(folder, "it is no folder")
        elif folder.exists():
            looks = _of_volumes(folder) if self._role is Role.PRIMARY else _OF_OBJECTS
            yield from shelves(folder, looks)


def _of_volumes(folder: Path) -> dict[str, Look]:
    try:
        hosts = [str(host) for host in loaded(folder / "store.json").get("hosts", ())]
    except UNREADABLE:
        hosts = []  # it is told where the store itself is looked at
    names = {
        hashlib.blake2b(host.encode(errors="replace"), digest_size=8).hexdigest(): host
        for host in hosts
    }

    def grant(path: Path) -> Iterator[Seen]:
        volume, host, mode, name, _ = path.name.split(".")
        size_of(path)
        try:
            key = str(loaded(folder / "volumes" / volume / "row.json")["key"])
        except UNREADABLE:
            key = volume
        yield grant_of(key, names.get(host, host), mode, name)

    return {
        "volumes": lambda path: disk(path, "volume", disk_of),
        "snapshots": lambda path: disk(path, "snapshot", disk_of),
        "grants": grant,
    }


def _row(path: Path) -> dict[str, Any]:
    return keyed(path, loaded(path / "row.json"))


def _object(path: Path) -> Iterator[Seen]:
    row = _row(path)
    data = data_of(path, row)
    yield Seen(
        kind="object",
        key=row["key"],
        id=row["id"],
        size_bytes=size_of(data),
        digest=sha256_of(data),
    )
    yield from beside_data(path, data)


def _upload(path: Path) -> Iterator[Seen]:
    row = _row(path)
    others = [other for other in path.iterdir() if other.name != "row.json"]
    parts = [other for other in others if other.name.startswith("part.")]
    size_bytes = sum(map(size_of, parts))
    yield Seen(kind="upload", key=row["key"], id=row["id"], size_bytes=size_bytes, unfinished=True)
    yield from (stranger(other) for other in others if other not in parts)


def _nobodys(path: Path) -> Iterator[Seen]:
    """Hosts have no grants in an image store."""
    yield stranger(path)


_OF_OBJECTS: dict[str, Look] = {"objects": _object, "uploads": _upload, "grants": _nobodys}
