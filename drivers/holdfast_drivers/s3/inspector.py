"""Reads the bucket as its administrator would: with other credentials, directly at the server.

Nothing here is imported from the driver but its configuration; what it knows of the layout is
written in the driver's README.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final
from urllib.parse import unquote

from holdfast.concurrency.runtime import runtime
from holdfast.contract.answers import OwnedKind
from holdfast.contract.testbed import Inspected, Inspector, Inventory
from holdfast_drivers.inspection.inventories import inspected, inventory_of
from holdfast_drivers.inspection.readers.seen import Seen, store_of, unfinished
from holdfast_drivers.s3.administrator_lists import (
    Listed,
    is_versioned,
    list_bucket,
    list_joins,
    list_past_versions,
)
from holdfast_drivers.s3.overlooked import Asking

_CODE: Final = re.compile(r"[-=_~]([0-9a-f]{2})")
_FRESH_S: Final = 2.5
"""Where a server tells times in whole seconds, what is newer may have changed without a sign."""
_FINE_FRESH_S: Final = 0.1
"""The same where it tells them in parts of a second."""
_KNOWN_MAX: Final = 2000
_UNREADABLE: Final = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""What reading a row that nobody of ours wrote can end in."""


class Known:
    """What was read before, by what the server says of it; the driver cannot forge an ETag."""

    def __init__(self) -> None:
        self.heads: dict[Listed, Mapping[str, str]] = {}
        self.contents: dict[tuple[str, str, int], bytes] = {}
        """The SHA-256 of an object, or the bytes of a row."""

    def trim(self) -> None:
        """Forget everything once it is too much."""
        for found in (self.heads, self.contents):
            if len(found) > _KNOWN_MAX:
                found.clear()


class S3Inspector(Inspector):
    """The inspector of one namespace.

    Args:
        client: the administrator's client.
        bucket: the bucket.
        prefix: what the keys of the namespace begin with.
        known: what is remembered between inventories.
        unlisted: names of unfinished things that the server's API does not tell of.
    """

    def __init__(
        self,
        client: Any,
        bucket: str,
        prefix: str,
        known: Known,
        *,
        unlisted: Callable[[], list[str]] = list,
    ) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix
        self._known = known
        self._unlisted = unlisted
        self._asking = Asking(client, bucket, prefix, row=self._json, metadata=self._metadata)
        self._versioned: bool | None = None
        """Whether the bucket has, or had, versions; an inspector lives for one plan."""

    async def inventory(self) -> Inventory:
        """Everything under the prefix, and a digest of all that is around it."""
        self._known.trim()
        outside = hashlib.sha256()
        own: dict[str, Listed] = {}
        for listed in await list_bucket(self._client, self._bucket):
            if listed.key.startswith(self._prefix):
                own[listed.key.removeprefix(self._prefix)] = listed
            else:
                outside.update(f"{listed.key}\0{listed.etag}\0{listed.size_bytes}\0".encode())
        await self._asking.complete(own)
        things = [thing for name in own for thing in await self._things(name, own)]
        for key, upload in await list_joins(self._client, self._bucket):
            if key.startswith(self._prefix):
                things.append(_leftover(f"{key.removeprefix(self._prefix)}?{upload}"))
            else:
                outside.update(f"{key}?\0".encode())
        things += map(_leftover, self._unlisted())
        if self._versioned is None:
            self._versioned = await is_versioned(self._client, self._bucket)
        past = await list_past_versions(self._client, self._bucket) if self._versioned else ()
        for key, version in past:
            if key.startswith(self._prefix):
                things.append(_leftover(f"{key.removeprefix(self._prefix)}@{version}"))
        return inventory_of(things, outside.hexdigest())

    async def _things(self, name: str, own: Mapping[str, Listed]) -> tuple[Inspected, ...]:
        """What one object stands for, or that it is unreadable, and why."""
        try:
            return await self._read_things(name, own)
        except _UNREADABLE as error:
            why = ascii(str(error) or type(error).__name__)
            return (Inspected(kind=OwnedKind.UNREADABLE, key=ascii(name)[1:-1], detail=why),)

    async def _read_things(self, name: str, own: Mapping[str, Listed]) -> tuple[Inspected, ...]:
        shelf, slash, code = name.partition("/")
        match shelf:
            case "store.json" if not slash:
                return (await self._store(own[name]),)
            case "objects":
                return (await self._object(own[name], _decoded(code)),)
            case "uploads":
                return (await self._upload(own[name], own),)
            case "parts":
                known = {str(row.get("id", "")) for row in await self._open_uploads(own)}
                return () if code.partition("/")[0] in known else (_leftover(name),)
            case "settled":
                return () if await self._is_current(own[name], own) else (_leftover(name),)
            case _:
                return (_leftover(name),)

    async def _store(self, listed: Listed) -> Inspected:
        return inspected(store_of(await self._json(listed)))

    async def _object(self, listed: Listed, key: str) -> Inspected:
        metadata = await self._metadata(listed)
        return Inspected(
            kind=OwnedKind.OBJECT,
            key=key,
            id=metadata.get("holdfast-id", ""),
            size_bytes=listed.size_bytes,
            digest=(await self._content(listed, digest=True)).decode(),
        )

    async def _upload(self, listed: Listed, own: Mapping[str, Listed]) -> Inspected:
        row = await self._json(listed)
        parts = f"parts/{row['id']}/"
        sizes = (part.size_bytes for name, part in own.items() if name.startswith(parts))
        upload = Seen(
            kind="upload", key=row["key"], id=row["id"], size_bytes=sum(sizes), unfinished=True
        )
        return inspected(upload)

    async def _is_current(self, listed: Listed, own: Mapping[str, Listed]) -> bool:
        """Whether an upload is recorded to have become an object that says so, too."""
        row = await self._json(listed)
        for name, stored in own.items():
            if name.startswith("objects/") and _decoded(name[len("objects/") :]) == row["target"]:
                metadata = await self._metadata(stored)
                return metadata.get("holdfast-upload-id") == str(row["id"])
        reopened = await self._open_uploads(own)
        return any(upload.get("key") == row["key"] for upload in reopened)

    async def _open_uploads(self, own: Mapping[str, Listed]) -> list[dict[str, Any]]:
        """The rows of all open uploads that can be read."""
        rows: list[dict[str, Any]] = []
        for name in own:
            if name.startswith("uploads/"):
                with suppress(*_UNREADABLE):
                    rows.append(await self._json(own[name]))
        return rows

    async def _metadata(self, listed: Listed) -> Mapping[str, str]:
        found = self._known.heads.get(listed)
        if found is not None:
            return found
        answer = await self._client.head_object(Bucket=self._bucket, Key=listed.key)
        metadata = {
            name.lower(): unquote(value) for name, value in answer.get("Metadata", {}).items()
        }
        fresh_s = _FRESH_S if listed.modified.is_integer() else _FINE_FRESH_S
        if listed.modified < runtime().wall_clock() - fresh_s:
            self._known.heads[listed] = metadata
        return metadata

    async def _json(self, listed: Listed) -> dict[str, Any]:
        return dict(json.loads(await self._content(listed, digest=False)))

    async def _content(self, listed: Listed, *, digest: bool) -> bytes:
        """An object's bytes, or the SHA-256 of them."""
        mark = listed.key, listed.etag, listed.size_bytes
        found = self._known.contents.get(mark)
        if found is None:
            answer = await self._client.get_object(Bucket=self._bucket, Key=listed.key)
            async with answer["Body"] as body:
                data: bytes = await body.read()
            found = hashlib.sha256(data).hexdigest().encode() if digest else data
            self._known.contents[mark] = found
        return found


def _decoded(code: str) -> str:
    """The key that a code stands for; see the README."""
    joined = code.replace("+/", "").encode()
    return _bytes_of(joined.decode("ascii", errors="replace")).decode(errors="replace")


def _bytes_of(code: str) -> bytes:
    found, at = bytearray(), 0
    while at < len(code):
        escaped = _CODE.match(code, at)
        found += bytes.fromhex(escaped[1]) if escaped else code[at].encode()
        at += 3 if escaped else 1
    return bytes(found)


def _leftover(name: str) -> Inspected:
    return inspected(unfinished(name))
