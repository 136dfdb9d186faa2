"""Long plans for image stores: what shows only after a while, or after many operations."""

from collections.abc import Callable, Iterator
from typing import Final

from holdfast.contract.requests import (
    CancelMaintenance,
    DeleteObject,
    EnumerateOwned,
    GetObject,
    HeadObject,
    MaintainStore,
    OpenObject,
)
from holdfast_conformance.plan import InspectStore, Reopen, Step, UseDriver, WalkObjects
from holdfast_conformance.scenarios.image_script import Script
from holdfast_conformance.scenarios.later import waits

_STAYING_MAX: Final = 20
"""So many of what is stored stays, at most."""
Story = Callable[[Script], Iterator[Step]]


def time_passes(seconds: float, *, in_maintenance: bool) -> Story:
    """A story of a store with everything in it, that nobody touches for so long."""

    def story(script: Script) -> Iterator[Step]:
        key, gone = script.key, "gone"
        begun, late = script.start("joined"), script.start("late")
        own = script.start("of one driver")
        walk = WalkObjects(prefix="", delimiter="", limit=script.page(2))
        yield from (script.put(key), script.put(key), script.put(gone), DeleteObject(key=gone))
        again = "again"
        yield from (script.put(again), DeleteObject(key=again), script.put(again))
        for start in (begun, own):
            yield from (start, script.part(start, 1, script.small_bytes()))
        if in_maintenance:
            yield from (MaintainStore(), late)
        yield UseDriver(number=1)
        yield GetObject(key=key)
        yield UseDriver(number=0)
        yield from waits(seconds)
        yield script.finish(own, 1)
        yield from (walk, HeadObject(key=key), GetObject(key=key), OpenObject(key=key))
        yield from (EnumerateOwned(), InspectStore(), GetObject(key=gone))
        yield UseDriver(number=1)
        yield from (GetObject(key=key), Reopen(), walk, GetObject(key=gone))
        if in_maintenance:
            yield from (late, CancelMaintenance())
        yield from (begun, script.finish(begun, 1), GetObject(key="joined"))

    story.__name__ = "time_passes"
    return story


def many_operations(steps: int, kind: int) -> Story:
    """A story of about so many steps, in which few kinds of operation come again and again.

    Args:
        steps: how many there are, about.
        kind: which; 0 are some of all.
    """

    def story(script: Script) -> Iterator[Step]:
        key, length, staying = script.key, 0, 0
        first = script.start("first")
        finish = script.finish(first, 1)
        yield from (first, script.part(first, 1, script.small_bytes()), finish)
        while length < steps:
            if staying < _STAYING_MAX:
                staying += 1
                yield script.put(f"{key}-{staying}")
                length += 1
            looks = (HeadObject(key=key),) if kind == 0 else ()
            yield from (script.put(key), *looks, DeleteObject(key=key))
            length += 2 + len(looks)
        yield from (finish, GetObject(key="first"))  # as whoever did not hear the answer
        yield WalkObjects(prefix="", delimiter="", limit=script.page())

    story.__name__ = "many_operations"
    return story
