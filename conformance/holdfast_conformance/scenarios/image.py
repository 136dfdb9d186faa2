"""What every image store is put through before chance is: short stories, one for each intent."""

from collections.abc import Callable, Iterator

from holdfast.capabilities import ImageCapabilities, ObjectKind
from holdfast.requests import (
    AbortUpload,
    CopyObject,
    DeleteObject,
    EnumerateOwned,
    GetObject,
    GetStats,
    HeadObject,
    ListObjects,
    OpenObject,
    Role,
    TemporaryUrl,
)
from holdfast_conformance.generate.choices import Choices
from holdfast_conformance.image_limits import (
    binding_minimum,
    can_exceed_part,
    large_bytes,
    object_max_bytes,
)
from holdfast_conformance.model.image import NEVER_ISSUED
from holdfast_conformance.plan import Plan, Reopen, Step, WalkObjects
from holdfast_conformance.scenarios import image_stores
from holdfast_conformance.scenarios.image_script import (
    BAD_KEYS,
    HOST,
    HOSTILE_KEYS,
    ORDERED_KEYS,
    Script,
)

Story = Callable[[Script], Iterator[Step]]


def image_scenarios(declared: ImageCapabilities) -> Iterator[tuple[str, tuple[Step, ...]]]:
    """The name and the steps of each story that makes sense for such a store."""
    for story in IMAGE_STORIES:
        steps = tuple(story(Script(declared)))
        if steps and story not in image_stores.FRESH_STORIES:
            yield story.__name__.replace("_", "-"), steps


def image_scenario(
    story: Story, declared: ImageCapabilities, choices: Choices, identifier: str
) -> Plan | None:
    """The plan of one story, or ``None`` where the store declares too little for it."""
    steps = tuple(story(Script(declared, choices)))
    if not steps:
        return None
    ready = story not in image_stores.FRESH_STORIES
    return Plan(
        id=identifier,
        role=Role.IMAGE,
        origin=story.__name__.replace("_", "-"),
        store=f"store-{identifier}",
        hosts=(HOST,) if ready else (),
        ready=ready,
        steps=steps,
    )


def round_trip(script: Script) -> Iterator[Step]:
    """Put, look, read, open."""
    yield script.put()
    yield HeadObject(key=script.key)
    yield GetObject(key=script.key)
    yield OpenObject(key=script.key)
    yield EnumerateOwned()


def empty_object(script: Script) -> Iterator[Step]:
    """An object of 0 bytes, put and completed from no part."""
    yield script.put(size_bytes=0)
    yield HeadObject(key=script.key)
    yield GetObject(key=script.key)
    start = script.start("empty/too")
    yield start
    yield script.finish(start)
    yield GetObject(key="empty/too")


def overwrite(script: Script) -> Iterator[Step]:
    """A key that is put again holds the new object only."""
    yield script.put(size_bytes=999, content_type="text/plain")
    yield script.put(size_bytes=500)
    yield GetObject(key=script.key)
    yield HeadObject(key=script.key)


def hidden_until_complete(script: Script) -> Iterator[Step]:
    """Nothing is seen of an upload before it is complete."""
    start = script.start()
    yield start
    yield script.part(start, 1)
    yield HeadObject(key=script.key)
    yield GetObject(key=script.key)
    yield WalkObjects(prefix="", delimiter="", limit=2)
    yield EnumerateOwned()
    yield script.finish(start, 1)
    yield GetObject(key=script.key)


def wrong_size_or_digest(script: Script) -> Iterator[Step]:
    """What is not what it should be never becomes visible."""
    for error_bytes in (0, 1, -1):
        start = script.start()
        yield start
        yield script.part(start, 1)
        yield script.finish(start, 1, size_error_bytes=error_bytes, wrong_digest=not error_bytes)
        yield HeadObject(key=script.key)


def wrong_over_another(script: Script) -> Iterator[Step]:
    """What is not what it should be leaves the earlier object alone."""
    yield script.put()
    for error_bytes in (0, 1):
        start = script.start()
        yield start
        yield script.part(start, 1)
        yield script.finish(start, 1, size_error_bytes=error_bytes, wrong_digest=not error_bytes)
        yield GetObject(key=script.key)
        yield AbortUpload(upload=start.upload)
    yield GetObject(key=script.key)


def ranges(script: Script) -> Iterator[Step]:
    """Reads from every edge of a small object."""
    yield script.put(size_bytes=100)
    yield from _edges(script.key, 100, (1, 99))
    yield script.put("empty", 0)
    yield from (GetObject(key="empty", length_bytes=5), GetObject(key="empty", offset_bytes=1))
    yield GetObject(key="absent", offset_bytes=1, length_bytes=1)


def ranges_over_parts(script: Script) -> Iterator[Step]:
    """Reads around the borders of parts."""
    if not script.can_join:
        return
    size = script.part_bytes
    start = script.start()
    yield start
    for number in (1, 2, 3):
        yield script.part(start, number)
    yield script.finish(start, 1, 2, 3)
    yield GetObject(key=script.key)
    yield from _edges(script.key, 3 * size, (size - 1, size, 2 * size - 1, 2 * size))


def _edges(key: str, size: int, borders: tuple[int, ...]) -> Iterator[GetObject]:
    yield GetObject(key=key, offset_bytes=0, length_bytes=1)
    yield GetObject(key=key, offset_bytes=0, length_bytes=size)
    yield GetObject(key=key, offset_bytes=size - 1, length_bytes=1)
    yield GetObject(key=key, offset_bytes=size - 1, length_bytes=10)
    yield GetObject(key=key, offset_bytes=1)
    for border in borders:
        yield GetObject(key=key, offset_bytes=border, length_bytes=2)
    yield GetObject(key=key, offset_bytes=size, length_bytes=1)
    yield GetObject(key=key, offset_bytes=size + 1, length_bytes=1)
    yield GetObject(key=key, offset_bytes=-1)
    yield GetObject(key=key, offset_bytes=-size)
    yield GetObject(key=key, offset_bytes=-size // 2, length_bytes=3)
    yield GetObject(key=key, offset_bytes=-size - 1)


def parts_in_any_order(script: Script) -> Iterator[Step]:
    """Parts with gaps, sent backwards and named forwards."""
    if not script.can_join:
        return
    start = script.start()
    yield start
    last = script.limits.parts_max
    for number in (last, 1, 2):
        yield script.part(start, number)
    yield script.finish(start, 1, 2, last)
    yield GetObject(key=script.key)


def parts_named_in_any_order(script: Script) -> Iterator[Step]:
    """The order in which a completion names its parts does not matter."""
    if not script.can_join:
        return
    start = script.start()
    yield start
    yield script.part(start, 1)
    yield script.part(start, 2)
    yield script.finish(start, 2, 1)
    yield GetObject(key=script.key)


def part_sent_again(script: Script) -> Iterator[Step]:
    """A part that is sent again replaces the first, also by a shorter one."""
    start = script.start()
    yield start
    yield script.part(start, 1)
    yield script.part(start, 1, script.part_bytes - 1)
    yield script.finish(start, 1)
    yield GetObject(key=script.key)


def parts_left_out(script: Script) -> Iterator[Step]:
    """Parts that the completion does not name are dropped."""
    if not script.can_join:
        return
    start = script.start()
    yield start
    yield script.part(start, 1)
    yield script.part(start, 2)
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
    yield start
    yield script.part(start, 0)
    yield script.part(start, script.limits.parts_max + 1)
    if can_exceed_part(script.declared):
        yield script.part(start, 1, script.limits.part_max_bytes + 1)
    yield script.part(start, 1)
    yield script.finish(start, 1)


def bad_completions(script: Script) -> Iterator[Step]:
    """A part that is missing or named twice is refused, and the upload stays open."""
    start = script.start()
    yield start
    yield script.part(start, 1)
    yield script.finish(start, 1, 2)
    yield script.finish(start, 1, 1)
    yield script.finish(start, 1)
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


def delete(script: Script) -> Iterator[Step]:
    """Deleted is gone, and deleting again is fine."""
    yield script.put()
    yield DeleteObject(key=script.key)
    yield DeleteObject(key=script.key)
    yield GetObject(key=script.key)
    yield HeadObject(key=script.key)
    yield OpenObject(key=script.key)
    yield script.put()
    yield GetObject(key=script.key)


def delete_joined(script: Script) -> Iterator[Step]:
    """An object of several parts goes with all of them."""
    if not script.can_join:
        return
    start = script.start()
    yield start
    yield script.part(start, 1)
    yield script.part(start, 2)
    yield script.finish(start, 1, 2)
    yield DeleteObject(key=script.key)
    yield EnumerateOwned()


def delete_beside_upload(script: Script) -> Iterator[Step]:
    """Deleting an object leaves an open upload of its key alone."""
    yield script.put()
    start = script.start()
    yield start
    yield script.part(start, 1)
    yield DeleteObject(key=script.key)
    yield script.finish(start, 1)
    yield GetObject(key=script.key)


def abort(script: Script) -> Iterator[Step]:
    """An aborted upload is gone with its parts; aborting again is fine."""
    start = script.start()
    yield start
    yield script.part(start, 1)
    yield AbortUpload(upload=start.upload)
    yield AbortUpload(upload=start.upload)
    yield script.part(start, 2)
    yield script.finish(start)
    yield EnumerateOwned()


def abort_after_complete(script: Script) -> Iterator[Step]:
    """Aborting an upload that became an object leaves the object alone."""
    start = script.start()
    yield start
    yield script.part(start, 1)
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


def lists(script: Script) -> Iterator[Step]:
    """Pages, prefixes and folded keys."""
    for key in ORDERED_KEYS:
        yield script.put(key, 10)
    folds = ("", "/") if script.declared.list.delimiter else ("",)
    for delimiter in folds:
        for prefix in ("", "a", "a/", "absent"):
            yield WalkObjects(prefix=prefix, delimiter=delimiter, limit=2)
    yield ListObjects(limit=3)
    yield ListObjects(prefix="a", limit=1)
    yield ListObjects(token=NEVER_ISSUED)


def list_after_delete(script: Script) -> Iterator[Step]:
    """A list shows what is there now."""
    for key in ("d/1", "d/2", "d/3"):
        yield script.put(key, 10)
    yield DeleteObject(key="d/2")
    yield WalkObjects(prefix="d/", delimiter="", limit=2)


def list_tokens(script: Script) -> Iterator[Step]:
    """A page token that was never issued is refused."""
    yield script.put()
    for prefix in ("", "images/", "absent"):
        yield ListObjects(prefix=prefix, token=NEVER_ISSUED)


def kinds(script: Script) -> Iterator[Step]:
    """An object of every declared kind."""
    for kind in script.limits.kinds:
        yield script.put(f"of/{kind.value}", 100, kind=kind)
        yield HeadObject(key=f"of/{kind.value}")


def undeclared(script: Script) -> Iterator[Step]:
    """What the store does not declare is refused."""
    yield script.put()
    declared = script.declared
    for kind in ObjectKind:
        if kind not in declared.upload.kinds:
            yield script.put("undeclared", 100, kind=kind)
    if declared.copy is None:
        yield CopyObject(key=script.key, target="copy")
    if declared.url is None:
        yield TemporaryUrl(key=script.key, expires_s=60.0)
    if declared.range is None:
        yield GetObject(key=script.key, offset_bytes=1, length_bytes=1)
    elif not declared.range.suffix:
        yield GetObject(key=script.key, offset_bytes=-1)
    if not declared.list.delimiter:
        yield WalkObjects(prefix="", delimiter="/", limit=2)
    yield GetObject(key=script.key)


def hostile_keys(script: Script) -> Iterator[Step]:
    """Keys that a careless backend mixes up, loses or obeys."""
    for key in HOSTILE_KEYS:
        yield script.put(key, 50)
    for key in HOSTILE_KEYS:
        yield GetObject(key=key)
    yield WalkObjects(prefix="", delimiter="", limit=7)
    for key in HOSTILE_KEYS[::2]:
        yield DeleteObject(key=key)
    yield WalkObjects(prefix="", delimiter="", limit=7)


def hostile_uploads(script: Script) -> Iterator[Step]:
    """Upload keys that a careless backend mixes up, loses or obeys."""
    for name in HOSTILE_KEYS[:12]:
        start = script.start(upload=name)
        yield start
        yield script.part(start, 1)
    for name in HOSTILE_KEYS[:12]:
        yield AbortUpload(upload=name)


def bad_keys(script: Script) -> Iterator[Step]:
    """Keys that no object can have."""
    for key in BAD_KEYS:
        yield script.put(key, 10)
        yield HeadObject(key=key)


def reopen(script: Script) -> Iterator[Step]:
    """Nothing is kept in the memory of a driver."""
    start = script.start()
    yield start
    yield script.part(start, 1)
    yield Reopen()
    yield script.finish(start, 1)
    yield Reopen()
    yield GetObject(key=script.key)


def figures(script: Script) -> Iterator[Step]:
    """The store's figures come back to where they were."""
    yield GetStats()
    yield script.put(size_bytes=script.part_bytes)
    yield GetStats()
    yield DeleteObject(key=script.key)
    yield GetStats()


IMAGE_STORIES: tuple[Story, ...] = (
    round_trip,
    empty_object,
    overwrite,
    hidden_until_complete,
    wrong_size_or_digest,
    wrong_over_another,
    ranges,
    ranges_over_parts,
    parts_in_any_order,
    parts_named_in_any_order,
    part_sent_again,
    parts_left_out,
    parts_at_the_minimum,
    parts_out_of_range,
    bad_completions,
    two_uploads_of_one_key,
    large_object,
    delete,
    delete_joined,
    delete_beside_upload,
    abort,
    abort_after_complete,
    repeats,
    upload_with_other_arguments,
    lists,
    list_after_delete,
    list_tokens,
    kinds,
    undeclared,
    hostile_keys,
    hostile_uploads,
    bad_keys,
    reopen,
    figures,
    *image_stores.STORIES,
    *image_stores.FRESH_STORIES,
)
