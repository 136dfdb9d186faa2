"""A bucket that keeps versions: the driver leaves none behind, and whatever is left is seen."""

import contextlib
import os
from collections.abc import Awaitable, Callable, Iterator

import pytest

from holdfast.contract import requests
from holdfast.contract.answers import Gone, OwnedKind
from holdfast.contract.capabilities import ObjectKind
from holdfast.contract.errors import Unknown
from holdfast.contract.ports import ImageDriver
from holdfast.contract.requests import Role
from holdfast_drivers.s3.config import S3Config
from holdfast_drivers.s3.image_driver import S3ImageDriver
from holdfast_drivers.s3.testbed import BUCKET
from running_testbeds import Backend, Running, running
from s3_stores import KINDS, breaking, client_of, context, get, in_store, put
from sweeps import Sweep

pytestmark = pytest.mark.slow
REQUESTS_MAX = 40


@pytest.fixture(scope="module", params=KINDS)
def bed(request: pytest.FixtureRequest) -> Iterator[Running]:
    """A server whose bucket keeps versions."""
    name = f"test-s3-versions-{os.getpid()}"
    with running(Backend(provider="s3", kind=request.param), name) as found:
        versioning = {"Status": "Enabled"}
        found.run(
            client_of(found).put_bucket_versioning(
                Bucket=BUCKET, VersioningConfiguration=versioning
            )
        )
        yield found


async def stored(bed: Running, namespace: str) -> list[tuple[str, bool]]:
    """Every version under a prefix, and every mark of a deletion: names, and what is present."""
    found = await client_of(bed).list_object_versions(Bucket=BUCKET, Prefix=f"{namespace}/")
    marks = [(one["Key"], False) for one in found.get("DeleteMarkers", ())]
    return marks + [(one["Key"], one["IsLatest"]) for one in found.get("Versions", ())]


async def leftovers(bed: Running, driver: ImageDriver, namespace: str) -> tuple[int, int]:
    """How many leftovers the inspector sees, and how many the driver tells of."""
    things = (await bed.testbed.inspector(Role.IMAGE, namespace).inventory()).things
    stream = driver.enumerate(context(), requests.EnumerateOwned())
    told = [thing.kind async for thing in stream]
    seen = [thing.kind for thing in things]
    return seen.count(OwnedKind.TEMPORARY), told.count(OwnedKind.TEMPORARY)


def test_nothing_is_left_in_a_versioned_bucket(bed: Running) -> None:
    """Replaced and deleted objects, ended uploads and a store given back leave no version."""

    async def work(driver: ImageDriver, config: S3Config) -> None:
        await put(driver, "key", b"first", upload="one")
        await put(driver, "key", b"second", b"half", upload="two")
        await driver.copy(context(), requests.CopyObject(key="key", target="copied"))
        start = requests.StartUpload(upload="up", key="key", kind=ObjectKind.ISO)
        await driver.start_upload(context(), start)
        for number in (1, 2, 2):
            part = requests.UploadPart(upload="up", number=number, data=b"part")
            await driver.upload_part(context(), part)
        await driver.abort_upload(context(), requests.AbortUpload(upload="up"))
        assert await get(driver, "key") == b"secondhalf"
        assert all(present for _, present in await stored(bed, "versions"))
        assert await leftovers(bed, driver, "versions") == (0, 0)
        for key in ("key", "copied"):
            await driver.delete(context(), requests.DeleteObject(key=key))
        async with bed.provider.life_cycle(config, Role.IMAGE) as life_cycle:
            await life_cycle.delete_store(context(), requests.DeleteStore())
        assert await stored(bed, "versions") == []

    in_store(bed, "versions", work)


def test_what_somebody_left_is_seen_and_goes_with_the_store(bed: Running) -> None:
    """A past version and a mark of a deletion are told of, and removed with the store."""

    async def work(driver: ImageDriver, config: S3Config) -> None:
        client = client_of(bed)
        for body in (b"1", b"2"):
            await client.put_object(Bucket=BUCKET, Key="seen/parts/up-0/00001", Body=body)
        await client.delete_object(Bucket=BUCKET, Key="seen/parts/up-0/00001")
        assert len(await stored(bed, "seen")) == 4
        assert await leftovers(bed, driver, "seen") == (3, 3)
        async with bed.provider.life_cycle(config, Role.IMAGE) as life_cycle:
            await life_cycle.delete_store(context(), requests.DeleteStore())
        assert await stored(bed, "seen") == []

    in_store(bed, "seen", work)


async def _replaced(driver: ImageDriver) -> object:
    return await put(driver, "key", b"second", b"half", upload="two")


async def _deleted(driver: ImageDriver) -> object:
    return await driver.delete(context(), requests.DeleteObject(key="key"))


async def _aborted(driver: ImageDriver) -> object:
    return await driver.abort_upload(context(), requests.AbortUpload(upload="open"))


VERBS = (_replaced, _deleted, _aborted)


@pytest.mark.parametrize("verb", VERBS)
def test_a_call_that_breaks_off_anywhere_leaves_no_version(
    bed: Running, verb: Callable[[ImageDriver], Awaitable[object]]
) -> None:
    """What a killed call left in a versioned bucket is told of, and goes with its repetition."""

    async def work(driver: ImageDriver, config: S3Config) -> None:
        broken = breaking(driver)
        dying = S3ImageDriver(broken, config)
        for at in (sweep := Sweep(REQUESTS_MAX, VERBS.index(verb), every=2)):
            await put(driver, "key", b"first", upload="one")
            start = requests.StartUpload(upload="open", key="later", kind=ObjectKind.ISO)
            await driver.start_upload(context(), start)
            part = requests.UploadPart(upload="open", number=1, data=b"part")
            await driver.upload_part(context(), part)
            broken.left = at
            with contextlib.suppress(Unknown):
                await verb(dying)
            died = broken.left < 0
            seen, told = await leftovers(bed, driver, "killed")
            assert seen == told
            await verb(driver)
            assert await leftovers(bed, driver, "killed") == (0, 0)
            assert all(present for _, present in await stored(bed, "killed"))
            for upload in ("open", "two"):
                await driver.abort_upload(context(), requests.AbortUpload(upload=upload))
            assert await _deleted(driver) == Gone(key="key")
            sweep.at_place(died)

    in_store(bed, "killed", work)
