"""Image stores on a real NFS server: two drivers at once, leftovers, and objects as one file."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from engines import require_engine
from holdfast.concurrency.runtime import runtime
from holdfast.contract import answers, requests
from holdfast.contract.answers import OwnedKind
from holdfast.contract.capabilities import ObjectKind
from holdfast.contract.errors import Busy, Corrupt, Unavailable
from holdfast.contract.ports import ImageDriver
from holdfast.contract.requests import CallContext, Role
from holdfast.contract.testbed import Fault
from holdfast_drivers.nfs import NfsImageProvider
from holdfast_drivers.nfs.config import NfsImageConfig
from holdfast_drivers.nfs.image_testbed import NfsImageTestbed, nfs_image_testbed
from holdfast_drivers.nfs.libnfs import Client

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _engine() -> None:
    require_engine()


def context(seconds: float = 20.0) -> CallContext:
    """A call with some time."""
    return CallContext(operation="operation", deadline=runtime().now() + seconds)


@asynccontextmanager
async def store() -> AsyncIterator[tuple[NfsImageTestbed, NfsImageConfig]]:
    """A store of its own on a server of its own."""
    async with nfs_image_testbed(runtime().new_id("test")) as testbed:
        config = testbed.config(Role.IMAGE, "Images of Tests")
        async with NfsImageProvider().life_cycle(config, Role.IMAGE) as life_cycle:
            await life_cycle.initialize(context(), requests.InitializeStore(name="images"))
        yield testbed, config


def completion(upload: str, data: bytes, part: answers.PartInfo) -> requests.CompleteUpload:
    """The request that makes an object of one part."""
    return requests.CompleteUpload(
        upload=upload,
        parts=(part.part,),
        size_bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
    )


async def sent(driver: ImageDriver, upload: str, key: str, data: bytes) -> answers.PartInfo:
    """An open upload with one part."""
    await driver.start_upload(
        context(), requests.StartUpload(upload=upload, key=key, kind=ObjectKind.TEMPLATE)
    )
    return await driver.upload_part(
        context(), requests.UploadPart(upload=upload, number=1, data=data)
    )


async def put(driver: ImageDriver, upload: str, key: str, data: bytes) -> answers.ObjectInfo:
    """An object."""
    part = await sent(driver, upload, key, data)
    return await driver.complete_upload(context(), completion(upload, data, part))


def test_two_drivers_at_once_leave_one_whole_object() -> None:
    """Two drivers that complete different uploads of one key at once leave one of the two, whole,
    and nothing else.
    """

    async def story() -> None:
        async with store() as (testbed, config):
            provider = NfsImageProvider()
            async with provider.image(config) as one, provider.image(config) as other:
                for attempt in range(10):
                    contents = [bytes([attempt, who]) * 100_000 for who in (1, 2)]
                    names = [f"upload-{attempt}-{who}" for who in (1, 2)]
                    await asyncio.gather(
                        *(
                            put(driver, name, "template", data)
                            for driver, name, data in zip(
                                (one, other), names, contents, strict=True
                            )
                        ),
                        return_exceptions=True,
                    )
                    got = await one.get(context(), requests.GetObject(key="template"))
                    assert got.data in contents
                for name in (f"upload-{n}-{who}" for n in range(10) for who in (1, 2)):
                    await one.abort_upload(context(), requests.AbortUpload(upload=name))
                kept = await one.get(context(), requests.GetObject(key="template"))
                things = (await testbed.inspector(Role.IMAGE, config.namespace).inventory()).things
                assert [thing.kind for thing in things] == [OwnedKind.OBJECT, OwnedKind.STORE]
                assert things[0].digest == hashlib.sha256(kept.data).hexdigest()

    asyncio.run(story())


def test_a_repeated_completion_is_the_same_object_in_both_drivers() -> None:
    """The same upload, completed by two drivers at once, is one object with one id."""

    async def story() -> None:
        async with store() as (_, config):
            provider = NfsImageProvider()
            async with provider.image(config) as one, provider.image(config) as other:
                data = b"bytes" * 1000
                part = await sent(one, "upload", "iso", data)
                found = await asyncio.gather(
                    *(
                        driver.complete_upload(context(), completion("upload", data, part))
                        for driver in (one, other)
                    ),
                    return_exceptions=True,
                )
                again = await other.complete_upload(context(), completion("upload", data, part))
                made = [answer for answer in found if not isinstance(answer, BaseException)]
                assert made
                assert all(answer == again for answer in made)
                failed = [answer for answer in found if isinstance(answer, BaseException)]
                assert [error for error in failed if not isinstance(error, Busy)] == []

    asyncio.run(story())


def test_a_reader_sees_the_old_object_or_the_new_one() -> None:
    """While an object is replaced again and again, every reader gets one of its versions, whole."""

    async def story() -> None:
        async with store() as (_, config):
            provider = NfsImageProvider()
            async with provider.image(config) as writer, provider.image(config) as reader:
                versions = [bytes([version]) * (70_000 + version) for version in range(20)]
                await put(writer, "upload-0", "template", versions[0])
                ended = asyncio.Event()

                async def write() -> None:
                    for number, data in enumerate(versions):
                        await put(writer, f"upload-{number}", "template", data)
                    ended.set()

                writing = asyncio.create_task(write())
                read = 0
                while not ended.is_set():
                    got = await reader.get(context(), requests.GetObject(key="template"))
                    assert got.data in versions
                    read += 1
                await writing
                assert read

    asyncio.run(story())


def test_an_object_that_was_cut_short_is_corrupt() -> None:
    """An object's file without its end is told as Corrupt, and never served."""

    async def story() -> None:
        async with store() as (_, config), NfsImageProvider().image(config) as driver:
            await put(driver, "upload", "template", b"x" * 5000)
            client = Client(config.address(), lambda: 10.0)
            path = f"/{config.folder}/%49mages%20of%20%54ests/image/objects/template"
            whole = client.read(path)
            client.unlink(path)
            client.write_new(path, whole[:-512])
            client.close()
            with pytest.raises(Corrupt, match="cut short"):
                await driver.head(context(), requests.HeadObject(key="template"))
            with pytest.raises(Corrupt, match="cut short"):
                await driver.get(context(), requests.GetObject(key="template"))

    asyncio.run(story())


def test_the_server_may_end_and_start_between_calls() -> None:
    """A driver finds its store again after the server was killed and started, without an error."""

    async def story() -> None:
        async with store() as (testbed, config), NfsImageProvider().image(config) as driver:
            made = await put(driver, "upload", "template", b"kept")
            async with testbed.inject(Fault.KILLED):
                pass
            assert await driver.head(context(), requests.HeadObject(key="template")) == made
            async with testbed.inject(Fault.DOWN):
                with pytest.raises(Unavailable, match="server"):
                    await driver.delete(context(), requests.DeleteObject(key="template"))
            assert await driver.head(context(), requests.HeadObject(key="template")) == made

    asyncio.run(story())
