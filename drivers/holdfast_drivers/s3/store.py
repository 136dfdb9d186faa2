"""The store's own row: read by every verb that needs a store, changed by its life cycle."""

from collections.abc import Callable
from typing import Final

import msgspec

from holdfast.errors import Busy, NotFound, Precondition
from holdfast.infos import StoreState
from holdfast_drivers.s3.client import Bucket
from holdfast_drivers.s3.rows import STORE, StoreRow, row_of
from holdfast_drivers.server_call import Call

_ATTEMPTS: Final = 8


async def found_store(bucket: Bucket, call: Call) -> tuple[StoreRow, str] | None:
    """The store's row and its ETag, or ``None`` where there is no store."""
    found = await bucket.get(call, STORE)
    if found is None:
        return None
    return row_of(found.data, StoreRow, STORE), found.head.etag


async def store_row(bucket: Bucket, call: Call) -> StoreRow:
    """The store's row.

    Raises:
        NotFound: there is no store.
    """
    found = await found_store(bucket, call)
    if found is None:
        raise no_store(bucket)
    return found[0]


def no_store(bucket: Bucket) -> NotFound:
    """There is no store under this prefix."""
    return NotFound(f"there is no store under {bucket.prefix} in the bucket; initialize it first")


def check_allocating(row: StoreRow) -> None:
    """``Precondition`` for a store in maintenance."""
    if row.state is StoreState.MAINTENANCE:
        raise Precondition(
            f"store {row.name} is in maintenance; cancel it first", state=row.state.value
        )


async def change_store(
    bucket: Bucket, call: Call, change: Callable[[StoreRow], StoreRow]
) -> StoreRow:
    """Replace the store's row by a changed one, if nobody else did meanwhile; else look again.

    Raises:
        NotFound: there is no store.
        Busy: others change it all the time.
    """
    for _ in range(_ATTEMPTS):
        found = await found_store(bucket, call)
        if found is None:
            raise no_store(bucket)
        row, etag = found
        changed = change(row)
        if changed == row:
            return row
        if await bucket.put(call, STORE, msgspec.json.encode(changed), etag=etag) is not None:
            return changed
    raise Busy("others change the store all the time; try again", object=call.subject)
