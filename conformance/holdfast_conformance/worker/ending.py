"""The end of a plan: delete everything through the driver, then look at what is left."""

from collections.abc import Awaitable, Callable, Sequence

from holdfast.contract import requests
from holdfast.contract.answers import OwnedKind, OwnedThing
from holdfast.contract.errors import ErrorKind
from holdfast.contract.requests import CallContext, Role
from holdfast.contract.testbed import Inspected
from holdfast_conformance.foreign_texts import unwritable
from holdfast_conformance.trace import Ended, Raised
from holdfast_conformance.worker.containment import Containment, Failed
from holdfast_conformance.worker.observe import Observer
from holdfast_conformance.worker.opened import OpenedDrivers
from holdfast_conformance.worker.steps import collect


class Ending:
    """Empties one namespace through the driver.

    What there is to delete is what the inspector finds: a driver that forgot it shows as a leak.
    """

    def __init__(
        self,
        role: Role,
        opened: OpenedDrivers,
        observer: Observer,
        containment: Containment,
        context: Callable[[], CallContext],
    ) -> None:
        self._role = role
        self._context = context
        self._opened = opened
        self._observer = observer
        self._containment = containment
        self._failures: list[str] = []

    async def run(self) -> Ended:
        """Delete everything and report what is left."""
        things = (await self._observer.inventory()).things
        stores = [thing for thing in things if thing.kind is OwnedKind.STORE]
        if self._role is Role.PRIMARY:
            await self._empty_primary(things)
        else:
            await self._empty_image(things)
        enumerated = await self._enumerate() if stores else ()
        for store in stores:
            await self._give_back(store)
        await self._attempt("close", self._opened.close_all())
        after = await self._observer.inventory()
        return Ended(
            left=after.things,
            enumerated=enumerated,
            failures=tuple(self._failures),
            outside_digest=after.outside_digest,
        )

    async def _attempt(self, what: str, work: Awaitable[object]) -> ErrorKind | None:
        """Make one call; its error, noted as a failure unless something else must go first."""
        try:
            await self._containment.call(work)
        except Failed as failed:
            outcome = failed.outcome
            if isinstance(outcome, Raised):
                if outcome.kind is not ErrorKind.IN_USE:
                    self._failures.append(f"{what}: {outcome.kind.value}: {outcome.cause}")
                return outcome.kind
            self._failures.append(f"{what}: {outcome.what}")
            return ErrorKind.INTERNAL
        return None

    async def _empty_primary(self, things: tuple[Inspected, ...]) -> None:
        for grant in _of(things, OwnedKind.GRANT):
            volume, host = (*grant.detail.split("|"), "", "")[:2]
            await self._attempt(f"revoke {volume} {host}", self._revoke(volume, host))
        waiting = [*_of(things, OwnedKind.SNAPSHOT), *_of(things, OwnedKind.VOLUME)]
        while waiting:
            held = [thing for thing in waiting if await self._delete(thing)]
            if len(held) == len(waiting):
                self._failures.extend(f"delete {thing.kind} {thing.key}: InUse" for thing in held)
                return
            waiting = held

    async def _delete(self, thing: Inspected) -> bool:
        """Delete a volume or snapshot; true when something else must go first."""
        what = f"delete {thing.kind} {thing.key}"
        return await self._attempt(what, self._delete_one(thing)) is ErrorKind.IN_USE

    async def _delete_one(self, thing: Inspected) -> object:
        driver = await self._opened.primary()
        if thing.kind is OwnedKind.SNAPSHOT:
            return await driver.delete_snapshot(
                self._context(), requests.DeleteSnapshot(key=thing.key)
            )
        return await driver.delete_volume(self._context(), requests.DeleteVolume(key=thing.key))

    async def _revoke(self, volume: str, host: str) -> object:
        driver = await self._opened.primary()
        return await driver.revoke(self._context(), requests.Revoke(volume=volume, host=host))

    async def _empty_image(self, things: tuple[Inspected, ...]) -> None:
        for upload in _of(things, OwnedKind.UPLOAD):
            await self._attempt(f"abort {upload.key}", self._abort(upload.key))
        for found in _of(things, OwnedKind.OBJECT):
            await self._attempt(f"delete {found.key}", self._delete_object(found.key))

    async def _abort(self, upload: str) -> object:
        driver = await self._opened.image()
        return await driver.abort_upload(self._context(), requests.AbortUpload(upload=upload))

    async def _delete_object(self, key: str) -> object:
        return await (await self._opened.image()).delete(
            self._context(), requests.DeleteObject(key=key)
        )

    async def _enumerate(self) -> tuple[OwnedThing, ...]:
        """What the driver still owns, the store itself excepted: it is given back next."""
        try:
            found = await self._containment.call(self._collect())
        except Failed as failed:
            self._failures.append(f"enumerate: {failed.outcome}")
            return ()
        left = tuple(thing for thing in found if thing.kind is not OwnedKind.STORE)
        if problem := unwritable(left):
            self._failures.append(f"enumerate: {problem}")
            return ()
        return left

    async def _collect(self) -> tuple[OwnedThing, ...]:
        primary = self._role is Role.PRIMARY
        driver = await (self._opened.primary() if primary else self._opened.image())
        return await collect(driver.enumerate(self._context(), requests.EnumerateOwned()))

    async def _give_back(self, store: Inspected) -> None:
        hosts = (*store.detail.split("|"), "", "", "")[2]
        for host in filter(None, hosts.split(",")):
            await self._life_cycle_call(requests.DetachHost(host=host))
        await self._life_cycle_call(requests.DeleteStore())

    async def _life_cycle_call(self, request: requests.DetachHost | requests.DeleteStore) -> None:
        kind = await self._attempt(requests.verb_of(request), self._change_store(request))
        if kind is ErrorKind.IN_USE:
            self._failures.append(f"{requests.verb_of(request)}: InUse")

    async def _change_store(self, request: requests.DetachHost | requests.DeleteStore) -> object:
        life_cycle = await self._opened.life_cycle()
        if isinstance(request, requests.DetachHost):
            return await life_cycle.detach(self._context(), request)
        return await life_cycle.delete_store(self._context(), request)


def merged(endings: Sequence[Ended]) -> Ended:
    """The ending of a plan, from those of its stores."""
    return Ended(
        left=tuple(thing for ended in endings for thing in ended.left),
        enumerated=tuple(thing for ended in endings for thing in ended.enumerated),
        failures=tuple(failure for ended in endings for failure in ended.failures),
        outside_digest=endings[-1].outside_digest,
    )


def _of(things: tuple[Inspected, ...], kind: OwnedKind) -> list[Inspected]:
    return [thing for thing in things if thing.kind is kind]
