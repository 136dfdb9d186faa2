"""How a folder of an export becomes an image store, rests and is given back. Blocking inside.

A store is built under a name of its own beside its place and appears with one ``rename``, which the
server refuses where a store is already. It leaves with one ``rename``, too; what was put into it at
the last moment is seen afterwards, and brings it back.
"""

import contextlib
import errno
from typing import Final

import msgspec

from holdfast.concurrency.runtime import runtime
from holdfast.contract import requests
from holdfast.contract.answers import Gone, StoreInfo
from holdfast.contract.errors import Busy, InUse, Invalid, NotFound, Precondition
from holdfast.contract.identity import check_adoptable, check_initialized
from holdfast.contract.ports import LifeCycle
from holdfast.contract.requests import CallContext
from holdfast_drivers.local.errors import FULL
from holdfast_drivers.local.names import name_of
from holdfast_drivers.nfs.fences import Fences, fence_in, fenced
from holdfast_drivers.nfs.libnfs import Client
from holdfast_drivers.nfs.objects import settle_objects
from holdfast_drivers.nfs.session import Session
from holdfast_drivers.nfs.store_folder import (
    FOLDERS,
    MAINTENANCE,
    STORE,
    WORKING,
    Shelves,
    StoreRow,
    after_the_fact,
    published,
    remove_tree,
    state_of,
    taken_in,
)
from holdfast_drivers.nfs.uploads import settle_uploads

_TAKEN: Final = frozenset({errno.EEXIST, errno.ENOTEMPTY})
_COMING: Final = ".image.coming."
_LEAVING: Final = ".image.leaving."
_STORE: Final = "store"
_STAGED: Final = ("host.", "store.")
"""What the names of files in staging begin with that a verb of the life cycle makes."""
_TAKEN_HOST: Final = "taken-host."
_ATTEMPTS: Final = 8


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
        return await self._session.run(ctx, "", self._initialize, row, ctx.fence)

    def _initialize(self, client: Client, row: StoreRow, fence: int) -> StoreInfo:
        base = self._shelves.base
        if base and not _is_folder(client, base):
            raise Invalid(f"setting `folder`: there is no folder {base} in the export")
        self._restore(client)
        try:
            self._shelves.row(client)
        except NotFound:
            self._build(client, row, fence)
        self._enter(client, fence)
        info = self._shelves.info(client)
        check_initialized(info, name=row.name, identity=row.identity)
        return info

    def _enter(self, client: Client, fence: int) -> None:
        """Let no earlier call of the life cycle act on the store any more.

        What one has staged is removed, what it took away is back, and the file that says the state
        of the store has a name that it does not know.
        """
        shelves = self._shelves
        shelves.fences.enter(client, _STORE, "", fence, frees=True)
        for name in shelves.names(client, shelves.staging):
            path = f"{shelves.staging}/{name}"
            if name.startswith(_TAKEN_HOST):
                host, _, taker = name.removeprefix(_TAKEN_HOST).partition(".")
                if host and 0 < fence_in(f".{taker}") < fence:  # else nobody's, or not over
                    with contextlib.suppress(FileNotFoundError):
                        client.rename(path, f"{shelves.hosts}/{fenced(host, fence)}")
            elif name.startswith(_STAGED):
                client.discard(path)
        state = state_of(shelves.names(client, shelves.folder))
        new = fenced(state.partition(".")[0] or WORKING, fence)
        if fence and state != new:
            self._rename_state(client, state, new)

    def _rename_state(self, client: Client, current: str, new: str) -> None:
        """Have the state of a store said by another name; another call may be quicker."""
        folder = self._shelves.folder
        with contextlib.suppress(FileNotFoundError, FileExistsError):
            if current:
                client.rename(f"{folder}/{current}", f"{folder}/{new}")
                return
            try:
                client.write_new(f"{folder}/{new}", b"")
            except OSError as error:  # a full store from before can still be emptied
                if error.errno not in FULL or not new.startswith(WORKING):
                    raise

    def _build(self, client: Client, row: StoreRow, fence: int) -> StoreRow:
        """Make the store appear whole, or give the one that another call was quicker with."""
        coming = f"{self._shelves.namespace}/{_COMING}{row.id}"
        with contextlib.suppress(FileExistsError):
            client.mkdir(self._shelves.namespace)
        try:
            self._clear(client)
            client.mkdir(coming)
            for name in FOLDERS:
                client.mkdir(f"{coming}/{name}")
            Fences(coming).enter(client, _STORE, "", fence)
            client.write_new(f"{coming}/{fenced(WORKING, fence)}", b"")
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
        """Bring back a store that a killed call took away although something was in it, or that
        was late.
        """
        for path in self._moved(client)[1]:
            taker = _taker(path)
            late = taker and taker < Fences(path).highest(client, _STORE, "")
            if late or self._holders(client, path):
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
        return await self._session.run(ctx, "", self._get, ctx.fence)

    def _get(self, client: Client, fence: int) -> StoreInfo:
        """What there is, and what no earlier call changes any more."""
        self._shelves.in_service(client)
        if fence:
            self._enter(client, fence)
        return self._shelves.info(client)

    async def attach(self, ctx: CallContext, request: requests.AttachHost) -> StoreInfo:
        fresh = runtime().new_id("host")
        host = request.host
        return await self._session.run(ctx, host, self._attach, host, fresh, ctx.fence)

    def _attach(self, client: Client, host: str, fresh: str, fence: int) -> StoreInfo:
        self._shelves.in_service(client)
        self._enter(client, fence)
        final = f"{self._shelves.hosts}/{fenced(name_of(host), fence)}"
        earlier = self._attached(client, host)
        while earlier and final not in earlier:
            # It takes the name of this call: one that is late removes names that it has seen.
            self._shelves.fences.check(client, _STORE, "", fence)
            with contextlib.suppress(FileNotFoundError):
                client.rename(earlier[-1], final)
            earlier = self._attached(client, host)
        if not earlier:
            with self._shelves.building(client, "host", host, fresh) as staged:
                client.write_new(staged, host.encode())
                self._shelves.fences.check(client, _STORE, "", fence)
                published(client, staged, final, host)
        return self._shelves.info(client)

    def _attached(self, client: Client, host: str) -> list[str]:
        """The files that say that a host is attached, in order of their fences."""
        names = self._shelves.names(client, self._shelves.hosts)
        own = [name for name in names if name.partition(".")[0] == name_of(host)]
        return [f"{self._shelves.hosts}/{name}" for name in sorted(own)]

    async def detach(self, ctx: CallContext, request: requests.DetachHost) -> StoreInfo:
        host = request.host
        return await self._session.run(ctx, host, self._detach, host, ctx.fence)

    def _detach(self, client: Client, host: str, fence: int) -> StoreInfo:
        self._shelves.in_service(client)
        self._enter(client, fence)
        while paths := [
            path
            for path in self._attached(client, host)
            if not fence or fence_in(path.rpartition("/")[2]) <= fence
        ]:  # again: an attachment that is late may have given it another name meanwhile
            for path in paths:
                if fence:
                    self._take_host(client, path, fence)
                else:
                    remove_tree(client, path)
        return self._shelves.info(client)

    def _take_host(self, client: Client, path: str, fence: int) -> None:
        """Detach a host, unless a later call came in between, which is told that it is attached."""
        name = path.rpartition("/")[2].partition(".")[0]
        aside = f"{self._shelves.staging}/{_TAKEN_HOST}{name}.{fence:016x}"
        with contextlib.suppress(FileNotFoundError):
            client.rename(path, aside)
        late: Precondition | Busy | None = None
        with after_the_fact(name):
            try:
                self._shelves.fences.check(client, _STORE, "", fence)
            except (Precondition, Busy) as error:
                late = error
                with contextlib.suppress(FileNotFoundError):
                    client.rename(aside, path)
            client.discard(aside)
        if late is not None:
            raise late

    async def maintain(self, ctx: CallContext, request: requests.MaintainStore) -> StoreInfo:
        return await self._session.run(ctx, "", self._become, MAINTENANCE, ctx.fence)

    async def cancel_maintenance(
        self, ctx: CallContext, request: requests.CancelMaintenance
    ) -> StoreInfo:
        return await self._session.run(ctx, "", self._become, WORKING, ctx.fence)

    def _become(self, client: Client, state: str, fence: int) -> StoreInfo:
        """Give the file that says the state of the store another name, which needs no space.

        Its name is of the call that gave it, so that one that is late finds it gone.
        """
        self._shelves.in_service(client)
        self._enter(client, fence)
        folder, new = self._shelves.folder, fenced(state, fence)
        for _ in range(_ATTEMPTS):
            current = state_of(self._shelves.names(client, folder))
            if current == new or (not fence and current.startswith(state)):
                return self._shelves.info(client)
            # As late as can be: a later call may have entered while the names were read.
            self._shelves.fences.check(client, _STORE, "", fence)
            self._rename_state(client, current, new)
        raise Busy("others change the store all the time; try again")

    async def adopt(self, ctx: CallContext, request: requests.AdoptStore) -> StoreInfo:
        fresh = runtime().new_id("store")
        return await self._session.run(ctx, "", self._adopt, request, fresh, ctx.fence)

    def _adopt(
        self, client: Client, request: requests.AdoptStore, fresh: str, fence: int
    ) -> StoreInfo:
        self._shelves.in_service(client)
        self._enter(client, fence)
        info = self._shelves.info(client)
        check_adoptable(info, driver_id=request.driver_id, identity=request.identity)
        row = msgspec.structs.replace(self._shelves.row(client), identity=request.identity)
        with self._shelves.building(client, "store", "", fresh) as staged:
            client.write_new(staged, msgspec.json.encode(row))
            self._shelves.fences.check(client, _STORE, "", fence)
            published(client, staged, f"{self._shelves.folder}/{STORE}", "")
        return self._shelves.info(client)

    async def delete_store(self, ctx: CallContext, request: requests.DeleteStore) -> Gone:
        return await self._session.run(ctx, "", self._delete, runtime().new_id("gone"), ctx.fence)

    def _delete(self, client: Client, fresh: str, fence: int) -> Gone:
        self._restore(client)
        with contextlib.suppress(NotFound):
            row = self._shelves.row(client)
            self._enter(client, fence)
            settle_objects(client, self._shelves)
            settle_uploads(client, self._shelves)
            leaving = f"{self._shelves.namespace}/{_LEAVING}{fenced(fresh, fence)}"
            self._refuse_in_use(client, self._shelves.folder, row.name)
            with contextlib.suppress(FileNotFoundError):
                client.rename(self._shelves.folder, leaving)
            try:
                self._refuse_in_use(client, leaving, row.name)
                Fences(leaving).check(client, _STORE, "", fence)
            except (InUse, Precondition, Busy):
                with after_the_fact():
                    client.rename(leaving, self._shelves.folder)
                raise
        with after_the_fact():
            self._clear(client)
            self._leave(client)
        return Gone(key="")

    def _holders(self, client: Client, folder: str) -> tuple[str, ...]:
        """What is in a store; a host that is attached keeps it, too, and so does what a call that
        may be late has taken.
        """
        holders: list[str] = []
        for shelf in ("objects", "uploads", "hosts"):
            with contextlib.suppress(FileNotFoundError):
                names = sorted(client.entries(f"{folder}/{shelf}"))
                holders += [f"{shelf}/{name.partition('.')[0]}" for name in names]
        with contextlib.suppress(FileNotFoundError):
            staged = client.entries(f"{folder}/staging")
            for kind in ("object", "upload"):
                holders += [f"{kind}s/{name}" for name in taken_in(staged, kind)]
        return tuple(holders)

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


def _taker(path: str) -> int:
    """The fence of the call that took a store away; 0 where its name says none."""
    return fence_in(path.rpartition("/")[2].removeprefix(_LEAVING))


def _is_folder(client: Client, path: str) -> bool:
    try:
        return client.status(path).is_folder
    except (FileNotFoundError, NotADirectoryError):
        return False
