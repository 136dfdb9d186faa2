"""Objects: manifests of segments, which appear and disappear with one request each."""

import hashlib
import hmac
import math
from collections.abc import AsyncIterator, Sequence
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from holdfast.concurrency.fan_out import several
from holdfast.concurrency.runtime import runtime
from holdfast.contract import answers, requests
from holdfast.contract.errors import Busy, Corrupt, NotFound, OutOfRange, Unknown
from holdfast.contract.handles import HttpHandle
from holdfast_drivers.listing import folded, name_in_token, page_token
from holdfast_drivers.object_server_call import Call
from holdfast_drivers.swift.containers import LIST_MAX, Entry
from holdfast_drivers.swift.names import AFTER_FOLD, FOLD, key_of, name_of
from holdfast_drivers.swift.rows import (
    Damaged,
    ObjectRow,
    UploadRow,
    group_of,
    object_name,
    parts_of,
    row_name_of_group,
)
from holdfast_drivers.swift.store import Store

_INLINE_BYTES: Final = 1 << 20
HANDLE_S: Final = 3600
"""How long the handle of an opened object works."""


class Objects:
    """The objects of one store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    async def find(self, call: Call, key: str) -> ObjectRow | None:
        """What is recorded of an object, or ``None``."""
        head = await self.store.objects.head(call, object_name(key))
        return None if head is None else ObjectRow.of(key, head)

    async def find_damaged(self, call: Call, key: str) -> ObjectRow | Damaged | None:
        """As ``find``; of an object that is damaged, the reason."""
        try:
            return await self.find(call, key)
        except Corrupt as error:
            return Damaged(error.cause)

    async def get_row(self, call: Call, key: str) -> ObjectRow:
        """What is recorded of an object, or ``NotFound``."""
        row = await self.find(call, key)
        if row is None:
            raise _absent(key)
        return row

    async def get(self, call: Call, request: requests.GetObject) -> answers.ObjectData:
        """The bytes of an object or of a range; the digest is checked where all is read."""
        content = await self.store.objects.get(call, object_name(request.key), _span(request))
        if content is None:
            raise _absent(request.key)
        row = ObjectRow.of(request.key, content)
        if request.offset_bytes > row.size_bytes:
            raise OutOfRange(
                f"offset {request.offset_bytes} is past the end at {row.size_bytes}",
                object=row.key,
            )
        if len(content.data) == row.size_bytes:
            sha256 = await sha256_of(content.data)
            if sha256 != row.sha256:
                raise Corrupt("what is stored has another SHA-256", object=row.key)
        data = (
            content.data if request.length_bytes is None else content.data[: request.length_bytes]
        )
        return answers.ObjectData(object=row.info(), offset_bytes=content.offset_bytes, data=data)

    async def open(self, call: Call, request: requests.OpenObject) -> HttpHandle:
        """A handle that reads an object for an hour, without credentials."""
        row = await self.get_row(call, request.key)
        url = await self._signed(call, request.key, HANDLE_S)
        return HttpHandle(url=url, size_bytes=row.size_bytes, ca_file=self.store.config.ca_file)

    async def address(self, call: Call, request: requests.TemporaryUrl) -> answers.UrlInfo:
        """An address by which an object can be read for a while, in whole seconds, of which the
        server keeps count.
        """
        await self.get_row(call, request.key)
        return answers.UrlInfo(url=await self._signed(call, request.key, request.expires_s))

    async def _signed(self, call: Call, key: str, expires_s: float) -> str:
        """An address that reads an object for a while.

        The server lets who has it read this one container, which is why everything that objects
        are joined from is in there, too.
        """
        secret = await self.store.url_key(call)
        session = await self.store.connection.session(call)
        path = self.store.objects.plain_path(object_name(key))
        until = math.ceil(runtime().wall_clock() + expires_s)
        signed = f"GET\n{until}\n{_plain_path(session.url)}/{path}"
        signature = hmac.new(secret.encode(), signed.encode(), hashlib.sha256).hexdigest()
        query = f"temp_url_sig={signature}&temp_url_expires={until}"
        return f"{session.url}/{quote(path, safe='/')}?{query}"

    async def listed(self, call: Call, request: requests.ListObjects) -> answers.ObjectPage:
        """Objects, and prefixes where keys are folded, in byte order."""
        scope = f"{self.store.config.namespace}\0{request.prefix}\0{request.delimiter}"
        after = name_in_token(scope, request.token) if request.token else ""
        names = [
            name
            async for name in self._names(call, request, after, min(request.limit + 1, LIST_MAX))
        ]
        more = len(names) > request.limit
        page = names[: request.limit]
        keys = [name for name, folded in page if not folded]
        rows = await several(keys, lambda key: self.find_damaged(call, key))
        return answers.ObjectPage(
            items=tuple(row.info() for row in rows if isinstance(row, ObjectRow)),
            prefixes=tuple(name for name, folded in page if folded),
            token=page_token(scope, page[-1][0]) if more else "",
        )

    async def _names(
        self, call: Call, request: requests.ListObjects, after: str, limit: int
    ) -> AsyncIterator[tuple[str, bool]]:
        """Keys and common prefixes after a name, ``limit`` at most, each with whether it is one."""
        mark = _mark(after, request)
        fold = FOLD if request.delimiter == "/" else ""
        last, count = after, 0
        while count < limit:
            page = await self.store.objects.page(
                call, prefix=name_of(request.prefix), after=mark, limit=limit, fold=fold
            )
            if page is None:
                raise self.store.absent()
            for entry in page:
                name, folded = _folded(entry, request)
                if count < limit and name and name != last:
                    last, count = name, count + 1
                    yield name, folded
            if len(page) < limit:
                return
            mark = _after(page[-1])

    async def delete(self, call: Call, key: str) -> answers.Gone:
        """Delete an object and everything it was made of."""
        entry = await self.find_damaged(call, key)
        row = entry if isinstance(entry, ObjectRow) else None
        if entry is None:
            await self.store.row(call)  # absent only where the store is there to say so
        # Even where none is found: a list that still shows it is put right by that.
        try:
            await self.store.objects.delete(call, object_name(key))
        except (Busy, Unknown):
            # Of two who delete one at once Swift tells one that it failed, as in ``_removed``.
            if await self.store.objects.head(call, object_name(key)) is not None:
                raise
        await self.sweep(call, await self.leftovers(call, key, row.ended_by_it if row else ()))
        return answers.Gone(key=key)

    async def leftovers(self, call: Call, key: str, ended: Sequence[str] = ()) -> list[str]:
        """What is stored for a key and belongs neither to an open upload nor to its object.

        ``ended`` are groups of which it is known that each was an object and was deleted or
        replaced, whatever their rows say.
        """
        entries = await self.store.segments.all(call, parts_of(key))
        if entries is None:
            raise call.failed(self.store.absent())
        return await self.sift(call, key, entries, ended)

    async def sift(
        self, call: Call, key: str, entries: Sequence[Entry], ended: Sequence[str] = ()
    ) -> list[str]:
        """As ``leftovers``, from a list of everything that is stored for a key."""
        dead: set[str] = set()
        rows: dict[str, str] = {}
        for group in dict.fromkeys((*ended, *(group_of(entry.name) for entry in entries))):
            row = await self._row_of(call, group)
            if row is None or row.done or group in ended:
                dead.add(group)
            if row is not None:
                rows[group] = row.name
        # What the object is made of now is asked last. A row says done only after its group became
        # the object, which it does once: what is done and not the object now never is it again.
        # The lists are from before, and other calls may have completed since then.
        there = await self.find(call, key) if dead else None
        if there is not None:
            dead.discard(there.group)
        names = [name for group, name in rows.items() if group in dead]
        return names + [entry.name for entry in entries if group_of(entry.name) in dead]

    async def _row_of(self, call: Call, group: str) -> UploadRow | None:
        """The row of the upload to which a group of parts belongs, or ``None``."""
        head = await self.store.segments.head(call, row_name_of_group(group))
        row = None if head is None else UploadRow.of(head)
        return row if row is not None and row.group == group else None

    async def sweep(self, call: Call, names: Sequence[str]) -> None:
        """Remove rows, and then parts: what stays of a lost call is found by its parts."""
        for name in names:
            if name.startswith("u/"):
                await self._removed(call, [name])
        parts = [name for name in names if not name.startswith("u/")]
        if parts:
            await self._removed(call, parts)

    async def _removed(self, call: Call, names: Sequence[str]) -> None:
        """Remove names. Of two who remove one at once Swift tells one that it failed (503), though
        it is gone then: that is asked.
        """
        try:
            await self.store.segments.delete_all(call, names)
        except (Busy, Unknown):
            heads = await several(names, lambda name: self.store.segments.head(call, name))
            if any(one is not None for one in heads):
                raise


async def sha256_of(data: bytes) -> str:
    """The SHA-256 of bytes; of many of them beside the loop."""
    if len(data) <= _INLINE_BYTES:
        return hashlib.sha256(data).hexdigest()
    return await runtime().run_blocking(lambda: hashlib.sha256(data).hexdigest())


def _absent(key: str) -> NotFound:
    return NotFound("there is no object under this key", object=key)


def _span(request: requests.GetObject) -> str:
    """A range as HTTP says it; empty for the whole."""
    offset, length = request.offset_bytes, request.length_bytes
    if offset < 0:
        return str(offset)
    if offset == 0 and length is None:
        return ""
    return f"{offset}-" if length is None else f"{offset}-{offset + length - 1}"


def _plain_path(url: str) -> str:
    return unquote(urlsplit(url).path)


def _mark(after: str, request: requests.ListObjects) -> str:
    """Where a list goes on after a key, or after everything under a common prefix."""
    if not after:
        return ""
    delimiter = request.delimiter
    if delimiter == "/" and after.endswith("/") and len(after) > len(request.prefix):
        return f"{name_of(after)[: -len(FOLD)]}{AFTER_FOLD}"
    return name_of(after)


def _after(entry: Entry) -> str:
    return f"{entry.name[: -len(FOLD)]}{AFTER_FOLD}" if entry.folded else entry.name


def _folded(entry: Entry, request: requests.ListObjects) -> tuple[str, bool]:
    """A listed name as a key or as a common prefix; empty for what is no key's name."""
    key = key_of(entry.name)
    if key is None or entry.folded:
        return key or "", entry.folded
    return folded(key, request)
