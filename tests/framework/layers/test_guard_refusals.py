"""What never reaches a driver: the undeclared, and what cannot work."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guarded import (
    BARE,
    BARE_IMAGE,
    CTX,
    FULL,
    FULL_IMAGE,
    HANDLE,
    QOS,
    Scripted,
    call,
    completing,
    image,
    part,
    primary,
)
from holdfast.contract import answers, requests
from holdfast.contract.capabilities import (
    AccessMode,
    ImageCapabilities,
    ObjectKind,
    PrimaryCapabilities,
)
from holdfast.contract.errors import DriverError, Invalid, OutOfRange, Unsupported
from holdfast.contract.requests import Request, verb_of

NO_DIGESTS = ("", "A" * 64, "0" * 63, "0" * 65, "g" * 64, "0" * 64 + "\n")
"""Two ways to write one digest would be two digests to whoever keeps it as text."""
UNDECLARED: list[tuple[PrimaryCapabilities, Request]] = [
    (BARE, requests.ResizeVolume(key="v", size_bytes=4096)),
    (FULL, requests.ResizeVolume(key="v", size_bytes=4096, shrink=True)),
    (BARE, requests.ModifyVolume(key="v", qos=QOS)),
    (BARE, requests.CreateSnapshot(key="s", volume="v")),
    (BARE, requests.GetSnapshot(key="s")),
    (BARE, requests.ListSnapshots()),
    (BARE, requests.DeleteSnapshot(key="s")),
    (FULL, requests.RevertVolume(key="v", snapshot="s")),
    (FULL, requests.CopyVolume(key="v", target="w")),
    (FULL, requests.Grant(volume="v", host="h", mode=AccessMode.SHARED)),
    (FULL, requests.GetStats(volume="v")),
    (
        BARE,
        requests.CreateVolume(key="v", size_bytes=4096, source=requests.SnapshotSource("s")),
    ),
    (FULL, requests.CreateVolume(key="v", size_bytes=4096, source=requests.VolumeSource("w"))),
    (
        FULL,
        requests.CreateVolume(key="v", size_bytes=4096, source=requests.DataSource(HANDLE, 1)),
    ),
    (FULL, requests.HeadObject(key="o")),
]
UNDECLARED_IMAGE: list[tuple[ImageCapabilities, Request]] = [
    (FULL_IMAGE, requests.StartUpload(upload="u", key="o", kind=ObjectKind.TEMPLATE)),
    (BARE_IMAGE, requests.GetObject(key="o", offset_bytes=1)),
    (BARE_IMAGE, requests.GetObject(key="o", length_bytes=1)),
    (FULL_IMAGE, requests.GetObject(key="o", offset_bytes=-1)),
    (FULL_IMAGE, requests.ListObjects(delimiter="/", limit=1)),
    (FULL_IMAGE, requests.CopyObject(key="o", target="p")),
    (BARE_IMAGE, requests.TemporaryUrl(key="o", expires_s=1.0)),
    (FULL_IMAGE, requests.GetStats(volume="v")),
]


@pytest.mark.parametrize(("declared", "request_"), UNDECLARED)
def test_a_primary_driver_never_sees_the_undeclared(
    declared: PrimaryCapabilities, request_: Request
) -> None:
    """What a primary store does not declare is Unsupported before the driver is asked."""
    driver = Scripted(declared)
    guard = primary(driver)
    verb = verb_of(request_)
    asked: Any = getattr(guard, verb, guard.get_volume)
    with pytest.raises(Unsupported) as caught:
        asyncio.run(asked(CTX, request_))

    assert driver.asked == []
    assert caught.value.verb == verb


@pytest.mark.parametrize(("declared", "request_"), UNDECLARED_IMAGE)
def test_an_image_driver_never_sees_the_undeclared(
    declared: ImageCapabilities, request_: Request
) -> None:
    """What an image store does not declare is Unsupported before the driver is asked."""
    driver = Scripted(declared)
    with pytest.raises(Unsupported) as caught:
        call(image(driver), request_)

    assert driver.asked == []
    assert caught.value.verb == verb_of(request_)


def sized(size_bytes: int) -> Request:
    return requests.CreateVolume(key="v", size_bytes=size_bytes)


WRONG: list[tuple[type[DriverError], Request]] = [
    (Invalid, requests.GetVolume(key="")),
    (Invalid, requests.GetVolume(key="x" * 129)),
    (Invalid, requests.GetVolume(key="é" * 65)),
    (Invalid, requests.GetVolume(key="a\0b")),
    (Invalid, requests.GetVolume(key="\ud800")),
    (Invalid, requests.Grant(volume="v", host="")),
    (Invalid, requests.ListVolumes(limit=0)),
    (Invalid, sized(0)),
    (Invalid, sized(-1)),
    (OutOfRange, sized(1)),
    (OutOfRange, sized(4095)),
    (OutOfRange, sized(40961)),
    (OutOfRange, sized(2**63 - 1)),
    (OutOfRange, requests.ResizeVolume(key="v", size_bytes=40961)),
    (Invalid, requests.ModifyVolume(key="v", qos=requests.Qos(iops_min=50, iops_max=20))),
    (OutOfRange, requests.ModifyVolume(key="v", qos=requests.Qos(iops_min=5, iops_max=20))),
    (OutOfRange, requests.ModifyVolume(key="v", qos=requests.Qos(iops_min=20, iops_max=101))),
]
WRONG_IMAGE: list[tuple[type[DriverError], Request]] = [
    (OutOfRange, requests.UploadPart(upload="u", number=0, data=b"")),
    (OutOfRange, requests.UploadPart(upload="u", number=4, data=b"")),
    (OutOfRange, requests.UploadPart(upload="u", number=1, data=b"x" * 41)),
    *((Invalid, completing(part(1, 10), sha256=digest)) for digest in NO_DIGESTS),
    (OutOfRange, completing(part(1, 9), part(2, 40))),
    (OutOfRange, completing(part(2, 9), part(3, 1))),
    (OutOfRange, completing(part(1, 40), part(2, 40), part(3, 40))),
    (OutOfRange, completing(*(part(n, 10) for n in range(1, 5)))),
    (OutOfRange, requests.ListObjects(limit=6)),
    (Invalid, requests.ListObjects(limit=0)),
    (Invalid, requests.GetObject(key="o", length_bytes=0)),
    (Invalid, requests.TemporaryUrl(key="o", expires_s=0.0)),
    (OutOfRange, requests.TemporaryUrl(key="o", expires_s=61.0)),
    (
        Invalid,
        requests.StartUpload(upload="u", key="o", kind=ObjectKind.ISO, content_type="a\nb"),
    ),
]


@pytest.mark.parametrize(("error", "request_"), WRONG)
def test_a_primary_driver_never_sees_what_cannot_work(
    error: type[DriverError], request_: Request
) -> None:
    """Keys and numbers that can never work are refused before the driver is asked."""
    driver = Scripted(FULL)
    with pytest.raises(error) as caught:
        call(primary(driver), request_)

    assert driver.asked == []
    assert caught.value.verb == verb_of(request_)


@pytest.mark.parametrize(("error", "request_"), WRONG_IMAGE)
def test_an_image_driver_never_sees_what_cannot_work(
    error: type[DriverError], request_: Request
) -> None:
    """Numbers outside the declared limits are refused before the driver is asked."""
    driver = Scripted(FULL_IMAGE)
    with pytest.raises(error):
        call(image(driver), request_)

    assert driver.asked == []


@pytest.mark.slow
@given(st.text(min_size=1, max_size=128))
def test_every_key_of_the_contract_reaches_the_driver_as_it_is(key: str) -> None:
    """A key of 1 to 128 bytes of UTF-8 without NUL passes, and any other is Invalid."""
    driver = Scripted(FULL, answers.VolumeInfo(key=key, id="id", size_bytes=4096))
    try:
        proper = "\0" not in key and len(key.encode()) <= 128
    except UnicodeEncodeError:
        proper = False
    if proper:
        assert call(primary(driver), requests.GetVolume(key=key)).key == key
    else:
        with pytest.raises(Invalid):
            call(primary(driver), requests.GetVolume(key=key))


@pytest.mark.slow
@given(st.integers())
def test_exactly_the_declared_sizes_reach_the_driver(size_bytes: int) -> None:
    """A size passes when its rounded size is within the limits; else the driver is not asked."""
    driver = Scripted(BARE, answers.VolumeInfo(key="v", id="id", size_bytes=4096))
    if 4096 <= size_bytes <= 40960:
        call(primary(driver), sized(size_bytes))
    else:
        with pytest.raises(Invalid if size_bytes <= 0 else OutOfRange):
            call(primary(driver), sized(size_bytes))

    assert driver.asked == (["create_volume"] if 4096 <= size_bytes <= 40960 else [])
