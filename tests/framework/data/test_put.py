"""Whole objects over upload verbs: part sizes, one-part stores, failures that leave nothing."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest

from holdfast.contract import answers, requests
from holdfast.contract.capabilities import ImageCapabilities, ObjectKind, UploadCapabilities
from holdfast.contract.errors import Busy, Corrupt, OutOfRange, Unknown
from holdfast.contract.handles import FileHandle
from holdfast.contract.ports import ImageDriver
from holdfast.contract.requests import CallContext, Role
from holdfast.data import open_block_io
from holdfast.data.whole_objects import (
    PART_BYTES,
    ObjectName,
    part_size,
    put_object,
    read_blocks,
    read_object,
)
from holdfast_drivers.local import LocalProvider
from holdfast_drivers.local.config import LocalConfig
from holdfast_drivers.local.image_driver import LocalImageDriver
from holdfast_drivers.local.store_folder import Place

T = TypeVar("T")
MIB = 1 << 20
NAME = ObjectName(upload="up", key="key", kind=ObjectKind.TEMPLATE)


def context() -> CallContext:
    return CallContext(operation="op-test", deadline=1e12)


class Counting(LocalImageDriver):
    """The local driver with smaller limits; counts the parts that are sent."""

    sent = 0
    lost = False
    ranges = True

    @property
    def capabilities(self) -> ImageCapabilities:
        declared = super().capabilities
        return declared if self.ranges else msgspec.structs.replace(declared, range=None)

    async def upload_part(self, ctx: CallContext, request: requests.UploadPart) -> answers.PartInfo:
        self.sent += 1
        return await super().upload_part(ctx, request)

    async def complete_upload(
        self, ctx: CallContext, request: requests.CompleteUpload
    ) -> answers.ObjectInfo:
        answer = await super().complete_upload(ctx, request)
        if self.lost:
            raise Unknown("the answer was lost")
        return answer


def with_driver(root: Path, use: Callable[[Counting], Awaitable[T]], **limits: int) -> T:
    """Use an image store whose upload limits are these."""

    async def main() -> T:
        config = LocalConfig(root=str(root), namespace="space")
        async with AsyncExitStack() as stack:
            life_cycle = await stack.enter_async_context(
                LocalProvider().life_cycle(config, Role.IMAGE)
            )
            await life_cycle.initialize(context(), requests.InitializeStore(name="store"))
            real = await stack.enter_async_context(LocalProvider().image(config))
            upload = msgspec.structs.replace(real.capabilities.upload, **limits)
            declared = msgspec.structs.replace(real.capabilities, upload=upload)
            return await use(Counting(Place(config, Role.IMAGE), declared))

    return asyncio.run(main())


async def chunks(*data: bytes) -> AsyncIterator[bytes]:
    for chunk in data:
        yield chunk


async def left(driver: ImageDriver) -> list[str]:
    stream = driver.enumerate(context(), requests.EnumerateOwned())
    return [thing.key async for thing in stream if thing.kind is not answers.OwnedKind.STORE]


async def content(driver: ImageDriver) -> bytes:
    return b"".join([chunk async for chunk in read_object(driver, context, "key")])


def limits(**changes: int) -> UploadCapabilities:
    made = UploadCapabilities(
        object_max_bytes=1 << 40, part_min_bytes=1, part_max_bytes=1 << 30, parts_max=1000
    )
    return msgspec.structs.replace(made, **changes)


@pytest.mark.parametrize(
    ("allowed", "size_bytes", "expected"),
    [
        (limits(), 10, PART_BYTES),
        (limits(), 1 << 35, -(-(1 << 35) // 1000)),
        (limits(part_max_bytes=100), 10, 100),
        (limits(part_min_bytes=16 * MIB), 10, 16 * MIB),
        (limits(parts_max=1), 100 * MIB, 100 * MIB),
        (limits(parts_max=1), None, 1 << 30),
        (limits(), None, 1 << 30),
        (limits(object_max_bytes=1 << 33), None, -(-(1 << 33) // 1000)),
    ],
)
def test_parts_are_as_large_as_they_must_be(
    allowed: UploadCapabilities, size_bytes: int | None, expected: int
) -> None:
    """A part is 8 MiB unless the store's limits or the object's size ask for another size."""
    assert part_size(allowed, size_bytes) == expected


@pytest.mark.parametrize(
    ("allowed", "size_bytes"),
    [(limits(object_max_bytes=9), 10), (limits(parts_max=2, part_max_bytes=4), 9)],
)
def test_what_cannot_fit_is_refused_before_anything_is_sent(
    allowed: UploadCapabilities, size_bytes: int
) -> None:
    """An object larger than the store can hold, or than its parts can carry, is ``OutOfRange``."""
    with pytest.raises(OutOfRange):
        part_size(allowed, size_bytes)


@pytest.mark.parametrize(("parts_max", "sent"), [(1, 1), (2, 2), (100, 3)])
def test_an_object_is_what_was_sent_in_any_number_of_parts(
    tmp_path: Path, parts_max: int, sent: int
) -> None:
    """However the source cuts its bytes and the store its parts, the object is their sum."""

    async def use(driver: Counting) -> tuple[int, str, bytes]:
        stored = await put_object(
            driver, context, NAME, chunks(b"abc", b"", b"defgh"), size_bytes=8
        )
        return driver.sent, stored.sha256, await content(driver)

    part_max = {1: 8, 2: 4, 100: 3}[parts_max]
    assert with_driver(tmp_path, use, parts_max=parts_max, part_max_bytes=part_max) == (
        sent,
        hashlib.sha256(b"abcdefgh").hexdigest(),
        b"abcdefgh",
    )


def test_an_empty_source_makes_an_empty_object(tmp_path: Path) -> None:
    """No part is sent for an object of 0 bytes, and it reads as such."""

    async def use(driver: Counting) -> tuple[int, int, bytes]:
        stored = await put_object(driver, context, NAME, chunks())
        return driver.sent, stored.size_bytes, await content(driver)

    assert with_driver(tmp_path, use) == (0, 0, b"")


@pytest.mark.parametrize("size_bytes", [7, 9])
def test_a_source_of_another_length_is_corrupt(tmp_path: Path, size_bytes: int) -> None:
    """A source that ends early or late makes no object and leaves no upload."""

    async def use(driver: Counting) -> list[str]:
        with pytest.raises(Corrupt):
            await put_object(driver, context, NAME, chunks(b"12345678"), size_bytes=size_bytes)
        return await left(driver)

    assert with_driver(tmp_path, use) == []


def test_a_source_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """The source's own error is what the caller sees, and the upload is gone."""

    async def broken() -> AsyncIterator[bytes]:
        yield b"some"
        raise ConnectionResetError

    async def use(driver: Counting) -> list[str]:
        with pytest.raises(ConnectionResetError):
            await put_object(driver, context, NAME, broken())
        return await left(driver)

    assert with_driver(tmp_path, use, part_max_bytes=2) == []


def test_too_many_parts_leave_nothing(tmp_path: Path) -> None:
    """A source of unknown length that does not fit is ``OutOfRange`` and leaves nothing."""

    async def use(driver: Counting) -> list[str]:
        with pytest.raises(OutOfRange):
            await put_object(driver, context, NAME, chunks(b"12345678"))
        return await left(driver)

    assert with_driver(tmp_path, use, part_max_bytes=2, parts_max=3) == []


def test_an_upload_whose_answer_was_lost_is_left_for_a_probe(tmp_path: Path) -> None:
    """After an uncertain error nothing is aborted: here the object had been made."""

    async def use(driver: Counting) -> list[str]:
        driver.lost = True
        with pytest.raises(Unknown):
            await put_object(driver, context, NAME, chunks(b"content"))
        return await left(driver)

    assert with_driver(tmp_path, use) == ["key"]


def test_a_volume_becomes_an_object_and_is_read_by_ranges(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything behind a handle arrives, holes as zeroes, in reads of bounded size."""
    monkeypatch.setattr("holdfast.data.whole_objects.READ_BYTES", 1000)
    (tmp_path / "volume").write_bytes(b"x" * 1500 + bytes(1500))
    handle = FileHandle(path=str(tmp_path / "volume"), size_bytes=3000, read_only=True)

    async def use(driver: Counting) -> tuple[bytes, bytes]:
        async with open_block_io(handle) as volume:
            await put_object(driver, context, NAME, read_blocks(volume))
            middle = [data async for data in read_blocks(volume, offset_bytes=1499, length_bytes=2)]
        return await content(driver), b"".join(middle)

    assert with_driver(tmp_path, use) == (b"x" * 1500 + bytes(1500), b"x\0")


def test_without_ranges_an_object_is_read_at_once(tmp_path: Path) -> None:
    """A store that reads no ranges gives the whole object, checked all the same."""

    async def use(driver: Counting) -> bytes:
        await put_object(driver, context, NAME, chunks(b"content"))
        driver.ranges = False
        return await content(driver)

    assert with_driver(tmp_path, use) == b"content"


def test_an_object_that_is_replaced_while_it_is_read_is_busy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bytes of two objects are never mixed: the reader is told to start again."""
    monkeypatch.setattr("holdfast.data.whole_objects.READ_BYTES", 4)

    async def use(driver: Counting) -> list[bytes]:
        await put_object(driver, context, NAME, chunks(b"old-old-"))
        seen: list[bytes] = []

        async def read() -> None:
            async for chunk in read_object(driver, context, "key"):
                seen.append(chunk)
                again = msgspec.structs.replace(NAME, upload="again")
                await put_object(driver, context, again, chunks(b"new-new-"))

        with pytest.raises(Busy):
            await read()
        return seen

    assert with_driver(tmp_path, use) == [b"old-"]
