"""Two callers at work on one key of S3: whatever the order of requests, an object is whole."""

import asyncio
import os
from collections.abc import Iterator

import pytest

from holdfast.contract.answers import OwnedKind
from holdfast.contract.ports import ImageDriver
from holdfast.contract.requests import Role
from holdfast_drivers.s3.config import S3Config
from holdfast_drivers.s3.image_driver import S3ImageDriver
from races import LONGEST, PAIRS, Actors, Race
from running_testbeds import Backend, Running, running
from s3_stores import KINDS, breaking, context, in_store
from sweeps import FULL, Sweep

pytestmark = pytest.mark.slow
ROUNDS = 20 if FULL else 8
MIB = 1 << 20
LARGE = (bytes([1]) * 6 * MIB, bytes([2]) * 7 * MIB)


@pytest.fixture(scope="module", params=KINDS)
def bed(request: pytest.FixtureRequest) -> Iterator[Running]:
    with running(Backend(provider="s3", kind=request.param), f"s3-races-{os.getpid()}") as found:
        yield found


async def things(bed: Running, namespace: str) -> list[str]:
    found = (await bed.testbed.inspector(Role.IMAGE, namespace).inventory()).things
    return [thing.kind.value for thing in found if thing.kind is not OwnedKind.STORE]


@pytest.mark.parametrize("old", [False, True] if FULL else [None], ids=str)
@pytest.mark.parametrize(("first", "second"), PAIRS, ids=str)
def test_an_object_is_whole_wherever_another_call_comes_between(
    bed: Running, first: str, second: str, *, old: bool | None
) -> None:
    """One call is stopped before one of its requests while another runs to its end."""
    replacing = "copy" not in (first, second) if old is None else old

    async def work(driver: ImageDriver, config: S3Config) -> None:
        client = breaking(driver)
        image = S3ImageDriver(client, config)
        race = Race(client, lambda: Actors(image, context), lambda: things(bed, "races"))
        sweep = Sweep(LONGEST, PAIRS.index((first, second)), every=2)
        await race.play(first, second, sweep, old=replacing)

    in_store(bed, "races", work)


@pytest.mark.parametrize("one", [(b"small",), LARGE], ids=["small", "large"])
def test_of_two_completions_at_once_one_becomes_the_object_and_nothing_stays_of_the_other(
    bed: Running, one: tuple[bytes, ...]
) -> None:
    async def work(driver: ImageDriver, config: S3Config) -> None:
        del config
        for _ in range(4 if one is LARGE else ROUNDS):
            actors = Actors(driver, context, one=one)
            await actors.prepare(old=False)
            works = (actors.complete_one, actors.complete_two)
            await asyncio.gather(*map(actors.again_while_busy, works))
            assert await actors.whole_object() in actors.allowed("complete_one", "complete_two")
            assert await things(bed, "at-once") == ["object"] * 2
            await actors.clear()

    in_store(bed, "at-once", work)


@pytest.mark.parametrize("first", ["complete_one", "abort_one"])
def test_a_part_that_comes_while_its_upload_ends_is_not_left_behind(
    bed: Running, first: str
) -> None:
    """Wherever it comes between two requests of the call that ends the upload."""

    async def work(driver: ImageDriver, config: S3Config) -> None:
        client = breaking(driver)
        for at in (sweep := Sweep(LONGEST)):
            actors = Actors(S3ImageDriver(client, config), context)
            await actors.prepare(old=False)

            async def send_more(actors: Actors = actors) -> object:
                return await actors.part("one", 2, b"more")

            came = client.before_request(at, send_more)
            await getattr(actors, first)()
            client.undisturbed()
            await actors.settle()
            await actors.clear()
            assert await things(bed, "late") == [], (at, came.answers)
            sweep.at_place(came.answers)

    in_store(bed, "late", work)
