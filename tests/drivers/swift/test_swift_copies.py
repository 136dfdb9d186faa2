"""Copies inside a genuine Swift and the gateway: whole, of segments of their own, never over
another object.
"""

import asyncio
import os
from collections.abc import Iterator

import pytest

from engines import require_engine
from holdfast.contract import requests
from holdfast.contract.answers import Absent, Done, ObjectInfo, OwnedKind, Partial
from holdfast.contract.errors import Conflict, NotFound, Precondition
from holdfast_drivers.swift.lifecycle import SwiftLifeCycle
from running_testbeds import Backend, Running, running
from sweeps import Sweep
from swift_stores import Store, broken_off, context, on_a_store, share_of

pytestmark = pytest.mark.slow
REQUESTS_MAX = 30
CONTENTS = [(b"one",), (b"one", b"two", b"three"), ()]


@pytest.fixture(scope="module", params=("container", "container:gateway"))
def swift(request: pytest.FixtureRequest) -> Iterator[Running]:
    """A running Swift, and the gateway."""
    require_engine()
    with running(Backend(provider="swift", kind=request.param), f"copies-{os.getpid()}") as found:
        yield found


async def copy(store: Store, key: str, target: str) -> ObjectInfo:
    return await store.image.copy(context(), requests.CopyObject(key=key, target=target))


async def get(store: Store, key: str) -> bytes:
    return (await store.image.get(context(), requests.GetObject(key=key))).data


async def delete(store: Store, key: str) -> None:
    await store.image.delete(context(), requests.DeleteObject(key=key))


@pytest.mark.parametrize("parts", CONTENTS)
def test_a_copy_is_whole_and_independent(swift: Running, parts: tuple[bytes, ...]) -> None:
    """A copy has bytes, kind and digest of its source, a new id, and shares no segment with it."""

    async def story(store: Store) -> None:
        source = await store.put("up", *parts, key="source")
        made = await copy(store, "source", "target")
        assert made.id != source.id
        assert (made.key, made.sha256, made.kind) == ("target", source.sha256, source.kind)
        assert await copy(store, "source", "target") == made
        assert await copy(store, "target", "target") == made
        again = await copy(store, "target", "third")
        await delete(store, "source")
        await delete(store, "target")
        assert await get(store, "third") == b"".join(parts)
        assert (await store.image.head(context(), requests.HeadObject(key="third"))) == again
        with pytest.raises(NotFound):
            await copy(store, "source", "third")
        await store.put("up-2", b"another", key="third")
        assert [thing.kind for thing in await store.things()] == [OwnedKind.OBJECT]
        await delete(store, "third")
        assert await store.things() == []

    on_a_store(swift, story)


def test_a_copy_never_takes_another_objects_place(swift: Running) -> None:
    """A taken target is a conflict and stays; of two at once to one key one is there, whole."""

    async def story(store: Store) -> None:
        await store.put("one", b"one", b"two", key="one")
        await store.put("other", b"other", b"two", key="other")
        await store.put("taken", b"taken", key="taken")
        with pytest.raises(Conflict):
            await copy(store, "one", "taken")
        assert await get(store, "taken") == b"taken"
        found = await asyncio.gather(
            copy(store, "one", "raced"), copy(store, "other", "raced"), return_exceptions=True
        )
        made = [one for one in found if isinstance(one, ObjectInfo)]
        lost = [one for one in found if not isinstance(one, ObjectInfo)]
        assert all(isinstance(error, Conflict) for error in lost)
        there = await store.image.head(context(), requests.HeadObject(key="raced"))
        assert there in made
        assert await get(store, "raced") in {b"onetwo", b"othertwo"}
        sources = {"onetwo": "one", "othertwo": "other"}
        first = sources[(await get(store, "raced")).decode()]
        assert await copy(store, first, "raced") == there
        await copy(store, "raced", "raced")
        objects = [thing for thing in await store.things() if thing.kind is OwnedKind.OBJECT]
        assert len(objects) == 4
        await SwiftLifeCycle(store.connection).maintain(context(), requests.MaintainStore())
        with pytest.raises(Precondition):
            await copy(store, "one", "rests")

    on_a_store(swift, story)


@pytest.mark.parametrize("parts", CONTENTS)
@pytest.mark.parametrize("after", ["repeated", "deleted"])
def test_a_copy_that_breaks_off_anywhere(
    swift: Running, parts: tuple[bytes, ...], after: str
) -> None:
    """Whatever is left is told of, and goes with the repetition or with the target."""

    async def story(store: Store) -> None:
        await store.put("up", *parts, key="source")
        request = requests.CopyObject(key="source", target="target")
        for at in (sweep := Sweep(REQUESTS_MAX, share_of(swift), every=2)):
            died = await broken_off(store, at, lambda: store.image.copy(context(), request))
            things = [thing.kind for thing in await store.things()]
            probed = await store.image.probe(context(), "copy", request)
            owned = [kind for kind, _ in await store.owned()]
            assert (OwnedKind.TEMPORARY in things) == isinstance(probed, Partial)
            assert (OwnedKind.TEMPORARY in owned) == isinstance(probed, Partial)
            assert isinstance(probed, Done) == (things == [OwnedKind.OBJECT] * 2)
            if after == "repeated":
                made = await store.image.copy(context(), request)
                assert await store.image.probe(context(), "copy", request) == Done(answer=made)
            await delete(store, "target")
            assert await store.image.probe(context(), "copy", request) == Absent()
            assert [thing.key for thing in await store.things()] == ["source"]
            assert await store.owned() == [(OwnedKind.OBJECT, "source")]
            sweep.at_place(died)

    on_a_store(swift, story)
