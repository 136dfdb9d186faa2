"""Blind defects of objects, copies and lists."""

import asyncio
import re
from bisect import bisect_left
from urllib.parse import unquote_plus

import msgspec

from holdfast.concurrency.runtime import runtime
from holdfast.contract import answers, requests
from holdfast.contract.errors import Invalid
from holdfast.contract.handles import ExtentHandle
from holdfast.contract.requests import CallContext
from holdfast.data import BlockIO
from holdfast_drivers.memory.backend import (
    Backend,
    MemoryBlockIO,
    Store,
    StoredObject,
    Upload,
)
from holdfast_drivers.memory.blind_mutants.uploads import KIB, OwnTokens, beside
from holdfast_drivers.memory.image_driver import MemoryImageDriver
from holdfast_drivers.memory.mutants.planted import blind


class SuffixRangeIgnoresLength(MemoryImageDriver):
    """A range with a negative offset is sent as ``bytes=-n`` and its length forgotten, so what
    follows the asked bytes comes with them.
    """

    def cut(self, data: bytes, offset_bytes: int, length_bytes: int | None) -> tuple[int, bytes]:
        return super().cut(data, offset_bytes, None if offset_bytes < 0 else length_bytes)


class ReadCacheTrustsEqualSize(MemoryImageDriver):
    """A driver keeps what it read and takes it for current while key and size are the same, so it
    gives the older bytes after another driver replaced the object by one as large.
    """

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self._read: dict[str, bytes] = {}

    def publish(self, store: Store, upload: Upload, stored: StoredObject) -> None:
        self._read.pop(stored.key, None)
        super().publish(store, upload, stored)

    async def get(self, ctx: CallContext, request: requests.GetObject) -> answers.ObjectData:
        answer = await super().get(ctx, request)
        current = self.stored(self.store(), request.key).data
        kept = self._read.setdefault(request.key, current)
        if len(kept) != len(current):
            kept = self._read[request.key] = current
        start, data = self.cut(kept, request.offset_bytes, request.length_bytes)
        return msgspec.structs.replace(answer, offset_bytes=start, data=data)


class GetTornByReplacement(MemoryImageDriver):
    """Get asks for the object's info and then for its bytes by key, so a replacement between the
    two gives the old object's info with the new object's bytes.
    """

    async def get(self, ctx: CallContext, request: requests.GetObject) -> answers.ObjectData:
        before = self.info(self.stored(self.store(), request.key))
        await asyncio.sleep(0)
        answer = await super().get(ctx, request)
        return msgspec.structs.replace(answer, object=before)


class HandleReadsZeroesPastOneRequest(Backend):
    """A read through an object's handle of more than 64 KiB at once is answered by one request of
    64 KiB, and the rest of the buffer stays zeroes (C2 40).
    """

    def block_io(self, handle: ExtentHandle) -> BlockIO:
        right = super().block_io(handle)
        if not handle.token.startswith("object:"):
            return right

        class OneRequest(MemoryBlockIO):
            async def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
                data = await super().read_at(offset_bytes, length_bytes)
                return data[: 64 * KIB].ljust(length_bytes, b"\0")

        return OneRequest(handle.token, self.object_behind, size_bytes=right.size_bytes)


class ContentTypeParametersLost(MemoryImageDriver):
    """The content type is reported without its parameters, such as ``; charset=utf-8``."""

    def info(self, stored: StoredObject) -> answers.ObjectInfo:
        info = super().info(stored)
        bare = info.content_type.partition(";")[0].strip()
        return msgspec.structs.replace(info, content_type=bare)


class RepeatedSlashesCollapsed(MemoryImageDriver):
    """A proxy normalises the path, so ``a//b`` and ``a/b`` are one object: the later upload
    replaces the other key's object, and a delete of one deletes both (C2 35).
    """

    def row_key(self, key: str) -> str:
        return re.sub("/+", "/", key)


class CopySharesPartsOfItsSource(MemoryImageDriver):
    """Copying an object of several parts copies its manifest only, so deleting the source removes
    the parts from under the copy; objects of one part are copied rightly (C2 17, 18).
    """

    def publish(self, store: Store, upload: Upload, stored: StoredObject) -> None:
        if len(upload.parts) > 1:
            beside(self.backend, "manifests")[stored.id] = stored.id
        super().publish(store, upload, stored)

    def duplicate(self, source: StoredObject, target: str, operation: str) -> StoredObject:
        row = super().duplicate(source, target, operation)
        manifests = beside(self.backend, "manifests")
        if source.id in manifests:
            manifests[row.id] = manifests[source.id]
        return row

    def remove(self, store: Store, key: str) -> None:
        gone = store.objects.get(key)
        super().remove(store, key)
        manifests = beside(self.backend, "manifests")
        for row in store.objects.values():
            if gone is not None and manifests.get(row.id) == gone.id:
                row.data = b""


class CopySourceIsUrlDecoded(MemoryImageDriver):
    """The source of a copy goes unquoted into a header that the backend decodes, so a copy of
    ``a+b`` copies ``a b``, where that exists too, and answers with success.
    """

    async def copy(self, ctx: CallContext, request: requests.CopyObject) -> answers.ObjectInfo:
        decoded = msgspec.structs.replace(request, key=unquote_plus(request.key))
        return await super().copy(ctx, decoded)


class TokenSkipsWhereLastKeyWasDeleted(OwnTokens):
    """The next page begins one after the place of the last name of the page before, so a name is
    skipped where that one was deleted in between (C2 41).
    """

    def rest(self, names: list[str], last: str, request: requests.ListObjects) -> list[str]:
        return names[bisect_left(names, last) + 1 :]


class PrefixRepeatedOnNextPage(OwnTokens):
    """Where a page of several ends in a common prefix, the next page begins with the keys below it
    and shows that prefix a second time (C2 41).
    """

    def rest(self, names: list[str], last: str, request: requests.ListObjects) -> list[str]:
        rest = super().rest(names, last, request)
        again = bool(request.delimiter) and last.endswith(request.delimiter) and request.limit > 1
        return [last, *rest] if again and last in names else rest


class TokenDiesWithItsDriver(MemoryImageDriver):
    """Page tokens are cursors that the driver keeps in its memory, so another driver, or the same
    store reopened, takes a token that was issued for one never issued (C2 41).
    """

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self._cursors: dict[str, str] = {}

    async def list(self, ctx: CallContext, request: requests.ListObjects) -> answers.ObjectPage:
        token = self._cursors.get(request.token, "")
        if request.token and not token:
            raise Invalid("there is no such cursor")
        page = await super().list(ctx, msgspec.structs.replace(request, token=token))
        if not page.token:
            return page
        cursor = runtime().new_id("cursor")
        self._cursors[cursor] = page.token
        return msgspec.structs.replace(page, token=cursor)


class ListInUtf16Order(MemoryImageDriver):
    """Keys are listed in the order of UTF-16 code units, which puts those outside the basic plane
    before U+E000 to U+FFFF.
    """

    def names(self, store: Store, request: requests.ListObjects) -> list[tuple[str, bool]]:
        return sorted(super().names(store, request), key=lambda item: item[0].encode("utf-16-be"))


MUTANTS = (
    blind(SuffixRangeIgnoresLength, loses_data=False),
    blind(ReadCacheTrustsEqualSize, loses_data=True),
    blind(GetTornByReplacement, loses_data=True),
    blind(HandleReadsZeroesPastOneRequest, loses_data=True),
    blind(ContentTypeParametersLost, loses_data=False),
    blind(RepeatedSlashesCollapsed, loses_data=True),
    blind(CopySharesPartsOfItsSource, loses_data=True),
    blind(CopySourceIsUrlDecoded, loses_data=True),
    blind(TokenSkipsWhereLastKeyWasDeleted, loses_data=False),
    blind(PrefixRepeatedOnNextPage, loses_data=False),
    blind(TokenDiesWithItsDriver, loses_data=False),
    blind(ListInUtf16Order, loses_data=False),
)
