"""Stories about native copies of objects: whole, independent, never over something else."""

from collections.abc import Iterator

import msgspec

from holdfast.contract.requests import (
    AbortUpload,
    CancelMaintenance,
    CopyObject,
    DeleteObject,
    EnumerateOwned,
    GetObject,
    HeadObject,
    MaintainStore,
    OpenObject,
)
from holdfast_conformance.image_limits import large_bytes
from holdfast_conformance.payload import Shape, shaped
from holdfast_conformance.plan import PutObject, Reopen, Step, WalkObjects
from holdfast_conformance.scenarios.image_script import Script

_COPY = "copies/of it"


def copy_object(script: Script) -> Iterator[Step]:
    """A copy is an object like any other, and stays when its source goes."""
    yield script.put()
    copy = CopyObject(key=script.key, target=_COPY)
    yield from (copy, copy)
    yield HeadObject(key=_COPY)
    yield GetObject(key=_COPY)
    yield OpenObject(key=_COPY)
    yield WalkObjects(prefix="", delimiter="", limit=script.page(2))
    yield EnumerateOwned()
    yield Reopen()
    yield copy
    yield DeleteObject(key=script.key)
    yield GetObject(key=_COPY)
    yield copy
    yield DeleteObject(key=_COPY)
    yield copy


def copy_onto_another(script: Script) -> Iterator[Step]:
    """What is under the target's key is never replaced; what is the same already is the answer."""
    source = script.put(size_bytes=script.fitting(9000 + script.choices.below(1000)))
    yield source
    others = (
        script.put("other", source.size_bytes),
        _like(script, source, "tail", content=shaped(source.content, Shape.OTHER_TAIL)),
        script.put("other size", source.size_bytes - 1),
        _like(script, source, "other type", content_type="text/plain"),
    )
    for other in others:
        yield other
        yield CopyObject(key=script.key, target=other.key)
        yield GetObject(key=other.key)
    yield GetObject(key=script.key)
    same = _like(script, source, "same")
    yield same
    yield CopyObject(key=script.key, target="same")
    yield HeadObject(key="same")
    yield CopyObject(key=script.key, target=script.key)
    yield GetObject(key=script.key)


def copy_onto_another_kind(script: Script) -> Iterator[Step]:
    """The same bytes as something of another kind are another object."""
    if len(script.limits.kinds) > 1:
        source = script.put(kind=script.limits.kinds[0])
        yield source
        yield _like(script, source, "of another kind", kind=script.limits.kinds[1])
        yield CopyObject(key=script.key, target="of another kind")
        yield HeadObject(key="of another kind")


def copy_kinds(script: Script) -> Iterator[Step]:
    """A copy is of its source's kind, and of its content type."""
    for kind in script.limits.kinds:
        key = f"of/{kind.value}"
        yield script.put(key, 100, kind=kind, content_type=f"application/x-{kind.value}")
        yield CopyObject(key=key, target=f"{key}-copy")
        yield HeadObject(key=f"{key}-copy")


def copy_sizes(script: Script) -> Iterator[Step]:
    """An object of 0 bytes and one that is larger than a part are copied like any other."""
    yield script.put("empty", 0)
    yield CopyObject(key="empty", target="empty-copy")
    yield GetObject(key="empty-copy")
    size_bytes = large_bytes(script.declared)
    if size_bytes is not None:
        yield script.put("large", size_bytes)
        yield CopyObject(key="large", target="large-copy")
        yield DeleteObject(key="large")
        yield GetObject(key="large-copy")


def copy_joined(script: Script) -> Iterator[Step]:
    """A copy of several parts does not share them: either goes without the other."""
    if not script.can_join:
        return
    start = script.start()
    yield from script.sent(start, 1, 2)
    yield script.finish(start, 1, 2)
    for target in (_COPY, "another copy"):
        yield CopyObject(key=script.key, target=target)
    yield DeleteObject(key=_COPY)
    yield GetObject(key=script.key)
    yield DeleteObject(key=script.key)
    yield GetObject(key="another copy")
    yield OpenObject(key="another copy")
    yield DeleteObject(key="another copy")
    yield EnumerateOwned()


def copy_and_replace(script: Script) -> Iterator[Step]:
    """Source and copy are replaced one without the other; a copy of a copy is one of its own."""
    yield script.put()
    yield CopyObject(key=script.key, target=_COPY)
    yield script.put()
    yield GetObject(key=_COPY)
    yield CopyObject(key=_COPY, target="copy of a copy")
    yield script.put(_COPY)
    yield GetObject(key=script.key)
    yield GetObject(key="copy of a copy")
    yield CopyObject(key="copy of a copy", target="third")
    yield DeleteObject(key="copy of a copy")
    yield GetObject(key="third")


def copy_beside_uploads(script: Script) -> Iterator[Step]:
    """Copies have nothing to do with uploads, open or complete, of either key."""
    start, later = script.start(), script.start(_COPY)
    finish = script.finish(start, 1)
    yield from (start, script.part(start, 1), finish)
    yield from (later, script.part(later, 1))
    yield CopyObject(key=script.key, target=_COPY)
    yield finish
    yield AbortUpload(upload=start.upload)
    yield GetObject(key=_COPY)
    yield script.finish(later, 1)
    yield GetObject(key=_COPY)
    yield GetObject(key=script.key)


def copy_absent(script: Script) -> Iterator[Step]:
    """What is not there cannot be copied, and nothing comes of it."""
    copy = CopyObject(key=script.key, target=_COPY)
    yield copy
    yield HeadObject(key=_COPY)
    yield script.put(_COPY)
    yield copy
    yield GetObject(key=_COPY)


def copy_at_rest(script: Script) -> Iterator[Step]:
    """A store in maintenance takes no copy in."""
    yield script.put()
    copy = CopyObject(key=script.key, target=_COPY)
    yield MaintainStore()
    yield copy
    yield HeadObject(key=_COPY)
    yield CancelMaintenance()
    yield copy
    yield GetObject(key=_COPY)


def _like(script: Script, source: PutObject, key: str, **others: object) -> PutObject:
    """The bytes, kind and content type of another object under another key."""
    upload = script.upload()
    return msgspec.structs.replace(source, upload=upload, key=key, **others)


STORIES = (
    copy_object,
    copy_onto_another,
    copy_onto_another_kind,
    copy_kinds,
    copy_sizes,
    copy_joined,
    copy_and_replace,
    copy_beside_uploads,
    copy_absent,
    copy_at_rest,
)
