"""What a store does while S3's lists lie: what they leave out is there all the same."""

import json
import os
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import pytest

from holdfast.contract import requests
from holdfast.contract.answers import OwnedKind
from holdfast.contract.capabilities import ObjectKind
from holdfast.contract.errors import InUse, Invalid, Unknown
from holdfast.contract.ports import ImageDriver
from holdfast.contract.requests import PartReference, Role
from holdfast_drivers.s3.config import S3Config, prefix_of
from holdfast_drivers.s3.image_driver import S3ImageDriver
from holdfast_drivers.s3.inspector import Known, S3Inspector
from holdfast_drivers.s3.rows import OBJECTS, PARTS, SETTLED, STORE, UPLOADS
from holdfast_drivers.s3.testbed import BUCKET, S3Testbed
from races import Actors
from running_testbeds import Backend, Running, running
from s3_stores import KINDS, breaking, client_of, context, get, in_store, put, raw_client

pytestmark = pytest.mark.slow
LISTED = re.compile(rb"<(Contents|Version|Upload)>.*?</\1>", re.DOTALL)
LISTS = (b"list-type=2", b"versions", b"uploads")
MIB = 1 << 20


@pytest.fixture(scope="module", params=KINDS)
def bed(request: pytest.FixtureRequest) -> Iterator[Running]:
    with running(Backend(provider="s3", kind=request.param), f"s3-lists-{os.getpid()}") as found:
        yield found


@contextmanager
def unlisted(bed: Running, *names: str, lists: tuple[bytes, ...] = LISTS) -> Iterator[None]:
    """Have the lists that the driver gets leave out whatever has one of these in its name."""

    def meant(chunk: bytes) -> bool:
        line = chunk.partition(b"\r\n")[0]
        return line.startswith(b"GET ") and any(word in line for word in lists)

    def without(answer: bytes) -> bytes:
        return LISTED.sub(blank, answer)

    def blank(entry: re.Match[bytes]) -> bytes:
        hidden = any(f"/{name}".encode() in entry[0] for name in names)
        return b" " * len(entry[0]) if hidden else entry[0]

    assert isinstance(bed.testbed, S3Testbed)
    faults = bed.testbed.proxy.requests
    told = faults.change_answer(meant, without)
    try:
        yield
    finally:
        faults.clear()
    assert told.met, "no list was asked for"


async def kinds(bed: Running, namespace: str) -> list[OwnedKind]:
    """What the inspector sees, by lists that are true."""
    return [
        thing.kind
        for thing in (await bed.testbed.inspector(Role.IMAGE, namespace).inventory()).things
    ]


async def told(driver: ImageDriver) -> list[tuple[OwnedKind, str]]:
    """What the driver tells of."""
    stream = driver.enumerate(context(), requests.EnumerateOwned())
    return [(thing.kind, thing.key) async for thing in stream]


def story(
    bed: Running, namespace: str, work: Callable[[Actors, ImageDriver], Awaitable[None]]
) -> None:
    """Tell a story of two uploads, nothing of which was completed."""

    async def run(driver: ImageDriver, _: S3Config) -> None:
        actors = Actors(driver, context, one=(b"1" * 99, b"2" * 98, b"3"))
        await actors.prepare(old=False)
        await work(actors, driver)

    in_store(bed, namespace, run)


def test_a_part_that_is_not_listed_is_joined_and_removed(bed: Running) -> None:
    """A part that was acknowledged is there, whatever the list says; nothing of it stays."""

    async def work(actors: Actors, driver: ImageDriver) -> None:
        with unlisted(bed, PARTS):
            await actors.complete_one()
            await actors.settle()
        assert await get(driver, "images/a.b") == b"".join(actors.content["one"])
        assert await kinds(bed, "unlisted") == [OwnedKind.OBJECT] * 2 + [OwnedKind.STORE]

    story(bed, "unlisted", work)


def test_parts_that_are_neither_named_nor_listed_go_with_their_upload(bed: Running) -> None:
    async def work(actors: Actors, _: ImageDriver) -> None:
        more = await actors.part("two", 2, b"more")
        assert more.number == 2
        with unlisted(bed, PARTS):
            await actors.complete_two()
            await actors.abort_one()
        await actors.settle()
        assert await kinds(bed, "unnamed") == [OwnedKind.OBJECT] * 2 + [OwnedKind.STORE]

    story(bed, "unnamed", work)


def test_a_part_of_another_tag_is_refused_though_no_list_has_it(bed: Running) -> None:
    """What is named and was never acknowledged is not joined."""

    async def work(actors: Actors, _: ImageDriver) -> None:
        sent = actors.sent["one"]
        actors.sent["one"] = [PartReference(number=1, size_bytes=99, tag="0" * 32), *sent[1:]]
        with unlisted(bed, PARTS), pytest.raises(Invalid, match="part 1 is not stored"):
            await actors.complete_one()
        actors.sent["one"] = sent
        await actors.complete_one()

    story(bed, "foreign", work)


@pytest.mark.parametrize("hidden", [OBJECTS, UPLOADS, f"{OBJECTS}copied"])
def test_a_store_in_use_is_not_given_back(bed: Running, hidden: str) -> None:
    """What no list has still holds a store."""

    async def work(driver: ImageDriver, config: S3Config) -> None:
        if hidden == UPLOADS:
            start = requests.StartUpload(upload="up/1", key="key", kind=ObjectKind.ISO)
            await driver.start_upload(context(), start)
            part = requests.UploadPart(upload="up/1", number=1, data=b"part")
            await driver.upload_part(context(), part)
        else:
            await put(driver, "key", b"data")
        copied = hidden == f"{OBJECTS}copied"
        if copied:
            await driver.copy(context(), requests.CopyObject(key="key", target="copied"))
            await driver.delete(context(), requests.DeleteObject(key="key"))
        lists = LISTS[:1] if copied else LISTS  # only the list of versions tells of a copy, too
        async with bed.provider.life_cycle(config, Role.IMAGE) as life_cycle:
            with unlisted(bed, hidden, lists=lists), pytest.raises(InUse):
                await life_cycle.delete_store(context(), requests.DeleteStore())
        if hidden == UPLOADS:
            done = {OwnedKind.UPLOAD, OwnedKind.STORE}
        else:
            done = {OwnedKind.OBJECT, OwnedKind.STORE}
        assert set(await kinds(bed, "held")) == done

    in_store(bed, "held", work)


@pytest.mark.parametrize("hidden", [OBJECTS, UPLOADS, STORE, SETTLED])
def test_what_no_list_has_is_not_called_a_leftover(bed: Running, hidden: str) -> None:
    async def work(_: Actors, driver: ImageDriver) -> None:
        with unlisted(bed, hidden, lists=LISTS[:1]):
            seen = await told(driver)
            assert (await driver.stats(context(), requests.GetStats())).used_bytes >= 0
        assert OwnedKind.TEMPORARY not in {kind for kind, _ in seen}
        assert sorted(seen) == sorted(await told(driver))

    story(bed, "leftover", work)


@pytest.mark.parametrize("hidden", [OBJECTS, UPLOADS, PARTS, STORE])
def test_an_inspector_sees_what_no_list_has(bed: Running, hidden: str) -> None:
    """What was acknowledged is there for who judges it, too."""

    async def work(_: Actors, driver: ImageDriver) -> None:
        long = "a key: longer than one name of a path " * 2
        await put(driver, long, b"12", b"3")
        config = bed.testbed.config(Role.IMAGE, "seen")
        assert isinstance(config, S3Config)
        # Through the proxy, which is where lists are made to lie.
        inspector = S3Inspector(raw_client(driver), BUCKET, prefix_of(config), Known())
        there = (await inspector.inventory()).things
        with unlisted(bed, hidden, lists=LISTS[:1]):
            assert (await inspector.inventory()).things == there

    story(bed, "seen", work)


@pytest.mark.parametrize("row", [{"target": "x" * 2000, "id": "up-1"}, {"target": "k", "id": ""}])
def test_an_inspector_outlives_a_row_that_leads_nowhere(bed: Running, row: dict[str, str]) -> None:
    """What somebody else put there is shown, and ends nothing."""

    async def work(_: ImageDriver, config: S3Config) -> None:
        content = json.dumps({"key": "odd", **row}).encode()
        place = f"{prefix_of(config)}{UPLOADS}odd"
        await client_of(bed).put_object(Bucket=BUCKET, Key=place, Body=content)
        assert await kinds(bed, "odd") == [OwnedKind.STORE, OwnedKind.UPLOAD]

    in_store(bed, "odd", work)


def test_a_list_goes_on_after_a_page_with_nothing_in_it(bed: Running) -> None:
    """A page may be empty and not the last one."""

    async def work(driver: ImageDriver, _: S3Config) -> None:
        for key in ("a1", "a2", "b"):
            await put(driver, key, b"data")
        with unlisted(bed, f"{OBJECTS}a"):
            page = await driver.list(context(), requests.ListObjects(limit=1))
        assert [item.key for item in page.items] == ["b"]

    in_store(bed, "pages", work)


def test_an_abort_drops_the_joining_that_a_killed_completion_left(bed: Running) -> None:
    """Also of an upload of one part, which is as many as a large one may have."""

    async def work(driver: ImageDriver, config: S3Config) -> None:
        left = 0
        while True:
            client = breaking(driver)
            actors = Actors(S3ImageDriver(client, config), context, one=(b"1" * 9 * MIB,))
            await actors.prepare(old=False)
            client.left = left
            try:
                await actors.complete_one()
            except Unknown:
                ended = False
            else:
                ended = True
            client.left = 1 << 30
            await actors.settle()
            await actors.clear()
            assert await kinds(bed, "joining") == [OwnedKind.STORE], left
            if ended:
                return
            left += 1

    in_store(bed, "joining", work)


def test_what_is_deleted_is_gone_though_no_list_has_its_versions(bed: Running) -> None:
    """In a bucket that keeps versions, too."""

    async def work(driver: ImageDriver, _: S3Config) -> None:
        client = client_of(bed)
        versioning = {"Status": "Enabled"}
        await client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration=versioning)
        await put(driver, "key", b"data")
        with unlisted(bed, OBJECTS, SETTLED):
            await driver.delete(context(), requests.DeleteObject(key="key"))
        assert await kinds(bed, "versions") == [OwnedKind.STORE]

    in_store(bed, "versions", work)


def test_numbers_that_are_far_apart_cost_no_more_requests(bed: Running) -> None:
    """Parts may have any numbers; those in between are not asked for one by one."""

    async def work(driver: ImageDriver, config: S3Config) -> None:
        client = breaking(driver)
        actors = Actors(S3ImageDriver(client, config), context)
        await actors.prepare(old=False)
        actors.sent["one"] = [await actors.part("one", 9_999, actors.content["one"][0])]
        client.left = 20
        await actors.complete_one()
        client.left = 1 << 30
        await actors.settle()
        assert await kinds(bed, "apart") == [OwnedKind.OBJECT] * 2 + [OwnedKind.STORE]

    in_store(bed, "apart", work)
