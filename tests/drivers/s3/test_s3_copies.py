"""Copies inside a genuine S3 server: whole, independent, never over another object."""

import asyncio
import contextlib
import os
from collections.abc import Iterator

import pytest

from holdfast.contract import requests
from holdfast.contract.answers import Absent, Done, ObjectInfo, OwnedKind, Partial
from holdfast.contract.errors import Conflict, NotFound, Precondition, Unknown
from holdfast.contract.ports import ImageDriver
from holdfast.contract.requests import Role
from holdfast_drivers.s3 import copying
from holdfast_drivers.s3.config import S3Config
from holdfast_drivers.s3.image_driver import S3ImageDriver
from running_testbeds import Backend, Running, running
from s3_stores import KINDS, breaking, context, get, in_store, put
from sweeps import Sweep

pytestmark = pytest.mark.slow
MIB = 1 << 20
LARGE = [bytes([number]) * size for number, size in enumerate((6 * MIB, 3, 7 * MIB))]
REQUESTS_MAX = 20


@pytest.fixture(scope="module", params=KINDS)
def bed(request: pytest.FixtureRequest) -> Iterator[Running]:
    name = f"test-s3-copies-{os.getpid()}"
    with running(Backend(provider="s3", kind=request.param), name) as found:
        yield found


async def copy(driver: ImageDriver, key: str, target: str) -> ObjectInfo:
    return await driver.copy(context(), requests.CopyObject(key=key, target=target))


@pytest.mark.parametrize("parts", [(b"small",), (), LARGE], ids=["small", "empty", "large"])
def test_a_copy_is_whole_and_independent(
    bed: Running, parts: tuple[bytes, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy has bytes, kind and digest of its source, a new id, and outlives its source."""
    monkeypatch.setattr(copying, "SPAN_BYTES", 5 * MIB)
    whole = b"".join(parts)

    async def work(driver: ImageDriver, _: S3Config) -> None:
        await put(driver, "source", *parts)
        source = await driver.head(context(), requests.HeadObject(key="source"))
        made = await copy(driver, "source", "target")
        assert made.id != source.id
        assert (made.key, made.sha256, made.kind) == ("target", source.sha256, source.kind)
        assert await copy(driver, "source", "target") == made
        assert await copy(driver, "target", "target") == made
        await driver.delete(context(), requests.DeleteObject(key="source"))
        assert await get(driver, "target") == whole
        with pytest.raises(NotFound):
            await copy(driver, "source", "target")
        await driver.delete(context(), requests.DeleteObject(key="target"))
        assert await _things(bed, "independent") == []

    in_store(bed, "independent", work)


@pytest.mark.parametrize("parts", [(b"small",), LARGE], ids=["small", "large"])
def test_a_copy_never_takes_another_objects_place(bed: Running, parts: tuple[bytes, ...]) -> None:
    """A taken target is a conflict and stays; of two copies at once to one key one is made.

    SeaweedFS itself may let both end their multipart uploads: then one of them is there, whole.
    """
    ends_both = bed.testbed.identity.vendor == "SeaweedFS" and len(parts) > 1

    async def work(driver: ImageDriver, config: S3Config) -> None:
        await put(driver, "one", *parts)
        await put(driver, "other", b"other", *parts)
        await put(driver, "taken", b"taken")
        with pytest.raises(Conflict):
            await copy(driver, "one", "taken")
        assert await get(driver, "taken") == b"taken"
        found = await asyncio.gather(
            copy(driver, "one", "raced"), copy(driver, "other", "raced"), return_exceptions=True
        )
        made = [one for one in found if isinstance(one, ObjectInfo)]
        lost = [one for one in found if not isinstance(one, ObjectInfo)]
        assert len(made) == 1 or (ends_both and (len(made) == 2 or Unknown in map(type, lost)))
        # Who is interrupted by the other cannot know what became of the call.
        assert all(isinstance(error, Conflict | Unknown) for error in lost)
        there = await driver.head(context(), requests.HeadObject(key="raced"))
        assert there in made or not made
        await copy(driver, "raced", "raced")
        kinds = [kind for kind, _ in await _things(bed, "races")]
        assert kinds == [OwnedKind.OBJECT] * 4
        async with bed.provider.life_cycle(config, Role.IMAGE) as life_cycle:
            await life_cycle.maintain(context(), requests.MaintainStore())
        with pytest.raises(Precondition):
            await copy(driver, "one", "rests")

    in_store(bed, "races", work)


@pytest.mark.parametrize("parts", [(b"small",), LARGE], ids=["small", "large"])
@pytest.mark.parametrize("after", ["repeated", "deleted"])
def test_a_copy_that_breaks_off_anywhere(
    bed: Running, parts: tuple[bytes, ...], after: str
) -> None:
    """Whatever is left is told of, and goes with the repetition or with the target."""

    async def work(driver: ImageDriver, config: S3Config) -> None:
        await put(driver, "source", *parts)
        request = requests.CopyObject(key="source", target="target")
        broken = breaking(driver)
        dying = S3ImageDriver(broken, config)
        for at in (sweep := Sweep(REQUESTS_MAX)):
            broken.left = at
            with contextlib.suppress(Unknown):
                await dying.copy(context(), request)
            died = broken.left < 0
            await _told(bed, driver, request)
            if after == "repeated":
                made = await driver.copy(context(), request)
                probed = await driver.probe(context(), "copy", request)
                assert probed == Done(answer=made)
            await driver.delete(context(), requests.DeleteObject(key="target"))
            assert await driver.probe(context(), "copy", request) == Absent()
            assert await _things(bed, "broken") == [(OwnedKind.OBJECT, "source")]
            assert await _owned(driver) == [(OwnedKind.OBJECT, "source")]
            sweep.at_place(died)

    in_store(bed, "broken", work)


async def _told(bed: Running, driver: ImageDriver, request: requests.CopyObject) -> None:
    """What is there, what is enumerated and what is probed agree."""
    things = await _things(bed, "broken")
    probed = await driver.probe(context(), "copy", request)
    left = [kind for kind, _ in things if kind is OwnedKind.TEMPORARY]
    assert bool(left) == isinstance(probed, Partial)
    assert isinstance(probed, Done) <= ((OwnedKind.OBJECT, "target") in things)
    owned = [kind for kind, _ in await _owned(driver)]
    assert bool(left) == (OwnedKind.TEMPORARY in owned)


async def _things(bed: Running, namespace: str) -> list[tuple[OwnedKind, str]]:
    found = (await bed.testbed.inspector(Role.IMAGE, namespace).inventory()).things
    return [(thing.kind, thing.key) for thing in found if thing.kind is not OwnedKind.STORE]


async def _owned(driver: ImageDriver) -> list[tuple[OwnedKind, str]]:
    stream = driver.enumerate(context(), requests.EnumerateOwned())
    found = [(thing.kind, thing.key) async for thing in stream]
    return [one for one in found if one[0] is not OwnedKind.STORE]
