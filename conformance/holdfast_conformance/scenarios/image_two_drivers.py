"""Stories of two drivers that are open on one image store."""

from collections.abc import Iterator

from holdfast.contract.requests import (
    AbortUpload,
    CancelMaintenance,
    CopyObject,
    DeleteObject,
    EnumerateOwned,
    GetObject,
    GetStats,
    HeadObject,
    MaintainStore,
)
from holdfast_conformance.plan import Step, UseDriver, WalkObjects
from holdfast_conformance.scenarios.image_script import Script


def seen_by_another(script: Script) -> Iterator[Step]:
    """Whatever one driver changes, another one that has looked before sees as it is now."""
    key, other = script.key, "other"
    size_bytes = script.small_bytes()
    yield script.put(key, size_bytes)
    yield from _looks(script, key)
    yield UseDriver(number=1)
    yield from _looks(script, key)
    yield from (script.put(other), script.put(key, size_bytes))
    yield UseDriver(number=0)
    yield from _looks(script, key)
    yield GetObject(key=other)
    yield DeleteObject(key=other)
    if script.declared.copy is not None:
        yield CopyObject(key=key, target="copy")
    yield UseDriver(number=1)
    yield from (GetObject(key=other), GetObject(key="copy"))
    yield from _looks(script, key)
    yield DeleteObject(key=key)
    yield UseDriver(number=0)
    yield from _looks(script, key)


def joined_by_another(script: Script) -> Iterator[Step]:
    """An upload is of the store: begun, sent and ended through whichever driver."""
    start, left, late = (script.start(key) for key in ("a", "b", "c"))
    numbers = (1, 2) if script.can_join else (1,)
    yield from (start, left)
    yield from (script.part(start, number) for number in numbers[:-1])
    yield UseDriver(number=1)
    yield script.part(start, numbers[-1], script.small_bytes())
    yield from (start, AbortUpload(upload=left.upload), EnumerateOwned())
    yield UseDriver(number=0)
    yield script.part(left, 1, script.small_bytes())
    finish = script.finish(start, *numbers)
    yield finish
    yield UseDriver(number=1)
    yield from (finish, GetObject(key="a"), GetStats(), MaintainStore())
    yield UseDriver(number=0)
    yield from (late, CancelMaintenance())
    yield UseDriver(number=1)
    yield from (late, EnumerateOwned())


def _looks(script: Script, key: str) -> Iterator[Step]:
    """Most ways to look at a store, in some order."""
    ranged = script.declared.range is not None
    looks: list[Step] = [
        HeadObject(key=key),
        GetObject(key=key),
        *((GetObject(key=key, offset_bytes=1, length_bytes=70),) if ranged else ()),
        WalkObjects(prefix="", delimiter="", limit=script.page(2)),
    ]
    yield from script.choices.shuffled(looks)


STORIES = (seen_by_another, joined_by_another)
