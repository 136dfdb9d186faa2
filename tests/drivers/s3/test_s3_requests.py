"""How many requests a verb makes of a bucket, and in which order; the bucket is a few lists."""

import asyncio
from collections.abc import Sequence

import pytest

from holdfast.contract.errors import InUse
from holdfast.contract.requests import CallContext
from holdfast_drivers.object_server_call import Call
from holdfast_drivers.s3.client import Bucket
from holdfast_drivers.s3.lifecycle import _take_down  # pyright: ignore[reportPrivateUsage]
from holdfast_drivers.s3.rows import (
    OBJECTS,
    PARTS,
    SETTLED,
    STORE,
    UPLOADS,
    StoreRow,
    part_name,
    upload_name,
)
from holdfast_drivers.s3.values import Content, Entry, Head, Version

MANY = 1000


class Lists(Bucket):
    """What is listed, and what was asked for or removed."""

    def __init__(self, names: Sequence[str], *, versioned: bool = False) -> None:
        self.names = names
        self.versioned = versioned
        self.hidden: tuple[str, ...] = ()
        """What the list of versions leaves out."""
        self.asked: list[str] = []
        self.dropped: list[str] = []

    async def all(self, call: Call, prefix: str = "") -> list[Entry]:
        del call
        return [Entry(name, 1, "etag") for name in self.names if name.startswith(prefix)]

    async def versions(self, call: Call, prefix: str) -> list[Version]:
        del call
        return [
            Version(name=name, id="1", is_past=False, size_bytes=1)
            for name in self.names
            if name.startswith(prefix) and name not in self.hidden
        ]

    async def head(self, call: Call, name: str) -> Head | None:
        del call
        self.asked.append(name)
        if name not in self.names:
            return None
        return Head(etag="etag", version="1", size_bytes=1, content_type="", metadata={})

    async def get(
        self, call: Call, name: str, *, span: tuple[int, int | None] | None = None, etag: str = ""
    ) -> Content | None:
        del span, etag
        head = await self.head(call, name)
        return None if head is None else Content(head=head, offset_bytes=0, data=b"?")

    async def drop(self, call: Call, versions: Sequence[Version]) -> None:
        del call
        self.dropped += [one.name for one in reversed(versions)]


def a_call() -> Call:
    deadline = asyncio.get_running_loop().time() + 60
    return Call(CallContext(operation="test", deadline=deadline))


@pytest.mark.parametrize("shelf", [OBJECTS, UPLOADS])
def test_a_full_store_is_in_use_without_a_request_for_each_thing(shelf: str) -> None:
    """Its lists say so; of a large store everything else would last past any deadline."""
    more = SETTLED if shelf == OBJECTS else PARTS
    things = [f"{prefix}{number}" for number in range(MANY) for prefix in (shelf, f"{more}up-")]

    async def story() -> None:
        bucket = Lists([STORE, *things])
        with pytest.raises(InUse):
            await _take_down(bucket, a_call(), StoreRow(id="store-1", name="one", operation="op"))
        assert bucket.asked == []

    asyncio.run(story())


def test_the_row_of_an_upload_goes_last_whatever_no_list_has() -> None:
    """In a bucket with versions: a call that is killed in between can be repeated."""
    parts = [part_name("up-1", number) for number in (1, 2)]

    async def story() -> None:
        bucket = Lists([*parts, upload_name("up")], versioned=True)
        bucket.hidden = (parts[1],)
        await bucket.delete(a_call(), [*parts, upload_name("up")])
        assert sorted(bucket.dropped) == sorted([*parts, upload_name("up")])
        assert bucket.dropped[-1] == upload_name("up")

    asyncio.run(story())
