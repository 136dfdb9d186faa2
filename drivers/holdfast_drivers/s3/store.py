"""The store's own row: read by every verb that needs a store, changed by its life cycle."""

from collections.abc import Callable
from typing import Final

import msgspec

from holdfast.contract.errors import Busy, NotFound
from holdfast_drivers.object_server_call import Call
from holdfast_drivers.s3.client import Bucket
from holdfast_drivers.s3.rows import STORE, StoreRow, row_of

_ATTEMPTS: Final = 8


async def found_store(bucket: Bucket, call: Call) -> tuple[StoreRow, str] | None:
    """The store's row and its ETag, or ``None`` where there is no store."""
    content = await bucket.get(call, STORE)
    if content is None:
        return None
    return row_of(content.data, StoreRow, STORE), content.head.etag


async def store_row(bucket: Bucket, call: Call) -> StoreRow:
    """The store's row.

    Raises:
        NotFound: there is no store.
    """
    row_and_etag = await found_store(bucket, call)
    if row_and_etag is None:
        raise no_store(bucket)
    return row_and_etag[0]


def no_store(bucket: Bucket) -> NotFound:
    """There is no store under this prefix."""
    return NotFound(f"there is no store under {bucket.prefix} in the bucket; initialize it first")


async def change_store(
    bucket: Bucket, call: Call, change: Callable[[StoreRow], StoreRow]
) -> StoreRow:
    """Replace the store's row by a changed one, if nobody else did meanwhile; else look again.

    Raises:
        NotFound: there is no store.
        Busy: others change it all the time.
    """
    for _ in range(_ATTEMPTS):
        row_and_etag = await found_store(bucket, call)
        if row_and_etag is None:
            raise no_store(bucket)
        row, etag = row_and_etag
        changed = change(row)
        if changed == row:
            return row
        # Only over the row that was read: what another call changed meanwhile must stay.
        if await bucket.put(call, STORE, msgspec.json.encode(changed), etag=etag) is not None:
            return changed
    raise Busy("others change the store all the time; try again", object=call.subject)
