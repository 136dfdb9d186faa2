"""How an object becomes visible: with the one request that stores its manifest."""

import json
import re
from collections.abc import Sequence
from typing import Final

from holdfast.concurrency.fan_out import several
from holdfast_drivers.object_server_call import Call
from holdfast_drivers.swift.containers import Entry, Segment
from holdfast_drivers.swift.rows import ObjectRow, object_name
from holdfast_drivers.swift.store import Store

EMPTY: Final = "000000"
"""The part that stands for an object without any: by it a lost call's leftovers are found."""
_TYPE: Final = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+")
_PLAIN_TYPE: Final = "application/octet-stream"


def segment_of(store: Store, entry: Entry) -> Segment:
    """A stored part as a piece of an object."""
    path = f"/{store.segments.plain_path(entry.name)}"
    return Segment(path=path, size_bytes=entry.size_bytes, etag=entry.etag)


async def publish(
    call: Call, store: Store, object_row: ObjectRow, pieces: Sequence[Segment], *, new: bool = False
) -> bool:
    """Make an object visible, joined from these pieces in their order.

    The server compares each piece with its MD5 and size. With ``new`` only where the server finds
    no object; false where it does.
    """
    kind = object_row.content_type if _TYPE.fullmatch(object_row.content_type) else _PLAIN_TYPE
    headers = {"content-type": kind}
    name = object_name(object_row.key)
    manifest = [
        {"path": piece.path, "etag": piece.etag, "size_bytes": piece.size_bytes}
        for piece in pieces
        if piece.size_bytes
    ]
    if not manifest:
        await store.segments.put(call, f"{object_row.folder}{EMPTY}", b"", {})
        return await store.objects.put(call, name, b"", object_row.meta(), headers=headers, new=new)
    return await store.objects.put(
        call,
        name,
        json.dumps(manifest).encode(),
        object_row.meta(),
        headers={**headers, "accept": "application/json"},
        query={"multipart-manifest": "put"},
        new=new,
    )


async def is_whole(call: Call, store: Store, pieces: Sequence[Segment]) -> bool:
    """Whether everything is there that an object was joined from.

    The server looks at the pieces and then stores the manifest: what others removed between the
    two is missing.
    """

    async def is_there(piece: Segment) -> bool:
        head = await store.segments.head(call, store.segments.name_at(piece.path))
        return head is not None and head.etag == piece.etag

    return all(await several([piece for piece in pieces if piece.size_bytes], is_there))
