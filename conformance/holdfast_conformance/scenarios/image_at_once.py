"""Stories of calls on an image store that are made at once."""

from collections.abc import Iterator

from holdfast.contract.requests import (
    AbortUpload,
    CancelMaintenance,
    CopyObject,
    DeleteObject,
    EnumerateOwned,
    GetObject,
    HeadObject,
    ListObjects,
    MaintainStore,
    StartUpload,
)
from holdfast_conformance.plan import FinishUpload, Step, Together, WalkObjects
from holdfast_conformance.scenarios.calls_in_order import Order, in_order
from holdfast_conformance.scenarios.image_script import Script


def _sent(script: Script, key: str) -> tuple[StartUpload, tuple[Step, ...], FinishUpload]:
    """An upload of one small part: its start, the steps up to its end, and its end."""
    start = script.start(key)
    return start, (start, script.part(start, 1, script.small_bytes())), script.finish(start, 1)


def equal_at_once(script: Script, order: Order) -> Iterator[Step]:
    """Equal requests at once are one request."""
    choices, key = script.choices, script.key
    start, (_, part), finish = _sent(script, key)
    yield order.at_once(*[start] * (2 + choices.below(2)))
    yield part
    yield order.at_once(finish, finish)
    yield HeadObject(key=key)
    if script.declared.copy is not None:
        copy = CopyObject(key=key, target="copy")
        yield order.at_once(copy, copy)
        yield HeadObject(key="copy")
    yield order.at_once(DeleteObject(key=key), DeleteObject(key=key))
    yield order.at_once(AbortUpload(upload=start.upload), AbortUpload(upload=start.upload))
    yield HeadObject(key=key)


def rivals_at_once(script: Script, order: Order) -> Iterator[Step]:
    """Requests at once about one object: one comes first, whichever it is."""
    key = script.key
    start = script.start(key)
    yield order.at_once(start, script.start("other", upload=start.upload))
    yield AbortUpload(upload=start.upload)
    first, second = _sent(script, key), _sent(script, key)
    yield from (*first[1], *second[1])
    yield order.at_once(first[2], second[2])
    yield GetObject(key=key)
    _, steps, finish = _sent(script, key)
    yield from steps
    yield order.at_once(GetObject(key=key), finish)
    for name in ("fresh", key):
        begun, steps, finish = _sent(script, name)
        yield from steps
        ends = DeleteObject(key=key) if name == key else AbortUpload(upload=begun.upload)
        yield order.at_once(finish, ends)
        yield GetObject(key=name)
    begun = script.start("given up")
    yield from (begun, order.at_once(script.part(begun, 1), AbortUpload(upload=begun.upload)))
    yield begun
    if script.declared.copy is not None:
        yield script.put(key, script.small_bytes() // 2)
        _, steps, finish = _sent(script, key)
        yield from steps
        yield order.at_once(CopyObject(key=key, target="of what changes"), finish)
        yield GetObject(key="of what changes")
        yield script.put(key)
        yield order.at_once(CopyObject(key=key, target="copy"), DeleteObject(key=key))
        yield GetObject(key="copy")
        yield from (script.put("b"), script.put("c"))
        yield order.at_once(*(CopyObject(key=one, target="of either") for one in "bc"))
        yield GetObject(key="of either")
    late = script.start(key)
    yield order.at_once(MaintainStore(), late)
    yield CancelMaintenance()
    yield AbortUpload(upload=late.upload)


def strangers_at_once(script: Script, order: Order) -> Iterator[Step]:
    """What happens to one object at once with another is nothing to the other."""
    yield script.put("old")
    first, second, third = (_sent(script, key) for key in ("a", "b", "c"))
    yield order.at_once(first[0], second[0])
    yield from (first[1][1], second[1][1], *third[1])
    yield order.at_once(first[2], second[2])
    yield WalkObjects(prefix="", delimiter="", limit=script.page(2))
    yield order.at_once(third[2], DeleteObject(key="old"), script.start("d"))
    yield order.at_once(DeleteObject(key="a"), DeleteObject(key="b"))
    if script.can_join:
        joined = script.start("joined")
        last = script.part(joined, 3, script.small_bytes())
        yield joined
        yield order.at_once(script.part(joined, 1), script.part(joined, 2), last)
        yield script.finish(joined, 1, 2, 3)
        yield GetObject(key="joined")
    yield WalkObjects(prefix="", delimiter="", limit=script.page(2))


def shown_at_once(script: Script, order: Order) -> Iterator[Step]:
    """Whoever walks through a store while it changes sees everything that lasts."""
    keys = ("a", "b", "c", "d")
    yield from (script.put(key) for key in keys)
    begun, (_, part), finish = _sent(script, "e")
    gone = Together(
        steps=(EnumerateOwned(), DeleteObject(key="a")), stagger=2 + script.choices.below(2)
    )
    yield from (begun, part, gone)
    yield order.at_once(EnumerateOwned(), finish)
    whole = ListObjects(prefix="", delimiter="", limit=script.page(10))
    yield order.at_once(whole, DeleteObject(key="b"))
    ended = script.start("f")
    yield from (ended, order.at_once(EnumerateOwned(), AbortUpload(upload=ended.upload)))


_STORIES = (equal_at_once, rivals_at_once, strangers_at_once, shown_at_once)
ONCE = in_order(*_STORIES, mirrored=False)
AGAIN = in_order(*_STORIES, mirrored=True)
