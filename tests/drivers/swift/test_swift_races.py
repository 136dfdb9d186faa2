"""Two callers at work on one key of Swift: whatever the order of requests, an object is whole."""

import asyncio
import os
from collections.abc import Iterator

import pytest

from engines import require_engine
from holdfast.contract import requests
from holdfast.contract.answers import Gone
from holdfast.contract.errors import NotFound, Unknown
from holdfast_drivers.object_server_call import Call
from holdfast_drivers.swift.rows import UploadRow
from races import KEY, LONGEST, PAIRS, Actors, Race
from running_testbeds import Backend, Running, running
from sweeps import FULL, Sweep
from swift_stores import Store, completion, context, on_a_store, share_of

pytestmark = pytest.mark.slow
ROUNDS = 20 if FULL else 6


@pytest.fixture(scope="module", params=("container", "container:gateway"))
def swift(request: pytest.FixtureRequest) -> Iterator[Running]:
    """A running Swift, and the gateway."""
    require_engine()
    with running(Backend(provider="swift", kind=request.param), f"races-{os.getpid()}") as found:
        yield found


async def kinds(store: Store) -> list[str]:
    return [thing.kind.value for thing in await store.things()]


@pytest.mark.parametrize("old", [False, True] if FULL else [None], ids=str)
@pytest.mark.parametrize(("first", "second"), PAIRS, ids=str)
def test_an_object_is_whole_wherever_another_call_comes_between(
    swift: Running, first: str, second: str, *, old: bool | None
) -> None:
    """One call is stopped before one of its requests while another runs to its end."""
    replacing = "copy" not in (first, second) if old is None else old

    async def story(store: Store) -> None:
        race = Race(store.connection, lambda: Actors(store.image, context), lambda: kinds(store))
        begin = PAIRS.index((first, second)) + 2 * share_of(swift)
        await race.play(first, second, Sweep(LONGEST, begin, every=4), old=replacing)

    on_a_store(swift, story)


def test_nothing_is_called_complete_that_an_abort_may_still_take_apart(
    swift: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The abort looked before the object was there, and acts when the completion looks at it."""

    async def story(store: Store) -> None:
        await store.start("u")
        sent = [await store.send("u", 1, b"data")]
        uploads = store.image._uploads  # pyright: ignore[reportPrivateUsage] - to stop a call in it
        drop, find = uploads._drop, uploads.find  # pyright: ignore[reportPrivateUsage] - likewise
        looked, seen_again, goes_on = asyncio.Event(), asyncio.Event(), asyncio.Event()
        looks: list[str] = []
        aborting: list[asyncio.Task[Gone]] = []

        async def stopped(call: Call, row: UploadRow) -> None:
            looked.set()
            await goes_on.wait()
            await drop(call, row)

        async def counted(call: Call, upload: str) -> UploadRow | None:
            if looked.is_set():
                looks.append(upload)
            if len(looks) > 2:
                seen_again.set()
            return await find(call, upload)

        async def abort_until_it_looked() -> None:
            request = requests.AbortUpload(upload="u")
            abort = store.image.abort_upload(context(), request)
            aborting.append(asyncio.ensure_future(abort))
            await looked.wait()

        monkeypatch.setattr(uploads, "_drop", stopped)
        monkeypatch.setattr(uploads, "find", counted)
        store.connection.before_manifest("PUT", abort_until_it_looked)
        complete = store.image.complete_upload(context(), completion("u", sent, b"data"))
        completing = asyncio.ensure_future(complete)
        seeing = asyncio.ensure_future(seen_again.wait())
        await asyncio.wait((completing, seeing), return_when=asyncio.FIRST_COMPLETED)
        seeing.cancel()
        goes_on.set()
        await asyncio.wait((completing, *aborting))
        told, gone = completing.exception(), aborting[0].result()

        assert isinstance(told, NotFound | Unknown)
        assert isinstance(gone, Gone)
        with pytest.raises(NotFound):
            await store.image.head(context(), requests.HeadObject(key=KEY))
        assert await kinds(store) == []

    on_a_store(swift, story)


def test_of_two_completions_at_once_one_becomes_the_object_and_nothing_stays_of_the_other(
    swift: Running,
) -> None:
    async def story(store: Store) -> None:
        for _ in range(ROUNDS):
            actors = Actors(store.image, context)
            await actors.prepare(old=False)
            works = (actors.complete_one, actors.complete_two)
            await asyncio.gather(*map(actors.again_while_busy, works))
            assert await actors.whole_object() in actors.allowed("complete_one", "complete_two")
            assert await kinds(store) == ["object"] * 2
            await actors.clear()

    on_a_store(swift, story)
