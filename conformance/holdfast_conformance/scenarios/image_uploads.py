"""Stories about uploads: parts, completions, what is refused, what may be repeated."""

from collections.abc import Iterator

from holdfast.contract.requests import (
    AbortUpload,
    DeleteObject,
    EnumerateOwned,
    GetObject,
    HeadObject,
)
from holdfast_conformance.image_limits import (
    binding_minimum,
    can_exceed_part,
    large_bytes,
    object_max_bytes,
)
from holdfast_conformance.payload import HEAD_BYTES, Shape, shaped
from holdfast_conformance.plan import ProbeCall, Reopen, SendPart, Step, WalkObjects
from holdfast_conformance.scenarios.image_script import Script


def hidden_until_complete(script: Script) -> Iterator[Step]:
    """Nothing is seen of an upload before it is complete."""
    start = script.start()
    yield from script.sent(start, 1)
    yield HeadObject(key=script.key)
    yield GetObject(key=script.key)
    yield WalkObjects(prefix="", delimiter="", limit=script.page(2))
    yield EnumerateOwned()
    yield script.finish(start, 1)
    yield GetObject(key=script.key)


def wrong_size_or_digest(script: Script) -> Iterator[Step]:
    """What is not what it should be never becomes visible."""
    for error_bytes in (0, 1, -1):
        start = script.start()
        yield from script.sent(start, 1)
        yield script.finish(start, 1, size_error_bytes=error_bytes, wrong_digest=not error_bytes)
        yield HeadObject(key=script.key)


def wrong_and_then_right(script: Script) -> Iterator[Step]:
    """A completion that is refused takes no part away, of those that it names or does not."""
    if not script.can_join:
        return
    start = script.start()
    yield from script.sent(start, 1, 2, 3)
    yield script.finish(start, 1, wrong_digest=True)
    yield script.finish(start, 2, 3, size_error_bytes=1)
    yield script.finish(start, 1, 2, 3)
    yield GetObject(key=script.key)


def wrong_over_another(script: Script) -> Iterator[Step]:
    """What is not what it should be leaves the earlier object alone."""
    yield script.put()
    for error_bytes in (0, 1):
        start = script.start()
        yield from script.sent(start, 1)
        yield script.finish(start, 1, size_error_bytes=error_bytes, wrong_digest=not error_bytes)
        yield GetObject(key=script.key)
        yield AbortUpload(upload=start.upload)
    yield GetObject(key=script.key)


def parts_in_any_order(script: Script) -> Iterator[Step]:
    """Parts with gaps, sent backwards and named forwards."""
    if not script.can_join:
        return
    start = script.start()
    last = script.limits.parts_max
    yield from script.sent(start, last, 1, 2)
    yield script.finish(start, 1, 2, last)
    yield GetObject(key=script.key)


def parts_named_in_any_order(script: Script) -> Iterator[Step]:
    """The order in which a completion names its parts does not matter."""
    if not script.can_join:
        return
    start = script.start()
    yield from script.sent(start, 1, 2)
    yield script.finish(start, 2, 1)
    yield GetObject(key=script.key)


def part_sent_again(script: Script) -> Iterator[Step]:
    """A part that is sent again replaces the first, also by a shorter one."""
    start = script.start()
    yield from script.sent(start, 1)
    yield script.part(start, 1, script.part_bytes - 1)
    yield script.finish(start, 1)
    yield GetObject(key=script.key)


def part_sent_again_alike(script: Script) -> Iterator[Step]:
    """A part of the size and the beginning of the one before it is another part."""
    size_bytes = min(2 * HEAD_BYTES, script.limits.part_max_bytes, script.fitting(2 * HEAD_BYTES))
    start, content = script.start(), script.content()
    yield start
    for shape in (Shape.PLAIN, Shape.OTHER_TAIL):
        yield SendPart(
            upload=start.upload, number=1, content=shaped(content, shape), size_bytes=size_bytes
        )
    yield from (script.finish(start, 1), GetObject(key=script.key))


def equal_parts(script: Script) -> Iterator[Step]:
    """Parts of equal bytes are of their uploads, and an object of these bytes is none of them."""
    first, second = script.start("a"), script.start("b")
    content, size_bytes = script.content(), script.small_bytes()
    parts = [
        SendPart(upload=start.upload, number=1, content=content, size_bytes=size_bytes)
        for start in (first, second)
    ]
    finish = script.finish(second, 1)
    yield script.put("of these bytes", size_bytes, content=content)
    yield from (first, second)
    yield from parts
    yield ProbeCall(call=finish)
    yield from (AbortUpload(upload=first.upload), DeleteObject(key="of these bytes"))
    yield from (finish, GetObject(key="b"))


def parts_left_out(script: Script) -> Iterator[Step]:
    """Parts that the completion does not name are dropped."""
    if not script.can_join:
        return
    start = script.start()
    yield from script.sent(start, 1, 2)
    yield script.finish(start, 2)
    yield GetObject(key=script.key)
    yield EnumerateOwned()


def parts_at_the_minimum(script: Script) -> Iterator[Step]:
    """The minimum binds every part but the last."""
    minimum = binding_minimum(script.declared)
    if minimum is None:
        return
    start = script.start()
    yield start
    yield script.part(start, 1, minimum)
    yield script.part(start, 2, minimum - 1)
    yield script.finish(start, 1, 2)
    yield GetObject(key=script.key)
    small = script.start("small")
    yield small
    yield script.part(small, 1, minimum - 1)
    yield script.part(small, 2)
    yield script.finish(small, 1, 2)
    yield HeadObject(key="small")


def parts_out_of_range(script: Script) -> Iterator[Step]:
    """Numbers and sizes outside the declared limits are refused."""
    start = script.start()
    yield from script.sent(start, 0, script.limits.parts_max + 1)
    if can_exceed_part(script.declared):
        yield script.part(start, 1, script.limits.part_max_bytes + 1)
    yield script.part(start, 1)
    yield script.finish(start, 1)


def bad_completions(script: Script) -> Iterator[Step]:
    """A part that is missing or named twice is refused, and the upload stays open."""
    start = script.start()
    sent, never = ((1, 2), 3) if script.can_join else ((1,), 2)
    yield from script.sent(start, *sent)
    yield script.finish(start, 1, never)
    yield script.finish(start, 1, 1)
    yield script.finish(start, *sent)
    yield GetObject(key=script.key)


def two_uploads_of_one_key(script: Script) -> Iterator[Step]:
    """Each upload makes its own object; the last one to complete is seen."""
    first, second = script.start(), script.start()
    yield from (first, second)
    yield script.part(first, 1)
    yield script.part(second, 1)
    yield script.finish(second, 1)
    yield GetObject(key=script.key)
    yield script.finish(first, 1)
    yield GetObject(key=script.key)


def large_object(script: Script) -> Iterator[Step]:
    """An object larger than one part is like any other."""
    size_bytes = large_bytes(script.declared)
    if size_bytes is None:
        return
    yield script.put(size_bytes=size_bytes)
    yield HeadObject(key=script.key)
    yield GetObject(key=script.key)
    if 2 * size_bytes <= object_max_bytes(script.declared):
        yield script.put("larger", 2 * size_bytes)
        yield GetObject(key="larger")
    yield DeleteObject(key=script.key)
    yield HeadObject(key=script.key)


def abort(script: Script) -> Iterator[Step]:
    """An aborted upload is gone with its parts; aborting again is fine."""
    start = script.start()
    yield from script.sent(start, 1)
    yield AbortUpload(upload=start.upload)
    yield AbortUpload(upload=start.upload)
    yield script.part(start, 2)
    yield script.finish(start)
    yield EnumerateOwned()


def abort_after_complete(script: Script) -> Iterator[Step]:
    """Aborting an upload that became an object leaves the object alone."""
    start = script.start()
    yield from script.sent(start, 1)
    yield script.finish(start, 1)
    yield AbortUpload(upload=start.upload)
    yield GetObject(key=script.key)


def repeats(script: Script) -> Iterator[Step]:
    """Every call of an upload may be repeated."""
    start = script.start()
    part = script.part(start, 1)
    finish = script.finish(start, 1)
    for step in (start, part, start, finish, finish):
        yield from (step, step)
    yield GetObject(key=script.key)
    gone = DeleteObject(key=script.key)
    yield from (gone, gone, gone)


def upload_with_other_arguments(script: Script) -> Iterator[Step]:
    """An upload's key that is taken by another upload is refused, and that one stays as it is."""
    start = script.start()
    yield start
    yield script.start("another", upload=start.upload)
    yield script.part(start, 1)
    yield script.finish(start, 1)
    yield GetObject(key=script.key)


def reopen(script: Script) -> Iterator[Step]:
    """Nothing is kept in the memory of a driver."""
    start = script.start()
    yield from script.sent(start, 1)
    yield Reopen()
    yield script.finish(start, 1)
    yield Reopen()
    yield GetObject(key=script.key)


STORIES = (
    hidden_until_complete,
    wrong_size_or_digest,
    wrong_and_then_right,
    wrong_over_another,
    parts_in_any_order,
    parts_named_in_any_order,
    part_sent_again,
    part_sent_again_alike,
    equal_parts,
    parts_left_out,
    parts_at_the_minimum,
    parts_out_of_range,
    bad_completions,
    two_uploads_of_one_key,
    large_object,
    abort,
    abort_after_complete,
    repeats,
    upload_with_other_arguments,
    reopen,
)
