"""Blind defects of the second round: lists, addresses, figures and probes."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace

import msgspec

from holdfast.contract import answers, requests
from holdfast.contract.answers import OwnedKind, StoreState
from holdfast.contract.capabilities import ObjectKind
from holdfast.contract.errors import Invalid
from holdfast.contract.requests import CallContext, Role
from holdfast_drivers.listing import page_of
from holdfast_drivers.memory.backend import Backend, Part, Store, StoredObject, Upload
from holdfast_drivers.memory.config import IMAGE_CAPABILITIES
from holdfast_drivers.memory.image_driver import MemoryImageDriver
from holdfast_drivers.memory.lifecycle import MemoryLifeCycle
from holdfast_drivers.memory.mutants.planted import blind

STRIPE_BYTES = 64 * 1024


class ProbeTakesOldObjectForCompleted(MemoryImageDriver):
    """Probing a complete looks under the object's key: what an earlier upload left there counts as
    done.
    """

    async def probe(
        self, ctx: CallContext, verb: str, request: requests.Request
    ) -> answers.ProbeResult:
        result = await super().probe(ctx, verb, request)
        if isinstance(result, answers.Absent) and isinstance(request, requests.CompleteUpload):
            store = self.store()
            upload = store.uploads.get(request.upload)
            there = store.objects.get(upload.key) if upload is not None else None
            if there is not None:
                return answers.Done(answer=self.info(there))
        return result


class ListTokenCountsPositions(MemoryImageDriver):
    """A page token is a position in the list, so that a deletion between two pages makes the next
    one skip a key.
    """

    async def list(self, ctx: CallContext, request: requests.ListObjects) -> answers.ObjectPage:
        at = request.token.removeprefix("at-") or "0"
        if (request.token and not request.token.startswith("at-")) or not at.isdecimal():
            raise Invalid("this page token was never issued")
        store = self.store()
        end = int(at) + min(request.limit, IMAGE_CAPABILITIES.list.page_max)
        names = self.names(store, request)
        page = names[int(at) : end]
        return answers.ObjectPage(
            items=tuple(self.info(self.stored(store, name)) for name, folded in page if not folded),
            prefixes=tuple(name for name, folded in page if folded),
            token=f"at-{end}" if end < len(names) else "",
        )


class FoldedPrefixRepeatedOnNextPage(MemoryImageDriver):
    """Pages are cut before keys are folded, so a common prefix whose keys span two pages is listed
    on both.
    """

    async def list(self, ctx: CallContext, request: requests.ListObjects) -> answers.ObjectPage:
        store = self.store()
        keys = sorted(row.key for row in store.objects.values())
        matching = [key for key in keys if key.startswith(request.prefix)]
        scope = f"{store.id} raw {request.prefix!r} {request.delimiter!r}"
        limit = min(request.limit, IMAGE_CAPABILITIES.list.page_max)
        page = page_of(matching, scope, token=request.token, limit=limit)
        named = dict(self.folded(key, request) for key in page.names)
        return answers.ObjectPage(
            items=tuple(
                self.info(self.stored(store, name)) for name, folded in named.items() if not folded
            ),
            prefixes=tuple(name for name, folded in named.items() if folded),
            token=page.token,
        )


class AddressEndedByNextAddress(Backend):
    """Making another temporary address of an object ends the ones that were made of it before."""

    def __init__(self, name: str, token: str) -> None:
        super().__init__(name, token)
        self.made: dict[str, int] = {}

    def address_path(self, namespace: str, key: str) -> str:
        path = super().address_path(namespace, key)
        self.made[path] = self.made.get(path, 0) + 1
        return path

    def signature(self, path: str, expires: str) -> str:
        return super().signature(path, f"{expires}#{self.made.get(path, 0)}")


class HealthLeavesTestObject(MemoryImageDriver):
    """The health check writes a small object to see whether the store takes it, and leaves it
    there.
    """

    async def health(self, ctx: CallContext, request: requests.CheckHealth) -> answers.HealthInfo:
        found = await super().health(ctx, request)
        store = self.backend.stores.get((self.role, self.namespace))
        if found.state is answers.HealthState.UP and store is not None:
            data = b"write test"
            digest = hashlib.sha256(data).hexdigest()
            kind, media = ObjectKind.VOLUME, "text/plain"
            store.objects[".write-test"] = StoredObject(
                ".write-test", "object-write-test", kind, media, data, digest, "", ctx.operation
            )
        return found


class UsedDriftsBelowZero(MemoryImageDriver):
    """Used space is a counter from which a repeated delete of an absent object takes the object's
    size again.
    """

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self.sizes: dict[str, int] = {}
        self.drift = 0

    def remove(self, store: Store, key: str) -> None:
        row = store.objects.get(key)
        if row is None:
            self.drift += self.sizes.get(key, 0)
        else:
            self.sizes[key] = len(row.data)
        super().remove(store, key)

    def used_bytes(self, store: Store) -> int:
        return super().used_bytes(store) - self.drift


class EnumerateHidesUploadsOverObjects(MemoryImageDriver):
    """Enumerating goes by object key: an open upload for a key that has an object already is left
    out.
    """

    def owned(self) -> Iterator[answers.OwnedThing]:
        store = self.backend.stores.get((Role.IMAGE, self.namespace))
        for thing in super().owned():
            upload = store.uploads.get(thing.key) if store is not None else None
            hidden = store is not None and upload is not None and upload.key in store.objects
            if thing.kind is not OwnedKind.UPLOAD or not hidden:
                yield thing


class ObjectIdDerivedFromKey(MemoryImageDriver):
    """An object's id is a digest of its key, so that what replaces or follows an object has the
    same id again.
    """

    def publish(self, store: Store, upload: Upload, stored: StoredObject) -> None:
        stored.id = f"object-{hashlib.sha256(stored.key.encode()).hexdigest()[:16]}"
        super().publish(store, upload, stored)


class DigestOfPartDigestsReported(MemoryImageDriver):
    """Of an object larger than one part the reported SHA-256 is that of its parts' digests, not of
    its content.
    """

    def info(self, stored: StoredObject) -> answers.ObjectInfo:
        found = super().info(stored)
        if len(stored.data) <= STRIPE_BYTES:
            return found
        pieces = range(0, len(stored.data), STRIPE_BYTES)
        digests = (hashlib.sha256(stored.data[at : at + STRIPE_BYTES]).digest() for at in pieces)
        digest = hashlib.sha256(b"".join(digests)).hexdigest()
        return msgspec.structs.replace(found, sha256=digest)


class PartRevivesAbortedUpload(MemoryImageDriver):
    """A part sent to an upload that was aborted opens it again instead of being refused as
    ``NotFound``.
    """

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self.aborted: dict[str, Upload] = {}

    async def abort_upload(self, ctx: CallContext, request: requests.AbortUpload) -> answers.Gone:
        upload = self.store().uploads.get(request.upload)
        if upload is not None:
            self.aborted[request.upload] = replace(upload, parts=dict[int, Part]())
        return await super().abort_upload(ctx, request)

    async def upload_part(self, ctx: CallContext, request: requests.UploadPart) -> answers.PartInfo:
        store = self.store()
        if request.upload not in store.uploads and request.upload in self.aborted:
            store.uploads[request.upload] = self.aborted.pop(request.upload)
        return await super().upload_part(ctx, request)


class SuffixReadReportsOffsetZero(MemoryImageDriver):
    """A read from the end gives the right bytes and says that they start at offset 0."""

    def cut(self, data: bytes, offset_bytes: int, length_bytes: int | None) -> tuple[int, bytes]:
        start, piece = super().cut(data, offset_bytes, length_bytes)
        return (0 if offset_bytes < 0 else start), piece


class AttachEndsMaintenanceToo(MemoryLifeCycle):
    """Attaching a host puts a store that is in maintenance back into service."""

    async def attach(self, ctx: CallContext, request: requests.AttachHost) -> answers.StoreInfo:
        await super().attach(ctx, request)
        store = self.store(self.backend())
        self.set_state(store, StoreState.UP)
        return self.info(store)


MUTANTS = (
    blind(ProbeTakesOldObjectForCompleted, loses_data=False),
    blind(ListTokenCountsPositions, loses_data=False),
    blind(FoldedPrefixRepeatedOnNextPage, loses_data=False),
    blind(AddressEndedByNextAddress, loses_data=False),
    blind(HealthLeavesTestObject, loses_data=False),
    blind(UsedDriftsBelowZero, loses_data=False),
    blind(EnumerateHidesUploadsOverObjects, loses_data=False),
    blind(ObjectIdDerivedFromKey, loses_data=False),
    blind(DigestOfPartDigestsReported, loses_data=False),
    blind(PartRevivesAbortedUpload, loses_data=False),
    blind(SuffixReadReportsOffsetZero, loses_data=False),
    blind(AttachEndsMaintenanceToo, loses_data=False),
)
