"""What happens to the parts of an object at the moment in which they are joined."""

import os
from collections.abc import Iterator
from contextlib import AsyncExitStack

import pytest

from engines import require_engine
from holdfast.contract import requests
from holdfast.contract.answers import Absent, OwnedKind
from holdfast.contract.errors import Busy, Invalid, Unavailable
from holdfast_drivers.object_server_call import Call
from holdfast_drivers.swift.gateway.testbed import GatewayTestbed
from races import KEY
from running_testbeds import Backend, Running, running
from swift_stores import Store, completion, context, on_a_store

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=["container", "container:gateway"])
def swift(request: pytest.FixtureRequest) -> Iterator[Running]:
    """A running Swift, and one that keeps its objects in S3."""
    require_engine()
    backend = Backend(provider="swift", kind=request.param)
    with running(backend, f"manifests-{os.getpid()}") as found:
        yield found


async def put_and_lose_a_part(store: Store) -> None:
    """Store an object of two parts and take one away, as a reader who is late sees it."""
    await store.put("up", b"one", b"two")
    inside = store.image._store  # pyright: ignore[reportPrivateUsage] - taken away on purpose
    call = Call(context())
    names = [entry.name for entry in await inside.segments.all(call, "d/") or []]
    await inside.segments.delete(call, names[0])


def test_a_part_that_is_sent_again_while_it_is_joined(swift: Running) -> None:
    """The part that is joined is left alone; afterwards it is not the one that was sent last."""

    async def story(store: Store) -> None:
        await store.start("up")
        sent = [await store.send("up", *part) for part in enumerate((b"one", b"two"), 1)]
        store.connection.before_manifest("PUT", lambda: store.send("up", 2, b"other"))
        request = completion("up", sent, b"one", b"two")
        made = await store.image.complete_upload(context(), request)
        found = await store.image.get(context(), requests.GetObject(key=KEY))
        assert (found.data, found.object) == (b"onetwo", made)
        assert (await store.owned(), len(await store.things())) == ([(OwnedKind.OBJECT, KEY)], 1)

    on_a_store(swift, story)


def test_a_part_that_was_sent_again_is_not_joined(swift: Running) -> None:
    """Only the one that was sent last counts, also where an earlier one is sent once more."""

    async def story(store: Store) -> None:
        await store.start("up")
        sent = [await store.send("up", *part) for part in enumerate((b"one", b"two"), 1)]
        await store.send("up", 2, b"other")
        request = completion("up", sent, b"one", b"two")
        with pytest.raises(Invalid, match="part 2"):
            await store.image.complete_upload(context(), request)
        assert await store.owned() == [(OwnedKind.UPLOAD, "up")]
        await store.send("up", 2, b"two")
        await store.image.complete_upload(context(), request)
        assert (await store.owned(), len(await store.things())) == ([(OwnedKind.OBJECT, KEY)], 1)

    on_a_store(swift, story)


def test_an_upload_that_is_aborted_while_it_is_completed(swift: Running) -> None:
    """The completion asks for a repetition, which makes no object; nothing is left."""

    async def story(store: Store) -> None:
        await store.start("up")
        sent = [await store.send("up", *part) for part in enumerate((b"one", b"two"), 1)]
        abortion = requests.AbortUpload(upload="up")

        async def abort() -> None:
            await store.image.abort_upload(context(), abortion)

        store.connection.before_manifest("PUT", abort)
        request = completion("up", sent, b"one", b"two")
        with pytest.raises(Busy, match="removed"):
            await store.image.complete_upload(context(), request)
        assert await store.image.probe(context(), "complete_upload", request) == Absent()
        assert (await store.owned(), await store.things()) == ([], [])

    on_a_store(swift, story)


@pytest.mark.parametrize("swift", ["container:gateway"], indirect=True)
def test_a_server_that_loses_sight_of_the_parts(swift: Running) -> None:
    """A manifest that cannot be checked is no fault of the caller's, and its repetition works."""
    testbed = swift.testbed
    assert isinstance(testbed, GatewayTestbed)

    async def story(store: Store) -> None:
        await store.start("up")
        sent = [await store.send("up", *part) for part in enumerate((b"one", b"two"), 1)]
        request = completion("up", sent, b"one", b"two")
        async with AsyncExitStack() as stack:
            away = testbed.without_storage()
            store.connection.before_manifest("PUT", lambda: stack.enter_async_context(away))
            with pytest.raises(Unavailable, match="cannot look at the parts"):
                await store.image.complete_upload(context(), request)
        await store.image.complete_upload(context(), request)
        assert await store.owned() == [(OwnedKind.OBJECT, KEY)]

    on_a_store(swift, story)


def test_an_object_that_is_deleted_while_its_parts_are_looked_at(swift: Running) -> None:
    """What was there at the first look and is not at the second was no damage either."""

    async def story(store: Store) -> None:
        await put_and_lose_a_part(store)

        async def delete_later() -> None:
            """At the second look; the first one is still to be answered."""
            request = requests.DeleteObject(key=KEY)

            async def delete() -> None:
                await store.image.delete(context(), request)

            store.connection.before_manifest("GET", delete)

        store.connection.before_manifest("GET", delete_later)
        with pytest.raises(Busy, match="replaced"):
            await store.image.get(context(), requests.GetObject(key=KEY))

    on_a_store(swift, story)


def test_an_object_that_is_replaced_while_it_is_read(swift: Running) -> None:
    """Parts that went with an object that was replaced are no damage: the new one can be read."""

    async def story(store: Store) -> None:
        await put_and_lose_a_part(store)
        store.connection.before_manifest("GET", lambda: store.put("up-2", b"new", b"er"))
        with pytest.raises(Busy, match="replaced"):
            await store.image.get(context(), requests.GetObject(key=KEY))
        assert (await store.image.get(context(), requests.GetObject(key=KEY))).data == b"newer"

    on_a_store(swift, story)
