"""Stories about what becomes of an object that is replaced, and of objects at the ends of sizes."""

from collections.abc import Iterator

import msgspec

from holdfast.contract.requests import (
    CopyObject,
    DeleteObject,
    GetObject,
    HeadObject,
    ListObjects,
    OpenObject,
)
from holdfast_conformance.address_steps import FetchAddress, MakeAddress
from holdfast_conformance.image_limits import large_bytes, largest_bytes, object_max_bytes
from holdfast_conformance.model.image_address import LASTING_S
from holdfast_conformance.payload import Shape, shaped
from holdfast_conformance.plan import Step
from holdfast_conformance.scenarios.image_script import Script

_FEW_MIB = (3 << 20) + 5
_BORDERS = 6

CONTENT_TYPES = (
    "text/plain; charset=utf-8",
    "application/vnd.holdfast.image+json;version=1",
    'multipart/mixed; boundary="a b;c"',
    "Text/HTML",
    "x/y",
    "application/octet-stream; a=1; b=2",
    "image/svg+xml",
    f"application/{'x' * 116}",
)
"""Legal ones, with parameters, in capitals, and as long as there are."""


def replaced(script: Script) -> Iterator[Step]:
    """Whatever replaces an object, every verb shows what is there now, and nothing of before."""
    sizes = [script.small_bytes(), 10, script.small_bytes() + 7, 0]
    large = large_bytes(script.declared)
    if large is not None and large <= _FEW_MIB:
        sizes.append(large)
    before = 0
    for number, size in enumerate(script.choices.shuffled(sizes)[:3]):
        kinds = script.limits.kinds or (script.kind,)
        yield script.put(size_bytes=size, kind=kinds[number % len(kinds)])
        yield from _looks(script)
        yield from _ends(script, size, before)
        before = size


def _looks(script: Script) -> Iterator[Step]:
    yield HeadObject(key=script.key)
    yield GetObject(key=script.key)
    yield OpenObject(key=script.key)
    yield ListObjects(prefix=script.key, limit=1)


def _ends(script: Script, size: int, before: int) -> Iterator[Step]:
    """Reads at and past both the end that is and the one that was."""
    if script.declared.range is None:
        return
    for end in {size, before}:
        if end > 1:
            yield GetObject(key=script.key, offset_bytes=end - 1, length_bytes=2)
    if script.declared.range.suffix and size:
        yield GetObject(key=script.key, offset_bytes=-max(size, before))


def replaced_alike(script: Script) -> Iterator[Step]:
    """What replaces an object is told from it, however much of it is the same."""
    size, plain = script.fitting(9000 + script.choices.below(3000)), script.content()
    alike = shaped(plain, Shape.OTHER_TAIL)
    kinds = script.limits.kinds or (script.kind,)
    first, last = kinds[0], kinds[-1]
    for content, kind, content_type in (
        (plain, first, "text/plain"),
        (plain, first, "text/plain"),
        (alike, first, "text/plain"),
        (alike, last, "text/html"),
        (plain, last, "text/html"),
    ):
        put = script.put(size_bytes=size, content=content)
        yield msgspec.structs.replace(put, kind=kind, content_type=content_type)
        yield from (GetObject(key=script.key), HeadObject(key=script.key))


def replaced_by_parts(script: Script) -> Iterator[Step]:
    """An object of several parts and one of one replace each other."""
    if not script.can_join:
        return
    yield script.put(size_bytes=script.small_bytes())
    for _ in range(2):
        start = script.start()
        yield start
        yield script.part(start, 1)
        yield script.part(start, 2, 10)
        yield script.finish(start, 1, 2)
        yield GetObject(key=script.key)
        yield script.put(size_bytes=script.small_bytes())
    yield from _looks(script)


def ranges_around_powers(script: Script) -> Iterator[Step]:
    """Reads that begin, end and lie around powers of two."""
    if script.declared.range is None:
        return
    size = min(object_max_bytes(script.declared), _FEW_MIB)
    yield script.put(size_bytes=size)
    powers = [1 << exponent for exponent in range(12, 22) if 1 << exponent < size]
    for power in sorted(script.choices.shuffled(powers)[:_BORDERS]):
        offset = power - 1 + script.choices.below(2)
        yield GetObject(key=script.key, offset_bytes=offset, length_bytes=2)
    for power in powers[-2:]:
        yield GetObject(key=script.key, offset_bytes=power + 1)
        yield GetObject(key=script.key, offset_bytes=1, length_bytes=power)
    if script.declared.range.suffix:
        for power in powers[-2:]:
            yield GetObject(key=script.key, offset_bytes=-power - 1, length_bytes=power)


def largest_object(script: Script) -> Iterator[Step]:
    """An object of the declared maximum is one like any other, and a byte more is refused."""
    size = largest_bytes(script.declared)
    if size is None:
        return
    yield script.put(size_bytes=size)
    yield HeadObject(key=script.key)
    yield OpenObject(key=script.key)
    if script.declared.range is not None:
        yield GetObject(key=script.key, offset_bytes=size - 1)
        yield GetObject(key=script.key, offset_bytes=1)
    yield script.put("too large", size + 1)
    yield HeadObject(key="too large")


def copy_of_the_largest(script: Script) -> Iterator[Step]:
    """A copy of the largest object that plans store is whole, also when its source is gone."""
    size = largest_bytes(script.declared) or large_bytes(script.declared)
    if size is None or size > _FEW_MIB:
        return
    yield script.put(size_bytes=size)
    yield CopyObject(key=script.key, target="copy of it")
    yield OpenObject(key="copy of it")
    yield script.put(size_bytes=10)
    yield GetObject(key="copy of it")
    yield DeleteObject(key=script.key)
    yield HeadObject(key="copy of it")


def copy_again_and_again(script: Script) -> Iterator[Step]:
    """Copies of copies, over themselves and over equals, when their sources come and go."""
    keys = ("first", "second", "third")
    yield script.put("first")
    for source, target in (("first", "second"), ("second", "third"), ("third", "first")):
        yield CopyObject(key=source, target=target)
    for key in script.choices.shuffled(keys)[:1]:
        yield CopyObject(key=key, target=key)
        yield DeleteObject(key=key)
    yield script.put("second", 10)
    yield CopyObject(key="second", target="third")
    for key in keys:
        yield GetObject(key=key)


def content_types(script: Script) -> Iterator[Step]:
    """What an object is said to be is told as it was said."""
    for number, content_type in enumerate(script.choices.shuffled(CONTENT_TYPES)[:4]):
        key = f"of type {number}"
        yield script.put(key, 10, content_type=content_type)
        yield HeadObject(key=key)
        if script.declared.copy is not None:
            yield CopyObject(key=key, target=f"{key}, copied")
    yield GetObject(key="of type 0")


def address_of_what_was_replaced(script: Script) -> Iterator[Step]:
    """An address gives what is there now, or nothing: never what was there before."""
    url = script.declared.url
    expires_s = min(2 * LASTING_S, url.expires_max_s if url else 0.0)
    first = script.small_bytes()
    yield script.put(size_bytes=first)
    yield MakeAddress(address="before", key=script.key, expires_s=expires_s)
    yield FetchAddress(address="before")
    for number, size in enumerate(script.choices.shuffled((first + 9, first - 9, first, 0))[:2]):
        if script.choices.below(2):
            yield DeleteObject(key=script.key)
            yield FetchAddress(address="before")
        yield script.put(size_bytes=size)
        yield FetchAddress(address="before")
        yield MakeAddress(address=f"now {number}", key=script.key, expires_s=expires_s / 2)
        yield FetchAddress(address=f"now {number}")
        yield FetchAddress(address="before")


STORIES = (
    replaced,
    replaced_alike,
    replaced_by_parts,
    ranges_around_powers,
    largest_object,
    content_types,
)
COPY_STORIES = (copy_of_the_largest, copy_again_and_again)
ADDRESS_STORIES = (address_of_what_was_replaced,)
