"""How a folder becomes a store, serves hosts, rests and is given back. Blocking inside."""

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from holdfast.concurrency.runtime import runtime
from holdfast.contract import requests
from holdfast.contract.answers import Gone, StoreInfo, StoreState
from holdfast.contract.errors import Busy, Exhausted, InUse, Invalid, NotFound, Unavailable, Unknown
from holdfast.contract.identity import check_adoptable, check_initialized
from holdfast.contract.ports import LifeCycle
from holdfast.contract.requests import CallContext, Role
from holdfast.files import mutations
from holdfast.files.trees import TreePath
from holdfast_drivers.local import fences, records
from holdfast_drivers.local.errors import ERRORS, after_the_fact, attempt
from holdfast_drivers.local.grants import Grants, host_name
from holdfast_drivers.local.locks import STORE_ALONE
from holdfast_drivers.local.names import entry_id
from holdfast_drivers.local.store_folder import Place, StoreRow

_SHELVES = {Role.PRIMARY: ("volumes", "snapshots"), Role.IMAGE: ("objects", "uploads")}


class StoreFolder:
    """What the life cycle of one store does to its folder. Blocking.

    Args:
        make_place: gives the place, or raises ``Invalid`` for one that cannot be.
        hosts_max: how many hosts may be attached at once.
    """

    def __init__(self, make_place: Callable[[], Place], hosts_max: int | None) -> None:
        self._make_place = make_place
        self._hosts_max = hosts_max

    def initialize(
        self, request: requests.InitializeStore, operation: str, fresh: str, fence: int
    ) -> StoreInfo:
        """Make the folder a store; ``fresh`` is its id."""
        row = StoreRow(id=fresh, name=request.name, operation=operation, identity=request.identity)
        place = self._make_place()
        if not place.root.is_dir():
            raise Invalid(f"root {place.root} is no folder; create it first")
        with _root_alone(place.root):
            try:
                current = place.found()
            except NotFound:
                _build(place, row, fence)
                return row.info()
        check_initialized(current.info(), name=row.name, identity=row.identity)
        with after_the_fact():
            mutations.fsync_directory(place.namespace)  # a killed call may not have come to that
        return current.info()

    def get(self, fence: int) -> StoreInfo:
        """The store, once what is seen of it is durable, and no earlier call can change it."""
        place = self._make_place()
        try:
            info = place.found().info()
            if fence:
                with (
                    place.locked() as held,
                    place.fences.turn(held, STORE_ALONE, fence, frees=True),
                ):
                    info = place.found().info()
        except NotFound:
            _settle(place.namespace, place.root)
            raise
        _settle(place.folder, place.namespace, place.root)
        return info

    def attach(self, host: str, fence: int) -> StoreInfo:
        """Serve a host."""
        return self._change(fence, lambda _, row: self._attached(row, host))

    def _attached(self, row: StoreRow, host: str) -> StoreRow:
        if host in row.hosts:
            return row
        if self._hosts_max is not None and len(row.hosts) >= self._hosts_max:
            raise Exhausted(
                f"a store on one host's own disk serves {self._hosts_max}: {row.hosts[0]}",
                object=host,
                what="hosts",
            )
        hosts = tuple(sorted((*row.hosts, host), key=str.encode))
        return msgspec.structs.replace(row, hosts=hosts)

    def detach(self, host: str, fence: int) -> StoreInfo:
        """Serve a host no more."""
        return self._change(fence, lambda place, row: _detached(place, row, host))

    def set_state(self, state: StoreState, fence: int) -> StoreInfo:
        """Let the store rest, or work."""
        return self._change(fence, lambda _, row: msgspec.structs.replace(row, state=state))

    def adopt(self, request: requests.AdoptStore, fence: int) -> StoreInfo:
        """Give a store from before its identity."""
        return self._change(fence, lambda _, row: _adopted(row, request))

    def _change(self, fence: int, change: Callable[[Place, StoreRow], StoreRow]) -> StoreInfo:
        place = self._make_place()
        with place.acting(fence):
            row = place.row()
            changed = change(place, row)
            if changed == row:
                with after_the_fact():
                    mutations.fsync_directory(
                        place.folder
                    )  # a killed call may not have come to that
                return row.info()
            return place.replace(changed).info()

    def delete(self, fence: int) -> Gone:
        """Give the place back."""
        place = self._make_place()
        with _root_alone(place.root):
            with contextlib.suppress(NotFound):
                if _leaving(place).exists():
                    with after_the_fact():  # of a call that was killed
                        mutations.remove_tree(_leaving(place))
                _take_down(place, fence)
            _leave(place)
            with after_the_fact():
                _settle(place.namespace, place.root)
        return Gone(key="")


class LocalLifeCycle(LifeCycle):
    """The life cycle of a store in a folder of this host."""

    def __init__(self, folder: StoreFolder) -> None:
        self._folder = folder

    async def initialize(self, ctx: CallContext, request: requests.InitializeStore) -> StoreInfo:
        fresh = runtime().new_id("store")
        return await runtime().run_blocking(
            attempt, "", self._folder.initialize, request, ctx.operation, fresh, ctx.fence
        )

    async def get(self, ctx: CallContext) -> StoreInfo:
        return await runtime().run_blocking(attempt, "", self._folder.get, ctx.fence)

    async def attach(self, ctx: CallContext, request: requests.AttachHost) -> StoreInfo:
        return await runtime().run_blocking(
            attempt, "", self._folder.attach, request.host, ctx.fence
        )

    async def detach(self, ctx: CallContext, request: requests.DetachHost) -> StoreInfo:
        return await runtime().run_blocking(
            attempt, "", self._folder.detach, request.host, ctx.fence
        )

    async def maintain(self, ctx: CallContext, request: requests.MaintainStore) -> StoreInfo:
        return await runtime().run_blocking(
            attempt, "", self._folder.set_state, StoreState.MAINTENANCE, ctx.fence
        )

    async def cancel_maintenance(
        self, ctx: CallContext, request: requests.CancelMaintenance
    ) -> StoreInfo:
        return await runtime().run_blocking(
            attempt, "", self._folder.set_state, StoreState.UP, ctx.fence
        )

    async def adopt(self, ctx: CallContext, request: requests.AdoptStore) -> StoreInfo:
        return await runtime().run_blocking(attempt, "", self._folder.adopt, request, ctx.fence)

    async def delete_store(self, ctx: CallContext, request: requests.DeleteStore) -> Gone:
        return await runtime().run_blocking(attempt, "", self._folder.delete, ctx.fence)


def _adopted(row: StoreRow, request: requests.AdoptStore) -> StoreRow:
    check_adoptable(row.info(), driver_id=request.driver_id, identity=request.identity)
    return msgspec.structs.replace(row, identity=request.identity)


def _settle(*folders: mutations.AnyPath) -> None:
    """Make durable what can be seen; a killed call may not have come to that."""
    for folder in folders:
        with contextlib.suppress(FileNotFoundError):
            mutations.fsync_directory(folder)


def _take_down(place: Place, fence: int) -> None:
    """Make an empty store's folder disappear at once.

    A host that is attached keeps it: somebody made the store theirs, maybe after the caller did.
    """
    with place.locked(store=STORE_ALONE) as held:
        place.fences.refuse_late(held, STORE_ALONE, fence)
        row = place.row()
        holders = _holders(place, row)
        if holders:
            raise InUse(
                f"store {row.name} is in use: {', '.join(holders[:5])}; "
                "delete what is in it and detach its hosts first",
                object=row.name,
                holders=holders,
            )
        mutations.rename(place.folder, _leaving(place))
        # Renamed, it is no store any more; what a crash leaves goes when one is made here again.
        with after_the_fact():
            mutations.fsync_directory(place.namespace)
            mutations.remove_tree(_leaving(place))


def _holders(place: Place, row: StoreRow) -> tuple[str, ...]:
    """What keeps a store: whatever is in it, and the hosts that are attached."""
    things = tuple(
        entry_id(shelf, path.name)
        for shelf in _SHELVES[place.role]
        for path in sorted((place.folder / shelf).iterdir())
    )
    return (*things, *(f"hosts/{host}" for host in row.hosts))


def _detached(place: Place, row: StoreRow, host: str) -> StoreRow:
    if host not in row.hosts:
        return row
    if place.role is Role.PRIMARY:
        held = [grant for grant in Grants(place).all() if grant.host == host_name(host)]
        if held:
            raise InUse(
                f"host {host} has {len(held)} grants; revoke them first",
                object=host,
                holders=tuple(grant.id for grant in held),
            )
    hosts = tuple(other for other in row.hosts if other != host)
    return msgspec.structs.replace(row, hosts=hosts)


def _coming(place: Place) -> TreePath:
    """Where a store's folder is built."""
    return place.namespace / f".{place.role.value}.coming"


def _leaving(place: Place) -> TreePath:
    """Where a store's folder is taken apart."""
    return place.namespace / f".{place.role.value}.leaving"


@contextlib.contextmanager
def _root_alone(root: Path) -> Iterator[None]:
    """Hold the lock of the root, for as long as a store comes or goes."""
    try:
        fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise Unavailable(f"root {root} cannot be reached: {error.strerror}") from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise Busy(f"another call makes or removes a store in {root}; try again") from None
    finally:
        os.close(fd)


def _build(place: Place, row: StoreRow, fence: int) -> None:
    """Make the store's folder appear whole, or leave nothing."""
    coming = _coming(place)
    try:
        _make_namespace(place)
        # Of calls that were killed: the lock of the root says that none of them is at it now.
        mutations.remove_tree(coming)
        mutations.remove_tree(_leaving(place))
        mutations.mkdir(coming)
        for name in (*_SHELVES[place.role], "grants", "staging"):
            mutations.mkdir(coming / name)
        mutations.write_new(coming / "lock", b"")
        records.made(coming, "store", msgspec.json.encode(row))
        mutations.write_new(coming / fences.FILE, fences.table(STORE_ALONE, fence))
        mutations.fsync_directory(coming)
        mutations.publish(coming, place.folder)
    except BaseException as error:
        with contextlib.suppress(OSError):
            mutations.remove_tree(coming)
            mutations.remove_tree(place.folder)
            _leave(place)
        if place.folder.exists():
            raise Unknown(f"{place.folder} stays, half made", object=row.name) from error
        raise


def _make_namespace(place: Place) -> None:
    try:
        with contextlib.suppress(FileExistsError):
            mutations.mkdir(place.namespace)
        mutations.fsync_directory(place.root)
    except OSError as error:
        if error.errno in ERRORS:
            raise
        raise Invalid(f"nothing can be made in {place.root}: {error.strerror}") from error


def _leave(place: Place) -> None:
    """Remove the namespace's folder where nothing else is in it."""
    with contextlib.suppress(OSError):  # the other role's store is in it, or it is gone
        mutations.rmdir(place.namespace)
