"""Stories about objects: reading, ranges, lists, deleting, kinds, names."""

from collections.abc import Iterator

import msgspec

from holdfast.contract.capabilities import ObjectKind
from holdfast.contract.requests import (
    CopyObject,
    DeleteObject,
    EnumerateOwned,
    GetObject,
    HeadObject,
    ListObjects,
    OpenObject,
    TemporaryUrl,
)
from holdfast_conformance.model.image_store import NEVER_ISSUED
from holdfast_conformance.payload import Shape, shaped
from holdfast_conformance.plan import Step, WalkObjects
from holdfast_conformance.scenarios.image_script import ORDERED_KEYS, Script


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


def shapes(script: Script) -> Iterator[Step]:
    """Bytes are kept as they are, also where pages of them, or all, are zeroes, and where they are
    what something that unpacks, converts or reads text would know.
    """
    sizes = (8192, 12288, 16384 + script.choices.below(4096), 32768)
    for shape in (Shape.HOLES, Shape.ZEROES):
        size_bytes = script.fitting(script.choices.pick(sizes))
        content = shaped(script.content(), shape)
        yield script.put(size_bytes=script.fitting(8192), content=content)
        yield GetObject(key=script.key)
        yield script.put("other", size_bytes, content=content)
        yield GetObject(key="other", offset_bytes=-script.fitting(4096))
    for shape in (Shape.GZIP, Shape.QCOW2, Shape.LINES, Shape.HOLLOW):
        size_bytes = script.fitting(script.choices.pick((1000, *sizes)))
        yield script.put(size_bytes=size_bytes, content=shaped(script.content(), shape))
        yield GetObject(key=script.key)
    yield OpenObject(key=script.key)


def overwrite(script: Script) -> Iterator[Step]:
    """A key that is put again holds the new object only."""
    yield script.put(size_bytes=999, content_type="text/plain")
    yield script.put(size_bytes=500)
    yield GetObject(key=script.key)
    yield HeadObject(key=script.key)


def ranges(script: Script) -> Iterator[Step]:
    """Reads from every edge of a small object."""
    size = script.fitting(100)
    yield script.put(size_bytes=size)
    yield from _edges(script.key, size, (1, size - 1))
    yield script.put("empty", 0)
    yield from (GetObject(key="empty", length_bytes=5), GetObject(key="empty", offset_bytes=1))
    yield GetObject(key="empty", offset_bytes=0, length_bytes=1)
    yield GetObject(key="absent", offset_bytes=1, length_bytes=1)
    yield GetObject(key=script.key, offset_bytes=script.choices.below(100), length_bytes=0)


def ranges_over_parts(script: Script) -> Iterator[Step]:
    """Reads around the borders of parts."""
    if not script.can_join:
        return
    size = script.part_bytes
    start = script.start()
    yield from script.sent(start, 1, 2, 3)
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
    yield GetObject(key=key, offset_bytes=-2, length_bytes=2)
    yield GetObject(key=key, offset_bytes=-2, length_bytes=size)


def opened_again(script: Script) -> Iterator[Step]:
    """What is opened is the object of now, though the one before it had its size and its type."""
    size_bytes = script.small_bytes()
    for _ in range(2):
        yield from (script.put(size_bytes=size_bytes), OpenObject(key=script.key))
    yield from (DeleteObject(key=script.key), script.put(size_bytes=size_bytes))
    yield OpenObject(key=script.key)


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


def delete_above(script: Script) -> Iterator[Step]:
    """What other keys begin with is no object, and deleting it takes none of them."""
    for key in ("a/b/c", "a/b", "a/d", "a/b/e/f"):
        yield script.put(key)
    yield from (DeleteObject(key=key) for key in ("a", "a/", "a/b/", "a/b"))
    yield from (GetObject(key="a/b/c"), HeadObject(key="a/d"))
    # The last ones that lie nowhere deeper go, and what is below stays.
    yield from (DeleteObject(key="a/d"), DeleteObject(key="a/b/c"), GetObject(key="a/b/e/f"))
    yield from (script.put("x/"), script.put("x/y"), DeleteObject(key="x/y"), GetObject(key="x/"))


def delete_and_go_on(script: Script) -> Iterator[Step]:
    """A key that was deleted and is used again keeps what it has, whatever is deleted later."""
    yield from (script.put(), DeleteObject(key=script.key))
    yield from (script.put(), script.put("other"), DeleteObject(key="other"))
    yield GetObject(key=script.key)


def delete_joined(script: Script) -> Iterator[Step]:
    """An object of several parts goes with all of them."""
    if not script.can_join:
        return
    start = script.start()
    yield from script.sent(start, 1, 2)
    yield script.finish(start, 1, 2)
    yield DeleteObject(key=script.key)
    yield EnumerateOwned()


def delete_beside_upload(script: Script) -> Iterator[Step]:
    """Deleting an object leaves an open upload of its key alone."""
    yield script.put()
    start = script.start()
    yield from script.sent(start, 1)
    yield DeleteObject(key=script.key)
    yield script.finish(start, 1)
    yield GetObject(key=script.key)


def lists(script: Script) -> Iterator[Step]:
    """Pages, prefixes and folded keys."""
    for key in ORDERED_KEYS:
        yield script.put(key, 10)
    folds = ("", "/") if script.declared.list.delimiter else ("",)
    for delimiter in folds:
        for prefix in ("", "a", "a/", "absent"):
            yield WalkObjects(prefix=prefix, delimiter=delimiter, limit=script.page(2))
    yield ListObjects(limit=script.page(3))
    yield ListObjects(prefix="a", limit=1)
    yield ListObjects(token=NEVER_ISSUED, limit=script.page())


def list_after_delete(script: Script) -> Iterator[Step]:
    """A list shows what is there now."""
    for key in ("d/1", "d/2", "d/3"):
        yield script.put(key, 10)
    yield DeleteObject(key="d/2")
    yield WalkObjects(prefix="d/", delimiter="", limit=script.page(2))


def list_tokens(script: Script) -> Iterator[Step]:
    """A page token that was never issued is refused."""
    yield script.put()
    for prefix in ("", "images/", "absent"):
        yield ListObjects(prefix=prefix, token=NEVER_ISSUED, limit=script.page())


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
        yield WalkObjects(prefix="", delimiter="/", limit=script.page(2))
    yield GetObject(key=script.key)


def equal_objects(script: Script) -> Iterator[Step]:
    """Objects of the same bytes are as many as there are keys: one goes, and the others stay."""
    first = script.put("first")
    twins = [
        msgspec.structs.replace(first, upload=script.upload(), key=key)
        for key in ("second", "third")
    ]
    yield from (first, *twins)
    gone, *rest = script.choices.shuffled(("first", "second", "third"))
    yield DeleteObject(key=gone)
    for key in rest:
        yield GetObject(key=key)
    yield script.put(rest[0])
    yield GetObject(key=rest[1])


STORIES = (
    delete_above,
    delete_and_go_on,
    equal_objects,
    round_trip,
    empty_object,
    shapes,
    overwrite,
    ranges,
    ranges_over_parts,
    opened_again,
    delete,
    delete_joined,
    delete_beside_upload,
    lists,
    list_after_delete,
    list_tokens,
    kinds,
    undeclared,
)
