"""How a folder of an export becomes an image store, rests and is given back. Blocking inside.

A store is built under a name of its own beside its place and appears with one ``rename``, which the
server refuses where a store is already. It leaves with one ``rename``, too; what was put into it at
the last moment is seen afterwards, and brings it back.
"""

import contextlib
import errno
from typing import Final

import msgspec

from holdfast import requests
from holdfast.errors import Busy, InUse, Invalid, NotFound
from holdfast.identity import check_adoptable, check_initialized
from holdfast.infos import Gone, StoreInfo
from holdfast.ports import LifeCycle
from holdfast.requests import CallContext
from holdfast.runtime import runtime
from holdfast_drivers.local.names import name_of
from holdfast_drivers.nfs.libnfs import Client
from holdfast_drivers.nfs.session import Session
from holdfast_drivers.nfs.shelves import (
    FOLDERS,
    MAINTENANCE,
    STORE,
    WORKING,
    Shelves,
    StoreRow,
    after_the_fact,
    remove_tree,
)

_TAKEN: Final = frozenset({errno.EEXIST, errno.ENOTEMPTY})
_COMING: Final = ".image.coming."
_LEAVING: Final = ".image.leaving."


class NfsImageLifeCycle(LifeCycle):
    """The life cycle of one image store."""

    def __init__(self, session: Session, shelves: Shelves) -> None:
        self._session = session
        self._shelves = shelves

    async def initialize(self, ctx: CallContext, request: requests.InitializeStore) -> StoreInfo:
        row = StoreRow(
            id=runtime().new_id("store"),
            name=request.name,
            operation=ctx.operation,
            identity=request.identity,
        )
        return await self._session.run(ctx, "", self._initialize, row)

    def _initialize(self, client: Client, row: StoreRow) -> StoreInfo:
        base = self._shelves.base
        if base and not _is_folder(client, base):
            raise Invalid(f"setting `folder`: there is no folder {base} in the export")
        self._restore(client)
        try:
            self._shelves.row(client)
        except NotFound:
            self._build(client, row)
        info = self._shelves.info(client)
        check_initialized(info, name=row.name, identity=row.identity)
        return info

    def _build(self, client: Client, row: StoreRow) -> StoreRow:
        """Make the store appear whole, or give the one that another call was quicker with."""
        coming = f"{self._shelves.namespace}/{_COMING}{row.id}"
        with contextlib.suppress(FileExistsError):
            client.mkdir(self._shelves.namespace)
        try:
            self._clear(client)
            client.mkdir(coming)
            for name in FOLDERS:
                client.mkdir(f"{coming}/{name}")
            client.write_new(f"{coming}/{WORKING}", b"")
            client.write_new(f"{coming}/{STORE}", msgspec.json.encode(row))
            client.rename(coming, self._shelves.folder)
        except OSError as error:
            with after_the_fact(row.name):
                remove_tree(client, coming)
                self._leave(client)
            if error.errno in _TAKEN:
                return self._shelves.row(client)
            if error.errno == errno.ENOENT:
                raise Busy("another call makes or removes this store; try again") from error
            raise
        return row

    def _moved(self, client: Client) -> tuple[list[str], list[str]]:
        """What calls that were killed left beside the store: half made ones, and leaving ones."""
        try:
            names = sorted(client.entries(self._shelves.namespace))
        except FileNotFoundError:
            return [], []
        paths = [f"{self._shelves.namespace}/{name}" for name in names]
        return (
            [path for path, name in zip(paths, names, strict=True) if name.startswith(_COMING)],
            [path for path, name in zip(paths, names, strict=True) if name.startswith(_LEAVING)],
        )

    def _restore(self, client: Client) -> None:
        """Bring back a store that a killed call took away although something was in it."""
        for path in self._moved(client)[1]:
            if self._holders(client, path):
                client.rename(path, self._shelves.folder)

    def _clear(self, client: Client) -> None:
        """Remove what killed calls left; first out of the way, so that it cannot appear half."""
        coming, leaving = self._moved(client)
        for path in coming:
            leaving.append(f"{self._shelves.namespace}/{_LEAVING}{runtime().new_id('gone')}")
            client.rename(path, leaving[-1])
        for path in leaving:
            remove_tree(client, path)

    async def get(self, ctx: CallContext) -> StoreInfo:
        return await self._session.run(ctx, "", self._shelves.info)

    async def attach(self, ctx: CallContext, request: requests.AttachHost) -> StoreInfo:
        fresh = runtime().new_id("host")
        return await self._session.run(ctx, request.host, self._attach, request.host, fresh)

    def _attach(self, client: Client, host: str, fresh: str) -> StoreInfo:
        self._shelves.in_service(client)
        self._shelves.purge(client, "host", host)
        final = f"{self._shelves.hosts}/{name_of(host)}"
        if not client.exists(final):
            with self._shelves.building(client, "host", host, fresh) as staged:
                client.write_new(staged, host.encode())
                client.rename(staged, final)
        return self._shelves.info(client)

    async def detach(self, ctx: CallContext, request: requests.DetachHost) -> StoreInfo:
        return await self._session.run(ctx, request.host, self._detach, request.host)

    def _detach(self, client: Client, host: str) -> StoreInfo:
        self._shelves.in_service(client)
        self._shelves.purge(client, "host", host)
        remove_tree(client, f"{self._shelves.hosts}/{name_of(host)}")
        return self._shelves.info(client)

    async def maintain(self, ctx: CallContext, request: requests.MaintainStore) -> StoreInfo:
        return await self._session.run(ctx, "", self._maintain)

    def _maintain(self, client: Client) -> StoreInfo:
        self._shelves.in_service(client)
        resting, working = (f"{self._shelves.folder}/{name}" for name in (MAINTENANCE, WORKING))
        if not client.exists(resting):
            try:
                client.rename(working, resting)  # which needs no space
            except FileNotFoundError:  # a store from before, or another call was quicker
                with contextlib.suppress(FileExistsError):
                    client.write_new(resting, b"")
        return self._shelves.info(client)

    async def cancel_maintenance(
        self, ctx: CallContext, request: requests.CancelMaintenance
    ) -> StoreInfo:
        return await self._session.run(ctx, "", self._cancel_maintenance)

    def _cancel_maintenance(self, client: Client) -> StoreInfo:
        self._shelves.in_service(client)
        resting, working = (f"{self._shelves.folder}/{name}" for name in (MAINTENANCE, WORKING))
        with contextlib.suppress(FileNotFoundError):
            client.rename(resting, working)
        return self._shelves.info(client)

    async def adopt(self, ctx: CallContext, request: requests.AdoptStore) -> StoreInfo:
        fresh = runtime().new_id("store")
        return await self._session.run(ctx, "", self._adopt, request, fresh)

    def _adopt(self, client: Client, asked: requests.AdoptStore, fresh: str) -> StoreInfo:
        found = self._shelves.info(client)
        check_adoptable(found, driver_id=asked.driver_id, identity=asked.identity)
        row = msgspec.structs.replace(self._shelves.row(client), identity=asked.identity)
        with self._shelves.building(client, "store", "", fresh) as staged:
            client.write_new(staged, msgspec.json.encode(row))
            client.rename(staged, f"{self._shelves.folder}/{STORE}")
        return self._shelves.info(client)

    async def delete_store(self, ctx: CallContext, request: requests.DeleteStore) -> Gone:
        return await self._session.run(ctx, "", self._delete, runtime().new_id("gone"))

    def _delete(self, client: Client, fresh: str) -> Gone:
        self._restore(client)
        with contextlib.suppress(NotFound):
            row = self._shelves.row(client)
            leaving = f"{self._shelves.namespace}/{_LEAVING}{fresh}"
            self._refuse_in_use(client, self._shelves.folder, row.name)
            with contextlib.suppress(FileNotFoundError):
                client.rename(self._shelves.folder, leaving)
            try:
                self._refuse_in_use(client, leaving, row.name)
            except InUse:
                with after_the_fact():
                    client.rename(leaving, self._shelves.folder)
                raise
        with after_the_fact():
            self._clear(client)
            self._leave(client)
        return Gone(key="")

    def _holders(self, client: Client, folder: str) -> tuple[str, ...]:
        """What is in a store; a host that is attached keeps it, too."""
        found: list[str] = []
        for shelf in ("objects", "uploads", "hosts"):
            with contextlib.suppress(FileNotFoundError):
                found += [f"{shelf}/{name}" for name in sorted(client.entries(f"{folder}/{shelf}"))]
        return tuple(found)

    def _refuse_in_use(self, client: Client, folder: str, name: str) -> None:
        holders = self._holders(client, folder)
        if holders:
            raise InUse(
                f"store {name} is in use: {', '.join(holders[:5])}; "
                "delete what is in it and detach its hosts first",
                object=name,
                holders=holders,
            )

    def _leave(self, client: Client) -> None:
        """Remove the namespace's folder where nothing else is in it."""
        try:
            client.rmdir(self._shelves.namespace)
        except OSError as error:
            if error.errno not in {errno.ENOENT, *_TAKEN}:
                raise


def _is_folder(client: Client, path: str) -> bool:
    try:
        return client.status(path).is_folder
    except (FileNotFoundError, NotADirectoryError):
        return False
