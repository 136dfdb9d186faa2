"""An export in which something stands that nobody put there, or that is full."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager

import pytest

from engines import require_engine
from holdfast.concurrency.runtime import runtime
from holdfast.contract import answers, requests
from holdfast.contract.answers import HealthState, OwnedKind, StoreState
from holdfast.contract.capabilities import ObjectKind
from holdfast.contract.errors import Corrupt, DriverError, Exhausted
from holdfast.contract.ports import ImageDriver
from holdfast.contract.requests import CallContext, Role
from holdfast.contract.testbed import Fault
from holdfast_drivers.nfs import NfsImageProvider
from holdfast_drivers.nfs.config import NfsImageConfig
from holdfast_drivers.nfs.image_testbed import NfsImageTestbed, nfs_image_testbed

pytestmark = pytest.mark.slow
NAMESPACE = "trouble"
STRANGERS = {
    "pipe": "mkfifo {}",
    "stray": "printf stray > {}",
    "link": "ln -s /etc/hostname {}",
    "nothing": "ln -s nothing {}",
    "folder": "mkdir {}",
    "sparse": "truncate -s 1T {}",
    "noise": "head -c 5000 /dev/urandom > {}",
}
ODD = ("Upper Case", "a.b.c", "$(printf '\\377\\033[2J')")


@pytest.fixture(autouse=True)
def _engine() -> None:
    require_engine()


def context() -> CallContext:
    """A call with some time."""
    return CallContext(operation="operation", deadline=runtime().now() + 60.0)


async def put(driver: ImageDriver, upload: str, key: str) -> None:
    """A small object."""
    data = key.encode()
    start = requests.StartUpload(upload=upload, key=key, kind=ObjectKind.ISO)
    await driver.start_upload(context(), start)
    part = await driver.upload_part(
        context(), requests.UploadPart(upload=upload, number=1, data=data)
    )
    await driver.complete_upload(
        context(),
        requests.CompleteUpload(
            upload=upload,
            parts=(part.part,),
            size_bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
        ),
    )


@asynccontextmanager
async def store() -> AsyncIterator[tuple[NfsImageTestbed, NfsImageConfig]]:
    """A store with an object and an open upload, on a server of its own."""
    async with nfs_image_testbed(runtime().new_id("test")) as testbed:
        config = testbed.config(Role.IMAGE, NAMESPACE)
        provider = NfsImageProvider()
        async with provider.life_cycle(config, Role.IMAGE) as life_cycle:
            await life_cycle.initialize(context(), requests.InitializeStore(name="images"))
            await life_cycle.attach(context(), requests.AttachHost(host="host"))
        async with provider.image(config) as driver:
            await put(driver, "first", "good")
            start = requests.StartUpload(upload="open", key="later", kind=ObjectKind.ISO)
            await driver.start_upload(context(), start)
            part = requests.UploadPart(upload="open", number=1, data=b"part")
            await driver.upload_part(context(), part)
        yield testbed, config


async def in_store(testbed: NfsImageTestbed, command: str) -> str:
    """Run a command in the store's folder."""
    where = f"cd $(find /export -type d -path '*{NAMESPACE}/image' | head -n 1)"
    done = await testbed.server.exec(("sh", "-ec", f"{where}; {command}"))
    assert not done.status, done.stderr
    return done.stdout.decode()


async def unreadable(testbed: NfsImageTestbed, driver: ImageDriver) -> list[answers.OwnedThing]:
    """What is set apart, told alike by driver and inspector."""
    stream = driver.enumerate(context(), requests.EnumerateOwned())
    found = [thing async for thing in stream if thing.kind is OwnedKind.UNREADABLE]
    inventory = await testbed.inspector(Role.IMAGE, NAMESPACE).inventory()
    seen = [thing for thing in inventory.things if thing.kind is OwnedKind.UNREADABLE]
    assert len(seen) == len(found)
    assert all(thing.reason for thing in found)
    assert all(thing.detail for thing in seen)
    assert all(f"{thing.id}{thing.reason}".isprintable() for thing in found)
    return found


def test_what_nobody_put_there_is_set_apart() -> None:
    """Each entry is named with a reason, all others are served, and each can be deleted."""

    async def story() -> None:
        async with store() as (testbed, config), NfsImageProvider().image(config) as driver:
            for folder in ("objects", "uploads"):
                for name, make in STRANGERS.items():
                    await in_store(testbed, make.format(f"{folder}/{name}"))
                for name in ODD:
                    await in_store(testbed, f'printf stray > {folder}/"{name}"')
            await in_store(testbed, "printf x > parts/stray; printf x > staging/stray")
            found = await unreadable(testbed, driver)
            assert len(found) == 2 * (len(STRANGERS) + len(ODD))
            await put(driver, "second", "new")
            page = await driver.list(context(), requests.ListObjects())
            assert [item.key for item in page.items] == ["good", "new"]
            health = await driver.health(context(), requests.CheckHealth())
            assert health.state is HealthState.UP
            await driver.stats(context(), requests.GetStats())
            for name in STRANGERS:
                with pytest.raises(Corrupt):
                    await driver.head(context(), requests.HeadObject(key=name))
                with pytest.raises(Corrupt):
                    await driver.get(context(), requests.GetObject(key=name))
                await driver.delete(context(), requests.DeleteObject(key=name))
                await driver.abort_upload(context(), requests.AbortUpload(upload=name))
            assert len(await unreadable(testbed, driver)) == 2 * len(ODD)

    asyncio.run(story())


@pytest.mark.parametrize("name", ["", "/objects", "/uploads", "/parts", "/staging", "/hosts"])
def test_a_folder_that_is_a_link_leads_nowhere(name: str) -> None:
    """Where a folder of the store is a link, nothing is read or changed where it leads."""

    async def story() -> None:
        async with store() as (testbed, config), NfsImageProvider().image(config) as driver:
            away = f"mv $PWD{name} /export/away; ln -s /export/away $PWD{name}"
            await in_store(testbed, f"cd /; cd $OLDPWD; {away}")
            listing = "cd /export/away; find . -printf '%p %s %y\\n' | sort"
            before = (await testbed.server.exec(("sh", "-ec", listing))).stdout
            calls: list[Awaitable[object]] = [
                put(driver, "second", "new"),
                driver.delete(context(), requests.DeleteObject(key="good")),
                driver.abort_upload(context(), requests.AbortUpload(upload="open")),
            ]
            refused = 0
            for call in calls:
                try:
                    await call
                except DriverError:
                    refused += 1
            assert refused or name == "/hosts"
            assert (await testbed.server.exec(("sh", "-ec", listing))).stdout == before

    asyncio.run(story())


def test_a_full_export_can_be_emptied() -> None:
    """All that reads or frees works, the store's rest and its end included."""

    async def story() -> None:
        async with store() as (testbed, config):
            if Fault.FULL not in testbed.faults:
                pytest.skip("the kernel lends no loop device for a disk that may be filled")
            provider = NfsImageProvider()
            async with testbed.inject(Fault.FULL):
                async with provider.life_cycle(config, Role.IMAGE) as life_cycle:
                    resting = await life_cycle.maintain(context(), requests.MaintainStore())
                    assert resting.state is StoreState.MAINTENANCE
                    cancel = requests.CancelMaintenance()
                    working = await life_cycle.cancel_maintenance(context(), cancel)
                    assert working.state is StoreState.UP
                async with provider.image(config) as driver:
                    part = requests.UploadPart(upload="open", number=2, data=bytes(1 << 20))
                    with pytest.raises(Exhausted):
                        await driver.upload_part(context(), part)
                    assert (await driver.head(context(), requests.HeadObject(key="good"))).id
                    await driver.delete(context(), requests.DeleteObject(key="good"))
                    await driver.abort_upload(context(), requests.AbortUpload(upload="open"))
                    stream = driver.enumerate(context(), requests.EnumerateOwned())
                    assert [thing.kind async for thing in stream] == [OwnedKind.STORE]
                async with provider.life_cycle(config, Role.IMAGE) as life_cycle:
                    await life_cycle.detach(context(), requests.DetachHost(host="host"))
                    await life_cycle.delete_store(context(), requests.DeleteStore())

    asyncio.run(story())
