"""Volumes and grants of a shelf. What a shelf cannot do is not here: the port refuses it."""

import sqlite3
from collections.abc import AsyncIterator

from acme_shelf.config import CAPABILITIES
from acme_shelf.shelf import Shelf
from holdfast.concurrency.runtime import runtime
from holdfast.contract import answers, requests
from holdfast.contract.answers import OwnedKind, OwnedThing
from holdfast.contract.capabilities import PrimaryCapabilities
from holdfast.contract.errors import (
    Conflict,
    Denied,
    DriverError,
    Exhausted,
    InUse,
    Invalid,
    NotFound,
    Precondition,
)
from holdfast.contract.handles import FileHandle, Handle
from holdfast.contract.identity import ExpectedStore
from holdfast.contract.ports import PrimaryDriver
from holdfast.contract.requests import CallContext
from holdfast.files import mutations

GRANULARITY = CAPABILITIES.volume.size_granularity_bytes
TOKEN = "after:"


class ShelfDriver(PrimaryDriver):
    """A driver bound to one shelf; it holds nothing else."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def expect(self, store: ExpectedStore) -> None:
        super().expect(store)
        self._shelf.expected = store

    @property
    def capabilities(self) -> PrimaryCapabilities:
        return CAPABILITIES

    # Figures

    async def stats(self, ctx: CallContext, request: requests.GetStats) -> answers.StatsInfo:
        return await runtime().run_blocking(self._stats)

    def _stats(self) -> answers.StatsInfo:
        with self._shelf.transaction() as database:
            query = "select count(*), coalesce(sum(size), 0) from volumes"
            count, allocated = database.execute(query).fetchone()
        return answers.StatsInfo(
            total_bytes=self._shelf.total_bytes(),
            used_bytes=self._shelf.used_bytes(),
            allocated_bytes=allocated,
            objects=count,
        )

    async def pools(self, ctx: CallContext, request: requests.ListPools) -> answers.PoolList:
        figures = await self.stats(ctx, requests.GetStats())
        pool = answers.PoolInfo(
            name="shelf",
            total_bytes=figures.total_bytes,
            used_bytes=figures.used_bytes,
            allocated_bytes=figures.allocated_bytes,
        )
        return answers.PoolList(items=(pool,))

    async def health(self, ctx: CallContext, request: requests.CheckHealth) -> answers.HealthInfo:
        try:
            await runtime().run_blocking(self._stats)
        except DriverError as error:
            return answers.HealthInfo(
                state=answers.HealthState.DOWN, dependency="folder", detail=error.cause
            )
        return answers.HealthInfo(state=answers.HealthState.UP)

    # Volumes

    async def create_volume(
        self, ctx: CallContext, request: requests.CreateVolume
    ) -> answers.VolumeInfo:
        fresh = runtime().new_id("vol")
        return await runtime().run_blocking(self._create, request, ctx.operation, fresh)

    def _create(
        self, request: requests.CreateVolume, operation: str, fresh: str
    ) -> answers.VolumeInfo:
        size_bytes = -(-request.size_bytes // GRANULARITY) * GRANULARITY
        with self._shelf.transaction() as database:
            self._refuse_at_rest(database)
            found = _find(database, request.key)
            if found is not None:
                if found.size_bytes != size_bytes:
                    raise Conflict("the key is taken by a volume of another size")
                return found
            (count,) = database.execute("select count(*) from volumes").fetchone()
            if count >= (CAPABILITIES.volume.volumes_max or count + 1):
                raise Exhausted(f"the shelf has {count} volumes already", what="volumes")
            self._sweep(database)
            # The file first: without its row it is nothing but a leftover, which a sweep removes.
            self._shelf.make_file(fresh, size_bytes)
            database.execute(
                "insert into volumes values (?, ?, ?, '', ?)",
                (request.key, fresh, size_bytes, operation),
            )
            return answers.VolumeInfo(key=request.key, id=fresh, size_bytes=size_bytes)

    def _refuse_at_rest(self, database: sqlite3.Connection) -> None:
        name, maintenance = database.execute("select name, maintenance from store").fetchone()
        if maintenance:
            raise Precondition(f"shelf {name} is in maintenance", state="maintenance")

    def _leftovers(self, database: sqlite3.Connection) -> list[str]:
        """The ids of files that no row names; whoever asks is alone on the shelf."""
        known = {row[0] for row in database.execute("select id from volumes")}
        return sorted({path.stem for path in self._shelf.folder.glob("*.raw")} - known)

    def _sweep(self, database: sqlite3.Connection) -> None:
        for volume_id in self._leftovers(database):
            mutations.unlink(self._shelf.volume(volume_id))
        known = {row[0] for row in database.execute("select id from grants")}
        for path in (self._shelf.folder / "granted").iterdir():
            if path.name not in known:
                mutations.unlink(path)

    async def get_volume(self, ctx: CallContext, request: requests.GetVolume) -> answers.VolumeInfo:
        return await runtime().run_blocking(self._get, request.key)

    def _get(self, key: str) -> answers.VolumeInfo:
        with self._shelf.transaction() as database:
            return _get(database, key)

    async def list_volumes(
        self, ctx: CallContext, request: requests.ListVolumes
    ) -> answers.VolumePage:
        return await runtime().run_blocking(self._list, request)

    def _list(self, request: requests.ListVolumes) -> answers.VolumePage:
        after = request.token.removeprefix(TOKEN)
        if request.token and (after == request.token or not after):
            raise Invalid("the page token was never issued")
        with self._shelf.transaction() as database:
            rows = database.execute(
                "select key, id, size from volumes where cast(key as blob) > cast(? as blob) "
                "order by cast(key as blob) limit ?",
                (after, request.limit + 1),
            ).fetchall()
        items = tuple(answers.VolumeInfo(key=k, id=i, size_bytes=s) for k, i, s in rows)
        more = len(items) > request.limit
        page = items[: request.limit]
        return answers.VolumePage(items=page, token=TOKEN + page[-1].key if more else "")

    async def delete_volume(self, ctx: CallContext, request: requests.DeleteVolume) -> answers.Gone:
        return await runtime().run_blocking(self._delete, request.key)

    def _delete(self, key: str) -> answers.Gone:
        with self._shelf.transaction() as database:
            self._sweep(database)
            found = _find(database, key)
            if found is None:
                return answers.Gone(key=key)
            query = "select host from grants where volume = ?"
            holders = tuple(row[0] for row in database.execute(query, (key,)))
            if holders:
                raise InUse(f"the volume is granted to {', '.join(holders)}", holders=holders)
            database.execute("delete from volumes where key = ?", (key,))
        # The row is gone for good; now, alone on the shelf once more, its file.
        with self._shelf.transaction() as database:
            self._sweep(database)
        return answers.Gone(key=key)

    # Access

    async def grant(self, ctx: CallContext, request: requests.Grant) -> answers.GrantInfo:
        fresh = runtime().new_id("grant")
        return await runtime().run_blocking(self._grant, request, ctx.operation, fresh)

    def _grant(self, request: requests.Grant, operation: str, fresh: str) -> answers.GrantInfo:
        with self._shelf.transaction() as database:
            self._refuse_at_rest(database)
            volume = _get(database, request.volume)
            if not database.execute(
                "select 1 from hosts where name = ?", (request.host,)
            ).fetchone():
                raise NotFound(f"host {request.host} is not attached")
            query = "select host, id from grants where volume = ?"
            for host, grant_id in database.execute(query, (request.volume,)):
                if host == request.host:
                    return _grant_info(grant_id, request)
                raise InUse(f"host {host} has the volume", holders=(host,))
            self._sweep(database)
            mutations.link(self._shelf.volume(volume.id), self._shelf.handle(fresh))
            mutations.fsync_directory(self._shelf.folder / "granted")
            database.execute(
                "insert into grants values (?, ?, ?, ?)",
                (request.volume, request.host, fresh, operation),
            )
            return _grant_info(fresh, request)

    async def revoke(self, ctx: CallContext, request: requests.Revoke) -> answers.Gone:
        return await runtime().run_blocking(self._revoke, request)

    def _revoke(self, request: requests.Revoke) -> answers.Gone:
        with self._shelf.transaction() as database:
            database.execute(
                "delete from grants where volume = ? and host = ?", (request.volume, request.host)
            )
            self._sweep(database)
        return answers.Gone(key=request.volume)

    async def open(self, ctx: CallContext, request: requests.Open) -> Handle:
        return await runtime().run_blocking(self._open, request)

    def _open(self, request: requests.Open) -> Handle:
        with self._shelf.transaction() as database:
            volume = _get(database, request.volume)
            found = database.execute(
                "select id from grants where volume = ? and host = ?",
                (request.volume, request.host),
            ).fetchone()
        if found is None:
            raise Denied(f"host {request.host} has no grant")
        return FileHandle(path=str(self._shelf.handle(found[0])), size_bytes=volume.size_bytes)

    # Recovery

    async def probe(
        self, ctx: CallContext, verb: str, request: requests.Request
    ) -> answers.ProbeResult:
        try:
            return await runtime().run_blocking(self._probe, request)
        except DriverError as error:
            return answers.Undetermined(reason=error.cause)

    def _probe(self, request: requests.Request) -> answers.ProbeResult:
        with self._shelf.transaction() as database:
            leftovers = tuple(self._leftovers(database))
            left = answers.Partial(names=leftovers) if leftovers else answers.Absent()
            match request:
                case requests.CreateVolume(key=key, size_bytes=asked):
                    found = _find(database, key)
                    fits = found and 0 <= found.size_bytes - asked < GRANULARITY
                    return answers.Done(answer=found) if found and fits else left
                case requests.DeleteVolume(key=key):
                    gone = _find(database, key) is None and not leftovers
                    return answers.Done(answer=answers.Gone(key=key)) if gone else left
                case requests.Grant() | requests.Revoke():
                    query = "select id from grants where volume = ? and host = ?"
                    row = database.execute(query, (request.volume, request.host)).fetchone()
                    if isinstance(request, requests.Grant):
                        return answers.Done(answer=_grant_info(row[0], request)) if row else left
                    return left if row else answers.Done(answer=answers.Gone(key=request.volume))
                case _:
                    return answers.Undetermined(reason="a shelf has no such verb")

    async def enumerate(
        self, ctx: CallContext, request: requests.EnumerateOwned
    ) -> AsyncIterator[OwnedThing]:
        for thing in await runtime().run_blocking(self._owned):
            yield thing

    def _owned(self) -> list[OwnedThing]:
        with self._shelf.transaction() as database:
            (store,) = database.execute("select id, name from store").fetchall()
            owned = [OwnedThing(kind=OwnedKind.STORE, id=store[0], key=store[1])]
            for key, name, size, by in database.execute(
                "select key, id, size, operation from volumes"
            ):
                owned.append(
                    OwnedThing(
                        kind=OwnedKind.VOLUME, id=name, key=key, size_bytes=size, operation=by
                    )
                )
            for key, name, by in database.execute("select volume, id, operation from grants"):
                owned.append(OwnedThing(kind=OwnedKind.GRANT, id=name, key=key, operation=by))
            return owned + [
                OwnedThing(kind=OwnedKind.TEMPORARY, id=name, unfinished=True)
                for name in self._leftovers(database)
            ]


def _find(database: sqlite3.Connection, key: str) -> answers.VolumeInfo | None:
    row = database.execute("select id, size from volumes where key = ?", (key,)).fetchone()
    return answers.VolumeInfo(key=key, id=row[0], size_bytes=row[1]) if row else None


def _get(database: sqlite3.Connection, key: str) -> answers.VolumeInfo:
    found = _find(database, key)
    if found is None:
        raise NotFound("there is no volume under this key")
    return found


def _grant_info(grant_id: str, request: requests.Grant) -> answers.GrantInfo:
    return answers.GrantInfo(
        id=grant_id, volume=request.volume, host=request.host, mode=request.mode
    )
