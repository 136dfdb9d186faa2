"""Stories of calls that come late on an image store: what was made since must stand."""

from collections.abc import Iterator

from holdfast.contract.requests import (
    AbortUpload,
    CancelMaintenance,
    CopyObject,
    DeleteObject,
    GetObject,
    HeadObject,
    MaintainStore,
)
from holdfast_conformance.plan import (
    FencedCall,
    GiveUp,
    LateCall,
    ProbeCall,
    Reopen,
    Step,
    UseDriver,
)
from holdfast_conformance.scenarios.image_script import Script
from holdfast_conformance.scenarios.late_calls import OTHERS, late


def late_on_an_upload(script: Script) -> Iterator[Step]:
    """Each call of an upload's life, late: while it is open, and when it has become an object."""
    if not script.declared.fences:
        return
    start = script.start()
    part, finish = script.part(start, 1), script.finish(start, 1)
    gone = AbortUpload(upload=start.upload)
    yield start
    yield late(script.choices, gone)
    yield part
    yield late(script.choices, script.part(start, 1))
    yield late(script.choices, script.finish(start, 1))
    yield late(script.choices, start)
    yield finish
    yield GetObject(key=start.key)
    yield script.put()
    yield Reopen()
    calls: tuple[FencedCall, ...] = (start, part, finish, gone)
    for call in script.choices.shuffled(calls):
        yield late(script.choices, call)
    yield GetObject(key=start.key)


def late_part(script: Script) -> Iterator[Step]:
    """A part that was given up does not replace the one that was sent in its place, also where
    nothing else of its upload came later, and where it comes through another driver.
    """
    if not script.declared.fences:
        return
    start = script.start()
    yield LateCall(call=start, former_owner=True)
    yield script.part(start, 1)
    yield LateCall(call=script.part(start, 1))
    yield from (UseDriver(number=1), LateCall(call=script.part(start, 1)))
    yield script.finish(start, 1)
    yield GetObject(key=start.key)


def late_after_nothing(script: Script) -> Iterator[Step]:
    """What was ended before it was there, or told to be absent, is not made by the call that was
    given up, and a part of one upload is late for no part of another.
    """
    if not script.declared.fences:
        return
    start, first, second = script.start(), script.start("a"), script.start("b")
    asked = script.start("asked about")
    yield from (AbortUpload(upload=start.upload), late(script.choices, start))
    yield from (ProbeCall(call=asked), late(script.choices, asked))
    yield from (second, first, script.part(first, 1), late(script.choices, script.part(second, 1)))
    yield from (script.finish(second, 1), script.finish(first, 1))
    if script.declared.copy is not None:
        copy = CopyObject(key="a", target="copy of it")
        yield from (DeleteObject(key="copy of it"), late(script.choices, copy))
    yield from (GetObject(key="b"), HeadObject(key="copy of it"))


def late_on_an_object(script: Script) -> Iterator[Step]:
    """An object that was stored or copied since is not deleted, and none comes back."""
    if not script.declared.fences:
        return
    gone = DeleteObject(key=script.key)
    yield script.put()
    yield late(script.choices, gone)
    yield HeadObject(key=script.key)
    if script.declared.copy is not None:
        copy = CopyObject(key=script.key, target="copy of it")
        yield copy
        yield late(script.choices, DeleteObject(key="copy of it"))
        yield script.put("copy of it")
        yield late(script.choices, copy)
        yield GetObject(key="copy of it")
        yield DeleteObject(key="copy of it")
        yield late(script.choices, copy)
    yield gone
    yield script.put()
    yield Reopen()
    yield late(script.choices, gone)
    yield GetObject(key=script.key)


def late_after_others(script: Script) -> Iterator[Step]:
    """Calls on others are in nobody's way, and make no store forget who was late."""
    if not script.declared.fences:
        return
    yield script.put()
    for number in range(OTHERS):
        yield DeleteObject(key=f"other-{number}")
    yield late(script.choices, DeleteObject(key=script.key))
    yield HeadObject(key=script.key)
    for key in ("nobody's", "nobody's either"):
        yield late(script.choices, DeleteObject(key=key))
    yield late(script.choices, script.start("nobody's"))
    yield LateCall(call=DeleteObject(key=script.key), former_owner=True)


def late_between(script: Script) -> Iterator[Step]:
    """A call is late for what was changed since it was given up, and for nothing else."""
    if not script.declared.fences:
        return
    first, second = script.start("a"), script.start("b")
    yield from (first, script.part(first, 1), GiveUp(name="one part"))
    yield from (second, script.part(second, 1), script.part(first, 1))
    yield LateCall(call=script.part(first, 1), given_up="one part")
    yield GiveUp(name="two parts")
    yield script.part(second, 1)
    yield LateCall(call=script.part(second, 1), given_up="two parts")
    yield LateCall(call=script.part(first, 1), given_up="two parts")
    yield from (script.finish(first, 1), GiveUp(name="one object"), script.finish(second, 1))
    yield LateCall(call=DeleteObject(key="b"), given_up="one object")
    yield LateCall(call=DeleteObject(key="a"), given_up="one object")
    yield GetObject(key="b")


def late_completion(script: Script) -> Iterator[Step]:
    """An upload that is late for its object makes none, though nothing was done to the upload."""
    if not script.declared.fences:
        return
    start = script.start()
    yield from (start, script.part(start, 1), GiveUp(name="whole"))
    yield script.put()
    yield LateCall(call=script.finish(start, 1), given_up="whole")
    yield GetObject(key=script.key)


def late_on_the_store(script: Script) -> Iterator[Step]:
    """A store that serves again is not put to rest by a call from before."""
    if not script.declared.fences:
        return
    yield MaintainStore()
    yield late(script.choices, CancelMaintenance())
    yield CancelMaintenance()
    yield late(script.choices, MaintainStore())
    yield script.put()


STORIES = (
    late_on_an_upload,
    late_part,
    late_after_nothing,
    late_on_an_object,
    late_after_others,
    late_between,
    late_completion,
    late_on_the_store,
)
