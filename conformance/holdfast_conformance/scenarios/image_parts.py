"""Stories about parts: their numbers, their ends, what replaced them, and uploads that are over."""

from collections.abc import Iterator

import msgspec

from holdfast.contract.requests import (
    AbortUpload,
    DeleteObject,
    EnumerateOwned,
    GetObject,
    HeadObject,
    StartUpload,
)
from holdfast_conformance.image_limits import binding_minimum, many_parts
from holdfast_conformance.plan import OlderPart, SendPart, Step
from holdfast_conformance.scenarios.image_script import Script

_SMALL_BYTES = 40
_TENTH = 10
_MANY = 13
_MORE = 40


def numbers_in_text_order(script: Script) -> Iterator[Step]:
    """10 comes after 2, and what is not there between is no part."""
    if not script.can_join or script.limits.parts_max < _TENTH:
        return
    start = script.start()
    numbers = (1, 2, _TENTH)
    sizes = dict.fromkeys(numbers, script.part_bytes) | {_TENTH: _small(script)}
    yield start
    for number in script.choices.shuffled(numbers):
        yield script.part(start, number, sizes[number])
    yield script.finish(start, *numbers)
    yield GetObject(key=script.key)
    if script.declared.range is not None:
        for border in (script.part_bytes, 2 * script.part_bytes):
            yield GetObject(key=script.key, offset_bytes=border - 1, length_bytes=2)


def many_over_many(script: Script) -> Iterator[Step]:
    """As many parts as there can be, or as tell, in place of an object of others."""
    most = many_parts(script.declared)
    if not script.can_join or most < 3:
        return
    counts = (max(2, most // 4), most) if script.choices.turn % 2 == 0 else (5, 2)
    for count in counts:
        numbers = tuple(range(1, min(count, most) + 1))
        start = script.start()
        yield start
        for number in numbers:
            yield script.part(start, number)
        yield script.finish(start, *numbers)
        yield GetObject(key=script.key)
    yield HeadObject(key=script.key)
    yield DeleteObject(key=script.key)
    yield EnumerateOwned()


def tail_of_many(script: Script) -> Iterator[Step]:
    """More parts than lists of them have on a page; the last ones are read alone, for a server may
    give small parts slowly.
    """
    count = many_parts(script.declared, _MORE)
    if not script.can_join or count <= _MANY or script.declared.range is None:
        return
    if script.choices.turn % 2:
        return
    start, numbers = script.start(), tuple(range(1, count + 1))
    size_bytes = min(_SMALL_BYTES, script.part_bytes)
    yield start
    for number in numbers:
        yield script.part(start, number, size_bytes)
    yield script.finish(start, *numbers)
    yield GetObject(key=script.key, offset_bytes=(count - 3) * size_bytes - 1)
    yield DeleteObject(key=script.key)


def older_part(script: Script) -> Iterator[Step]:
    """What was acknowledged for a part that was replaced names no part any more."""
    start = script.start()
    size_bytes = script.small_bytes()
    first = script.part(start, 1, size_bytes)
    older = OlderPart(number=1, content=first.content, size_bytes=size_bytes)
    finish = script.finish(start, 1)
    yield from (start, first, script.part(start, 1, size_bytes))
    yield msgspec.structs.replace(finish, older=(older,))
    yield HeadObject(key=script.key)
    yield finish
    yield GetObject(key=script.key)


def unequal_parts(script: Script) -> Iterator[Step]:
    """Parts of several sizes are one object, read across each of their borders."""
    if not script.can_join or script.limits.parts_max < 3:
        return
    start = script.start()
    usual = (script.part_bytes + 7, script.part_bytes, script.part_bytes + 3, _small(script))
    sizes = usual[: script.limits.parts_max]
    numbers = tuple(range(1, len(sizes) + 1))
    yield start
    for number, size_bytes in zip(numbers, sizes, strict=True):
        yield script.part(start, number, min(size_bytes, script.limits.part_max_bytes))
    yield script.finish(start, *numbers, wrong_digest=True)
    yield HeadObject(key=script.key)
    yield script.finish(start, *numbers)
    yield GetObject(key=script.key)
    if script.declared.range is not None:
        border = 0
        for size_bytes in sizes[:-1]:
            border += min(size_bytes, script.limits.part_max_bytes)
            yield GetObject(key=script.key, offset_bytes=border - 2, length_bytes=4)


def abort_of_many(script: Script) -> Iterator[Step]:
    """However many parts an upload has, an abort takes them all."""
    start = script.start()
    yield start
    for number in range(1, min(_MANY, script.limits.parts_max) + 1):
        yield script.part(start, number, min(1 + number, script.limits.part_max_bytes))
    yield AbortUpload(upload=start.upload)
    yield EnumerateOwned()
    yield script.finish(start, 1)


def ends_of_parts(script: Script) -> Iterator[Step]:
    """The last part is of any size from 0 bytes on; no other is below the minimum."""
    if not script.can_join:
        return
    minimum, size = binding_minimum(script.declared), script.part_bytes
    lasts = (0, 1) if minimum is None else (0, 1, minimum, minimum - 1, minimum + 1)
    for last in script.choices.shuffled(lasts)[:2]:
        yield from _joined(script, size, last)
        yield GetObject(key=script.key)
    if minimum is not None:
        yield from _joined(script, size, minimum)
        yield GetObject(key=script.key)
        yield from _joined(script, size, minimum - 1, _small(script), key="refused")
        yield HeadObject(key="refused")


def empty_part(script: Script) -> Iterator[Step]:
    """One part of 0 bytes makes an object of 0 bytes, and may be replaced by one that has some."""
    yield from _joined(script, 0)
    yield GetObject(key=script.key)
    start = script.start("filled")
    yield from (start, script.part(start, 1, 0), script.part(start, 1, _small(script)))
    yield script.finish(start, 1)
    yield GetObject(key="filled")


def equal_parts(script: Script) -> Iterator[Step]:
    """Parts of the same bytes under different numbers are different parts."""
    if not script.can_join:
        return
    start = script.start()
    first = script.part(start, 1)
    yield from (start, first)
    for number in (2, 3):
        yield msgspec.structs.replace(first, number=number)
    yield script.finish(start, 1, 2, 3)
    yield GetObject(key=script.key)


def longer_part(script: Script) -> Iterator[Step]:
    """A part that is sent again may be longer, shorter, and longer again."""
    start = script.start()
    small, size = _small(script), script.small_bytes()
    yield start
    for size_bytes in script.choices.shuffled((small, size, size - 1)):
        yield script.part(start, 1, size_bytes)
    yield script.part(start, 1, size)
    yield script.finish(start, 1)
    yield GetObject(key=script.key)


def aborted_key_again(script: Script) -> Iterator[Step]:
    """An upload that takes the key of an aborted one begins without a part."""
    start = script.start()
    finish = script.finish(start, 1)
    yield from (start, script.part(start, 1))
    yield AbortUpload(upload=start.upload)
    again = script.start(upload=start.upload)
    if script.choices.below(2):
        again = script.start("another place", upload=start.upload, kind=script.limits.kinds[-1])
    yield from (again, finish)
    # As long as the one before it, once, and then not.
    yield script.part(again, 1, None if script.choices.turn % 2 == 0 else _small(script))
    yield finish
    yield GetObject(key=again.key)


def completed_key_again(script: Script) -> Iterator[Step]:
    """An upload that takes the key of a completed one, where it may, makes another object."""
    start = script.start()
    yield from (start, script.part(start, 1), script.finish(start, 1))
    kind = script.choices.pick(script.limits.kinds or (script.kind,))
    again = script.start("another place", upload=start.upload, kind=kind)
    yield from (again, script.part(again, 1, _small(script)))
    yield script.finish(again, 1)
    yield HeadObject(key=script.key)
    yield HeadObject(key="another place")
    # Dropping what has the key now takes nothing of what had it.
    yield from (script.start("third", upload=start.upload), script.part(again, 1, _small(script)))
    yield from (AbortUpload(upload=start.upload), GetObject(key=script.key))


def interleaved_uploads(script: Script) -> Iterator[Step]:
    """Two uploads of one key, step by step in turns, have each its own parts."""
    if not script.can_join:
        return
    first, second = script.start(), script.start(kind=script.limits.kinds[-1])
    yield from (first, second)
    sent: list[SendPart] = [script.part(first, 1), script.part(second, 1)]
    sent += [script.part(first, 2, _small(script)), script.part(second, 2, _small(script))]
    yield from sent
    ends = script.choices.shuffled((script.finish(first, 1, 2), script.finish(second, 1)))
    for end in ends:
        yield end
        yield GetObject(key=script.key)
    yield script.choices.pick(ends)
    yield GetObject(key=script.key)


def late_completion(script: Script) -> Iterator[Step]:
    """Completing again brings back neither what was replaced nor what was deleted."""
    start = script.start()
    finish = script.finish(start, 1)
    yield from (start, script.part(start, 1, script.small_bytes()), finish)
    yield script.put()
    yield finish
    yield GetObject(key=script.key)
    yield DeleteObject(key=script.key)
    yield finish
    yield HeadObject(key=script.key)
    later = script.start()
    yield from (later, script.part(later, 1, _small(script)), script.finish(later, 1))
    yield finish
    yield GetObject(key=script.key)


def _joined(script: Script, *sizes: int, key: str | None = None) -> Iterator[Step]:
    """An object of parts of these sizes."""
    start: StartUpload = script.start(key)
    yield start
    for number, size_bytes in enumerate(sizes, 1):
        yield script.part(start, number, size_bytes)
    yield script.finish(start, *range(1, len(sizes) + 1))


def _small(script: Script) -> int:
    return min(_SMALL_BYTES, script.limits.part_max_bytes)


STORIES = (
    unequal_parts,
    abort_of_many,
    numbers_in_text_order,
    many_over_many,
    tail_of_many,
    older_part,
    ends_of_parts,
    empty_part,
    equal_parts,
    longer_part,
    aborted_key_again,
    completed_key_again,
    interleaved_uploads,
    late_completion,
)
