"""Objects and upload rows in Swift that are not what the driver stored."""

import os
from collections.abc import Iterator
from typing import Any

import pytest

from engines import require_engine
from holdfast.contract import requests
from holdfast.contract.answers import OwnedKind
from holdfast.contract.errors import Corrupt
from holdfast_drivers.object_server_call import Call
from holdfast_drivers.swift.rows import object_name
from running_testbeds import Backend, Running, running
from swift_stores import Store, context, on_a_store

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def swift() -> Iterator[Running]:
    require_engine()
    backend = Backend(provider="swift", kind="container")
    with running(backend, f"damage-{os.getpid()}") as found:
        yield found


def test_what_is_damaged_is_set_apart(swift: Running) -> None:
    """It is named with a reason, lists go on without it, and it can be deleted by its key."""

    async def story(store: Store) -> None:
        opened: Any = store.image
        inside = opened._store  # pyright: ignore[reportPrivateUsage] - puts there what no driver does
        call = Call(context())
        await inside.objects.put(call, object_name("bad"), b"bytes without any record", {})
        await inside.segments.put(call, "u/0123", b"", {"upload": "no base64"})
        stream = store.image.enumerate(context(), requests.EnumerateOwned())
        things = [thing async for thing in stream]
        apart = [thing for thing in things if thing.kind is OwnedKind.UNREADABLE]
        assert sorted((thing.key, bool(thing.reason)) for thing in apart) == [
            ("", True),
            ("bad", True),
        ]
        assert [thing.kind for thing in things if thing not in apart] == [OwnedKind.STORE]
        page = await store.image.list(context(), requests.ListObjects())
        assert page.items == ()
        with pytest.raises(Corrupt):
            await store.image.head(context(), requests.HeadObject(key="bad"))
        await store.image.delete(context(), requests.DeleteObject(key="bad"))
        await inside.segments.delete(call, "u/0123")
        stream = store.image.enumerate(context(), requests.EnumerateOwned())
        assert [thing.kind async for thing in stream] == [OwnedKind.STORE]

    on_a_store(swift, story)
