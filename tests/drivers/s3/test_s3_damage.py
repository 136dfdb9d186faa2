"""Objects and upload rows in a bucket that are not what the driver stored."""

import os
from collections.abc import Iterator

import pytest

from holdfast.contract import requests
from holdfast.contract.answers import OwnedKind
from holdfast.contract.errors import Corrupt
from holdfast.contract.ports import ImageDriver
from holdfast.contract.requests import Role
from holdfast_drivers.object_server_call import Call
from holdfast_drivers.s3.config import S3Config
from holdfast_drivers.s3.connecting import open_bucket
from holdfast_drivers.s3.rows import object_name, upload_name
from running_testbeds import Backend, Running, running
from s3_stores import context, get, in_store, put

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bed() -> Iterator[Running]:
    backend = Backend(provider="s3", kind="embedded")
    with running(backend, f"test-s3-damage-{os.getpid()}") as found:
        yield found


def test_what_is_damaged_is_set_apart(bed: Running) -> None:
    """It is named with a reason, all others are served, and it can be deleted by its key."""

    async def work(driver: ImageDriver, config: S3Config) -> None:
        await put(driver, "good", b"good")
        async with open_bucket(config) as bucket:
            call = Call(context())
            await bucket.put(call, object_name("bad"), b"bytes without any record")
            await bucket.put(call, upload_name("cut"), b'{"key":"cu')
            await bucket.put(call, upload_name("text"), b'{"key":"\xff"}')
        stream = driver.enumerate(context(), requests.EnumerateOwned())
        things = [thing async for thing in stream]
        apart = [thing for thing in things if thing.kind is OwnedKind.UNREADABLE]
        assert sorted(thing.key for thing in apart) == ["bad", "cut", "text"]
        assert all(thing.reason for thing in apart)
        kinds = sorted(thing.kind for thing in things if thing not in apart)
        assert kinds == [OwnedKind.OBJECT, OwnedKind.STORE]
        page = await driver.list(context(), requests.ListObjects())
        assert [item.key for item in page.items] == ["good"]
        await driver.stats(context(), requests.GetStats())
        assert await get(driver, "good") == b"good"
        with pytest.raises(Corrupt):
            await driver.head(context(), requests.HeadObject(key="bad"))
        await driver.delete(context(), requests.DeleteObject(key="bad"))
        for upload in ("cut", "text"):
            await driver.abort_upload(context(), requests.AbortUpload(upload=upload))
        stream = driver.enumerate(context(), requests.EnumerateOwned())
        kinds = sorted([thing.kind async for thing in stream])
        assert kinds == [OwnedKind.OBJECT, OwnedKind.STORE]

    in_store(bed, f"damaged-{Role.IMAGE}", work)
