"""Blind defects of the eighth round: copies, lists, figures and life cycle."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec

from holdfast.contract import answers, requests
from holdfast.contract.answers import StoreState
from holdfast.contract.errors import Unavailable
from holdfast.contract.requests import CallContext
from holdfast_drivers.listing import name_in_token
from holdfast_drivers.memory.backend import Backend, Store, StoredObject
from holdfast_drivers.memory.content import Content
from holdfast_drivers.memory.fences import Fences
from holdfast_drivers.memory.image_driver import MemoryImageDriver
from holdfast_drivers.memory.lifecycle import MemoryLifeCycle
from holdfast_drivers.memory.mutants.planted import blind

HEAD_BYTES: Final = 512


ENUMERATED_PAGE: Final = 4


def kept(backend: Backend, what: str) -> dict[Any, Any]:
    """A further table of a backend, which all drivers on it share."""
    table: dict[Any, Any] = vars(backend).setdefault(f"_kept_{what}", {})
    return table


class HandleFindsHolesBySampling(Backend):
    """Behind an object's handle a block whose first 512 bytes are zero is taken for a hole.

    What stands later in such a block reads as zeroes.
    """

    def object_behind(self, token: str, *, write: bool) -> Content:
        content = super().object_behind(token, write=write)
        content.blocks = {n: data for n, data in content.blocks.items() if any(data[:HEAD_BYTES])}
        return content


@dataclass(slots=True)
class LinkedObject(StoredObject):
    """A copy that is only a link to the object with this id."""

    points_to: str = ""


class CopyOfACopyIsALink(MemoryImageDriver):
    """The copy of a copy is no copy but a link to the one in the middle.

    Where that is deleted, the second copy is gone too.
    """

    def duplicate(self, source: StoredObject, target: str, operation: str) -> StoredObject:
        row = super().duplicate(source, target, operation)
        if source.upload:
            return row
        fields = (row.kind, row.content_type, row.data, row.sha256, row.upload, row.operation)
        return LinkedObject(row.key, row.id, *fields, points_to=source.id)

    def remove(self, store: Store, key: str) -> None:
        gone = store.objects.get(self.row_key(key))
        super().remove(store, key)
        for row in list(store.objects.values()):
            if gone and isinstance(row, LinkedObject) and row.points_to == gone.id:
                self.remove(store, row.key)


class CopyTargetTakenBySize(MemoryImageDriver):
    """A target of the same size, kind and content type is taken for a copy that was made before.

    The copy is acknowledged, and another object's bytes are under its key.
    """

    def alike(self, source: StoredObject, there: StoredObject) -> bool:
        return (source.kind, source.content_type, len(source.data)) == (
            there.kind,
            there.content_type,
            len(there.data),
        )


class CopyOntoItselfEmptiesInRoundEight(MemoryImageDriver):
    """A copy truncates its target before it reads its source, also where both are one object.

    Copying an object onto itself, which the contract answers with that object, empties it.
    """

    async def copy(self, ctx: CallContext, request: requests.CopyObject) -> answers.ObjectInfo:
        info = await super().copy(ctx, request)
        if request.key == request.target:
            self.stored(self.store(), request.key).data = b""
        return info


class ObjectsFencesOfOneProcess(MemoryImageDriver):
    """Each driver keeps the fences it has seen for itself, not in the store.

    A late call through another driver, after a restart too, is carried out: a late delete destroys
    the newer object.
    """

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self._fences = Fences()

    def store(self) -> Store:
        return replace(super().store(), fences=self._fences)


class IdentityCheckedOnce(MemoryImageDriver):
    """Which store the place is, is looked at by the first call only.

    Where another store comes to the place later, its objects are replaced and deleted.
    """

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self._recognized = False

    def store(self) -> Store:
        self.backend.reach()
        there = self.backend.stores.get((self.role, self.namespace))
        if self._recognized and there is not None:
            return there
        found = super().store()
        self._recognized = bool(self.expected.identities)
        return found


class StoreWithoutBytesIsEmpty(MemoryLifeCycle):
    """A store is taken for empty where what is in it occupies no byte.

    One with objects of 0 bytes (or uploads without parts) is deleted instead of being ``InUse``.
    """

    def holders(self, store: Store) -> tuple[str, ...]:
        parts = [part for upload in store.uploads.values() for part in upload.parts.values()]
        contents = [row.data for row in store.objects.values()] + [part.data for part in parts]
        disks = store.volumes or store.snapshots
        return super().holders(store) if disks or any(contents) else ()


class InitializingAgainEndsMaintenanceInRoundEight(MemoryLifeCycle):
    """``initialize`` of the same store again writes its record anew, in service.

    A store in maintenance allocates again, though nobody cancelled that.
    """

    def existing(self, store: Store, request: requests.InitializeStore) -> answers.StoreInfo:
        super().existing(store, request)
        self.set_state(store, StoreState.UP)
        return self.info(store)


class CommonPrefixToldTwice(MemoryImageDriver):
    """The page after one that ended with a common prefix goes on with that prefix's own keys.

    They fold into the same prefix, which is so listed on both pages.
    """

    async def list(self, ctx: CallContext, request: requests.ListObjects) -> answers.ObjectPage:
        last = self._prefix_before(request)
        if not last or request.limit == 1:
            return await super().list(ctx, request)
        fewer = msgspec.structs.replace(request, limit=request.limit - 1)
        page = await super().list(ctx, fewer)
        return msgspec.structs.replace(page, prefixes=(last, *page.prefixes))

    def _prefix_before(self, request: requests.ListObjects) -> str:
        if not request.token:
            return ""
        store = self.store()
        scope = f"{store.id} objects {request.prefix!r} {request.delimiter!r}"
        name = name_in_token(scope, request.token)
        return name if dict(self.names(store, request)).get(name) else ""


class ObjectsListedInUtf16Order(MemoryImageDriver):
    """Keys are sorted by their UTF-16 units, as texts of Java, JavaScript and .NET are.

    A key beyond U+FFFF comes before one of U+E000..U+FFFF, and pages cut there lose keys.
    """

    def names(self, store: Store, request: requests.ListObjects) -> list[tuple[str, bool]]:
        names = super().names(store, request)
        return sorted(names, key=lambda entry: entry[0].encode("utf-16-be"))


class PrefixIsALikePatternInRoundEight(MemoryImageDriver):
    """A prefix goes into an SQL ``LIKE`` without escaping.

    ``_`` in it stands for any character and ``%`` for any text: foreign keys are listed.
    """

    def names(self, store: Store, request: requests.ListObjects) -> list[tuple[str, bool]]:
        wild = {"_": ".", "%": ".*"}
        like = re.compile("".join(wild.get(c, re.escape(c)) for c in request.prefix), re.DOTALL)
        keys = [row.key for row in store.objects.values() if like.match(row.key)]
        foreign = [(key, False) for key in keys if not key.startswith(request.prefix)]
        return sorted([*super().names(store, request), *foreign])


class EnumerationByOffset(MemoryImageDriver):
    """The enumeration reads pages of 4 by their offset in a list that changes meanwhile.

    Where what was told already is deleted during it, things that last are left out.
    """

    async def enumerate(
        self, ctx: CallContext, request: requests.EnumerateOwned
    ) -> AsyncIterator[answers.OwnedThing]:
        offset = 0
        while page := list(self.owned())[offset : offset + ENUMERATED_PAGE]:
            for thing in page:
                yield thing
            offset += len(page)


class AbsentDeletionsCountDown(MemoryImageDriver):
    """The number of objects is a counter, which the deletion of an absent key counts down too.

    From then on the figures tell fewer objects than there are.
    """

    def remove(self, store: Store, key: str) -> None:
        absent = self.row_key(key) not in store.objects
        table = kept(self.backend, "absent")
        table[store.id] = table.get(store.id, 0) + absent
        super().remove(store, key)

    async def stats(self, ctx: CallContext, request: requests.GetStats) -> answers.StatsInfo:
        figures = await super().stats(ctx, request)
        absent: int = kept(self.backend, "absent").get(self.store().id, 0)
        return msgspec.structs.replace(figures, objects=max(0, figures.objects - absent))


class AddressExpiryRoundedDown(MemoryImageDriver):
    """An address ends at a whole second: the time now and the time it has are both rounded down.

    It ends up to two seconds too early; one for less than a second never works.
    """

    def address(self, key: str, expires_s: float) -> str:
        backend = self.backend
        if not backend.origin:
            raise Unavailable(f"memory space {backend.name} serves no addresses", object=key)
        path = backend.address_path(self.namespace, self.row_key(key))
        expires = f"{int(backend.wall_clock()) + int(expires_s)}"
        signature = backend.signature(path, expires)
        return f"{backend.origin}{path}?expires={expires}&signature={signature}"


MUTANTS = (
    blind(HandleFindsHolesBySampling, loses_data=True),
    blind(CopyOfACopyIsALink, loses_data=True),
    blind(CopyTargetTakenBySize, loses_data=True),
    blind(CopyOntoItselfEmptiesInRoundEight, loses_data=True),
    blind(ObjectsFencesOfOneProcess, loses_data=True),
    blind(IdentityCheckedOnce, loses_data=True),
    blind(StoreWithoutBytesIsEmpty, loses_data=True),
    blind(InitializingAgainEndsMaintenanceInRoundEight, loses_data=False),
    blind(CommonPrefixToldTwice, loses_data=False),
    blind(ObjectsListedInUtf16Order, loses_data=False),
    blind(PrefixIsALikePatternInRoundEight, loses_data=False),
    blind(EnumerationByOffset, loses_data=False),
    blind(AbsentDeletionsCountDown, loses_data=False),
    blind(AddressExpiryRoundedDown, loses_data=False),
)
