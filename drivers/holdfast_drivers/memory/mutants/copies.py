"""Defects in copies of objects: what is in them, what they depend on, what they replace."""

import hashlib

from holdfast.contract import answers, requests
from holdfast.contract.answers import StoreState
from holdfast.contract.capabilities import ObjectKind
from holdfast.contract.errors import Conflict
from holdfast.contract.requests import CallContext
from holdfast_drivers.memory.backend import Store, StoredObject, Upload
from holdfast_drivers.memory.image_driver import MemoryImageDriver
from holdfast_drivers.memory.mutants.planted import planted


class CopyLosesItsLastByte(MemoryImageDriver):
    """A copy ends one byte early."""

    def duplicate(self, source: StoredObject, target: str, operation: str) -> StoredObject:
        row = super().duplicate(source, target, operation)
        row.data = row.data[:-1]
        row.sha256 = row.true_sha256()
        return row


class CopyIsATemplate(MemoryImageDriver):
    """A copy is a template, whatever its source is."""

    def duplicate(self, source: StoredObject, target: str, operation: str) -> StoredObject:
        row = super().duplicate(source, target, operation)
        row.kind = ObjectKind.TEMPLATE
        return row


class CopySharesItsBytes(MemoryImageDriver):
    """A copy is another name of the same segments, and goes with its source."""

    def duplicate(self, source: StoredObject, target: str, operation: str) -> StoredObject:
        row = super().duplicate(source, target, operation)
        row.upload = f"shares {source.id}"
        return row

    def remove(self, store: Store, key: str) -> None:
        entry = store.objects.get(key)
        super().remove(store, key)
        sharing = [row for row in store.objects.values() if entry and row.upload.endswith(entry.id)]
        for row in sharing:
            super().remove(store, row.key)


class CopyFollowsItsSource(CopySharesItsBytes):
    """A copy shows what its source's key was given since."""

    def remove(self, store: Store, key: str) -> None:
        MemoryImageDriver.remove(self, store, key)

    def publish(self, store: Store, upload: Upload, stored: StoredObject) -> None:
        replaced = store.objects.get(upload.key)
        super().publish(store, upload, stored)
        for row in store.objects.values():
            if replaced and row.upload == f"shares {replaced.id}":
                row.data, row.sha256 = stored.data, stored.sha256


class CopyOverwritesTheTarget(MemoryImageDriver):
    """A copy replaces whatever is under its key."""

    def check_target(self, source: StoredObject, there: StoredObject) -> None:
        there.kind, there.content_type = source.kind, source.content_type
        there.data, there.sha256 = source.data, source.sha256


class CopyOfTheAbsentIsEmpty(MemoryImageDriver):
    """A copy of what is not there is an object of 0 bytes."""

    async def copy(self, ctx: CallContext, request: requests.CopyObject) -> answers.ObjectInfo:
        store = self.store()
        if request.key not in store.objects and request.target not in store.objects:
            digest, kind = hashlib.sha256(b"").hexdigest(), ObjectKind.TEMPLATE
            empty = StoredObject(request.key, "", kind, "text/plain", b"", digest, "", "")
            store.objects[request.target] = self.duplicate(empty, request.target, ctx.operation)
            return self.info(store.objects[request.target])
        return await super().copy(ctx, request)


class CopyIgnoresMaintenance(MemoryImageDriver):
    """A store in maintenance takes copies in."""

    async def copy(self, ctx: CallContext, request: requests.CopyObject) -> answers.ObjectInfo:
        store = self.store()
        state, store.state = store.state, StoreState.UP
        try:
            return await super().copy(ctx, request)
        finally:
            store.state = state


class CopyAgainFails(MemoryImageDriver):
    """Copying again is refused: the target is taken, if only by the copy itself."""

    def check_target(self, source: StoredObject, there: StoredObject) -> None:
        raise Conflict("the target's key is taken", object=there.key)


MUTANTS = (
    planted("CPY-01", CopyLosesItsLastByte),
    planted("CPY-01", CopyIsATemplate),
    planted("CPY-01", CopySharesItsBytes),
    planted("CPY-01", CopyFollowsItsSource),
    planted("CPY-02", CopyOverwritesTheTarget),
    planted("CPY-02", CopyOfTheAbsentIsEmpty),
    planted("CPY-02", CopyIgnoresMaintenance),
    planted("IDM-01", CopyAgainFails),
)
