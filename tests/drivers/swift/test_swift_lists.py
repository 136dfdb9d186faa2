"""What a store does while Swift's lists lag behind: they are right in the end, and not before."""

import hashlib
import os
import struct
import time
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from engines import require_engine
from holdfast.contract import requests
from holdfast.contract.answers import OwnedKind
from holdfast.contract.errors import InUse
from holdfast_drivers.object_server_call import Call
from holdfast_drivers.swift.account_testbed import ACCOUNT
from holdfast_drivers.swift.inspector import HASH_PREFIX, HASH_SUFFIX
from holdfast_drivers.swift.lifecycle import SwiftLifeCycle
from holdfast_drivers.swift.rows import row_name
from holdfast_drivers.swift.testbed import SwiftTestbed
from races import KEY
from running_testbeds import Backend, Running, running
from swift_stores import Store, completion, context, on_a_store

pytestmark = pytest.mark.slow
_ASK = """
import http.client, sys
method, path, *headers = sys.argv[1:]
server = http.client.HTTPConnection("127.0.0.1", 6201, timeout=5)
server.request(method, path, headers=dict(one.split(": ") for one in headers))
sys.exit(server.getresponse().status >= 300)
"""


@pytest.fixture(scope="module")
def swift() -> Iterator[Running]:
    """A running Swift; the gateway's lists are those of S3, which never lag."""
    require_engine()
    with running(Backend(provider="swift", kind="container"), f"lists-{os.getpid()}") as found:
        yield found


async def tell_the_list(swift: Running, store: Store, method: str, path: str) -> None:
    """Say to the container's server what an object's server says after a PUT or DELETE."""
    assert isinstance(swift.testbed, SwiftTestbed)
    container, _, name = path.partition("/")
    assert container == store.connection.config.namespace
    digest = hashlib.md5(HASH_PREFIX + f"/{ACCOUNT}/{container}".encode() + HASH_SUFFIX).digest()
    part = struct.unpack(">I", digest[:4])[0] >> 28
    server = swift.testbed.server
    headers = [f"X-Timestamp: {time.time():.5f}", "X-Size: 9", "X-Content-Type: a/b", "X-Etag: 0"]
    asked = f"/d1/{part}/{ACCOUNT}/{container}/{quote(name, safe='')}"
    await server.exec(["python3", "-c", _ASK, method, asked, *headers])


def test_an_upload_that_is_listed_and_gone_keeps_no_store(swift: Running) -> None:
    """An upload whose end did not reach the list is not in the way."""

    async def story(store: Store) -> None:
        inside = store.image._store  # pyright: ignore[reportPrivateUsage] - as nobody should
        for name in (row_name("gone"), "d/gone/gone.up-gone/000001"):
            await tell_the_list(swift, store, "PUT", inside.segments.plain_path(name))
        life_cycle = SwiftLifeCycle(store.connection)
        await life_cycle.delete_store(context(), requests.DeleteStore())
        assert (await store.inspector.inventory()).things == ()

    on_a_store(swift, story)


def test_an_object_that_is_listed_keeps_a_store_until_it_is_deleted(swift: Running) -> None:
    """What Swift does not find may be away only; to delete it by its key puts the list right."""

    async def story(store: Store) -> None:
        inside = store.image._store  # pyright: ignore[reportPrivateUsage] - as nobody should
        await tell_the_list(swift, store, "PUT", inside.objects.plain_path("gone"))
        life_cycle = SwiftLifeCycle(store.connection)
        with pytest.raises(InUse, match="objects/gone"):
            await life_cycle.delete_store(context(), requests.DeleteStore())
        await store.image.delete(context(), requests.DeleteObject(key="gone"))
        await life_cycle.delete_store(context(), requests.DeleteStore())
        assert (await store.inspector.inventory()).things == ()

    on_a_store(swift, story)


def test_a_part_that_is_not_yet_listed_is_joined(swift: Running) -> None:
    """A part that was sent is there, whatever the list says."""

    async def story(store: Store) -> None:
        await store.start("up")
        sent = [await store.send("up", 1, b"one"), await store.send("up", 2, b"two")]
        inside = store.image._store  # pyright: ignore[reportPrivateUsage] - as nobody should
        for entry in await inside.segments.all(Call(context()), "d/") or []:
            await tell_the_list(swift, store, "DELETE", inside.segments.plain_path(entry.name))
        assert await inside.segments.all(Call(context()), "d/") == []
        await store.image.complete_upload(context(), completion("up", sent, b"one", b"two"))
        read = await store.image.get(context(), requests.GetObject(key=KEY))
        assert read.data == b"onetwo"
        assert [thing.kind for thing in await store.things()] == [OwnedKind.OBJECT]

    on_a_store(swift, story)
