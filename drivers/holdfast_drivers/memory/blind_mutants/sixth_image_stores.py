"""Blind defects of the sixth round: lists, figures and the life of stores."""

import asyncio
import hashlib
import hmac
from collections import deque
from collections.abc import Iterator

from holdfast.concurrency.runtime import runtime
from holdfast.contract import answers, requests
from holdfast.contract.answers import StoreState
from holdfast.contract.errors import Denied
from holdfast.contract.identity import check_initialized
from holdfast.contract.requests import CallContext
from holdfast_drivers.listing import name_in_token, page_of, page_token
from holdfast_drivers.memory.backend import Backend, Store, StoredObject, Upload
from holdfast_drivers.memory.content import Content
from holdfast_drivers.memory.fences import Fenced
from holdfast_drivers.memory.image_driver import MemoryImageDriver
from holdfast_drivers.memory.lifecycle import MemoryLifeCycle
from holdfast_drivers.memory.mutants.planted import blind


class CopyLooksAtItsTargetFirst(MemoryImageDriver):
    """A copy looks whether its target is free and then writes it without a condition, so that it
    replaces an object which somebody else put there in between.
    """

    async def copy(self, ctx: CallContext, request: requests.CopyObject) -> answers.ObjectInfo:
        store = self.allocating_store()
        store.fences.enter(Fenced.OBJECT, request.target, ctx.fence)
        store.fences.compare(Fenced.OBJECT, request.key, ctx.fence)
        source = self.stored(store, request.key)
        there = store.objects.get(self.row_key(request.target))
        if there is not None:
            self.check_target(source, there)
            return self.info(there)
        row = self.duplicate(source, request.target, ctx.operation)
        await asyncio.sleep(0)
        store.objects[self.row_key(request.target)] = row
        return self.info(row)


class CopyMeasuresFirst(MemoryImageDriver):
    """A copy asks for the size of its source and then fetches so many bytes by key, so that of a
    source that is replaced in between by a larger object the copy gets only the beginning.
    """

    async def copy(self, ctx: CallContext, request: requests.CopyObject) -> answers.ObjectInfo:
        store = self.store()
        was_there = self.row_key(request.target) in store.objects
        answer = await super().copy(ctx, request)
        if was_there:
            return answer
        await asyncio.sleep(0)
        source = store.objects.get(self.row_key(request.key))
        row = store.objects.get(self.row_key(request.target))
        if source is None or row is None or row.id != answer.id:
            return answer
        row.data = source.data[: answer.size_bytes]
        row.sha256 = row.true_sha256()
        return self.info(row)


class RefusedCopyLeavesItsUpload(MemoryImageDriver):
    """A copy is an upload of parts inside the server, which is opened before the target is looked
    at, and nobody aborts it when the copy is refused.
    """

    async def copy(self, ctx: CallContext, request: requests.CopyObject) -> answers.ObjectInfo:
        store = self.store()
        source = self.stored(store, request.key)
        name = runtime().new_id("copy")
        upload = Upload(name, name, request.target, source.kind, source.content_type, ctx.operation)
        store.uploads[name] = upload
        answer = await super().copy(ctx, request)
        del store.uploads[name]
        return answer


class PrefixOnEveryPage(MemoryImageDriver):
    """Pages are cut before keys are folded at the delimiter, so that a common prefix whose keys are
    on several pages is listed on each of them.
    """

    async def list(self, ctx: CallContext, request: requests.ListObjects) -> answers.ObjectPage:
        store = self.store()
        keys = sorted(row.key for row in store.objects.values())
        keys = [key for key in keys if key.startswith(request.prefix)]
        scope = f"{store.id} raw {request.prefix!r} {request.delimiter!r}"
        page = page_of(keys, scope, token=request.token, limit=request.limit)
        named = dict(self.folded(key, request) for key in page.names)
        return answers.ObjectPage(
            items=tuple(self.info(self.stored(store, name)) for name in named if not named[name]),
            prefixes=tuple(name for name in named if named[name]),
            token=page.token,
        )


class TokenIsAnOffset(MemoryImageDriver):
    """The token of the next page is the number of names before it, so that an object is skipped
    where one of an earlier page was deleted since, and listed twice where one was added.
    """

    async def list(self, ctx: CallContext, request: requests.ListObjects) -> answers.ObjectPage:
        store = self.store()
        names = self.names(store, request)
        scope = f"{store.id} offsets {request.prefix!r} {request.delimiter!r}"
        start = int(name_in_token(scope, request.token)) if request.token else 0
        end = start + request.limit
        page = names[start:end]
        return answers.ObjectPage(
            items=tuple(self.info(self.stored(store, name)) for name, folded in page if not folded),
            prefixes=tuple(name for name, folded in page if folded),
            token=page_token(scope, str(end)) if end < len(names) else "",
        )


class HandleFindsTheKeyAnywhere(Backend):
    """The handle of an object is resolved by the key alone, in whichever store has one, so that of
    two stores with the same key the second's handles give the bytes of the first.
    """

    def object_behind(self, token: str, *, write: bool) -> Content:
        _, _, key = token.split(":", 2)
        self.reach()
        if write:
            raise Denied("an object in an image store is read-only", object=key)
        for store in self.stores.values():
            stored = store.objects.get(key)
            if stored is not None:
                content = Content(len(stored.data))
                content.write(0, stored.data)
                return content
        raise Denied("the object of this handle is gone", object=key)


class SignatureLeavesTheKeyOut(Backend):
    """What is signed of a temporary address is its container and its end, not the object's key, so
    that an address of one object opens every other of the store.
    """

    def signature(self, path: str, expires: str) -> str:
        return super().signature(path.split("/", 2)[1], expires)


class AddressKeysAreTwo(Backend):
    """Each temporary address is signed with a new key and the account keeps two of them (as Swift
    does: ``Temp-URL-Key`` and ``Temp-URL-Key-2``), so that the third address ends the first.
    """

    def __init__(self, name: str, token: str) -> None:
        super().__init__(name, token)
        self._keys: deque[str] = deque(maxlen=2)

    def signature(self, path: str, expires: str) -> str:
        self._keys.append(runtime().new_id("key"))
        return _signed(self._keys[-1], path, expires)

    def admits(self, method: str, path: str, expires: str, signature: str) -> bool:
        right = [_signed(key, path, expires) for key in self._keys]
        if method != "GET" or not any(hmac.compare_digest(signature, one) for one in right):
            return False
        return not self.expired(expires)


def _signed(key: str, path: str, expires: str) -> str:
    return hmac.new(key.encode(), f"{path}\n{expires}".encode(), hashlib.sha256).hexdigest()


class ProbeTrustsTheSize(MemoryImageDriver):
    """What became of a completion is told from the object under the key: one of the expected size
    is taken for the completed one, although it was there before.
    """

    async def probe(
        self, ctx: CallContext, verb: str, request: requests.Request
    ) -> answers.ProbeResult:
        answer = await super().probe(ctx, verb, request)
        if isinstance(answer, answers.Absent) and isinstance(request, requests.CompleteUpload):
            store = self.store()
            upload = store.uploads.get(request.upload)
            there = store.objects.get(upload.key) if upload else None
            if there is not None and len(there.data) == request.size_bytes:
                return answers.Done(answer=self.info(there))
        return answer


class UsedCountsTheReplaced(MemoryImageDriver):
    """The used bytes are a running count to which a completion adds its object without taking off
    the one that it replaces.
    """

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self._replaced_bytes = 0

    def publish(self, store: Store, upload: Upload, stored: StoredObject) -> None:
        before = store.objects.get(self.row_key(stored.key))
        self._replaced_bytes += len(before.data) if before else 0
        super().publish(store, upload, stored)

    def used_bytes(self, store: Store) -> int:
        return super().used_bytes(store) + self._replaced_bytes


class HealthIsRemembered(MemoryImageDriver):
    """A driver that once saw its store up goes on saying so, since it asks the server only as long
    as it has no connection.
    """

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self._connected: answers.HealthInfo | None = None

    async def health(self, ctx: CallContext, request: requests.CheckHealth) -> answers.HealthInfo:
        if self._connected is None:
            found = await super().health(ctx, request)
            if found.state is not answers.HealthState.UP:
                return found
            self._connected = found
        return self._connected


class UploadsAreKnownByTheirParts(MemoryImageDriver):
    """What is unfinished is enumerated from the list of parts, so that an upload that was opened
    and has no part yet is missing.
    """

    def owned(self) -> Iterator[answers.OwnedThing]:
        for thing in super().owned():
            if not (thing.unfinished and thing.size_bytes == 0):
                yield thing


class StoreGoesWithItsNamesakes(MemoryLifeCycle):
    """A store is given back by deleting everything whose name begins with its namespace, without a
    slash at the end, so that the store ``backup`` takes ``backup2`` with it.
    """

    def remove(self, backend: Backend) -> None:
        for role, namespace in list(backend.stores):
            if role is self.role and namespace.startswith(self.config.namespace):
                del backend.stores[role, namespace]


class AttachWritesTheRecordAnew(MemoryLifeCycle):
    """Attaching a host writes the store's record anew from what the driver knows, with the state it
    has by default, and so ends maintenance.
    """

    async def attach(self, ctx: CallContext, request: requests.AttachHost) -> answers.StoreInfo:
        await super().attach(ctx, request)
        store = self.store(self.backend())
        self.set_state(store, StoreState.UP)
        return self.info(store)


class InitializeTakesOver(MemoryLifeCycle):
    """Initializing a place that is a store of the same name already compares the name alone and
    writes the new identity over the one that was there.
    """

    def existing(self, store: Store, request: requests.InitializeStore) -> answers.StoreInfo:
        check_initialized(store.info(), name=request.name, identity=store.identity)
        store.identity = request.identity or store.identity
        return self.info(store)


MUTANTS = (
    blind(CopyLooksAtItsTargetFirst, loses_data=True),
    blind(CopyMeasuresFirst, loses_data=True),
    blind(RefusedCopyLeavesItsUpload, loses_data=False),
    blind(PrefixOnEveryPage, loses_data=False),
    blind(TokenIsAnOffset, loses_data=False),
    blind(HandleFindsTheKeyAnywhere, loses_data=True),
    blind(SignatureLeavesTheKeyOut, loses_data=True),
    blind(AddressKeysAreTwo, loses_data=False),
    blind(ProbeTrustsTheSize, loses_data=False),
    blind(UsedCountsTheReplaced, loses_data=False),
    blind(HealthIsRemembered, loses_data=False),
    blind(UploadsAreKnownByTheirParts, loses_data=False),
    blind(StoreGoesWithItsNamesakes, loses_data=True),
    blind(AttachWritesTheRecordAnew, loses_data=False),
    blind(InitializeTakesOver, loses_data=False),
)
