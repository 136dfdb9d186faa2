"""Late calls: what came after a later call on its object is refused, and on another it is not.

Only plans with late calls have fences at all, so that only their states follow them. What is fenced
for certain is what a call changed, what one ended, and what one was asked about: who deletes what
is not there wants it never to be, and a creation that was given up may still come. Whether a call
that was refused, or that only read an object, left its fence there, is the backend's own affair.
"""

from collections.abc import Iterator
from typing import TypeVar

import msgspec

from holdfast.contract.errors import ErrorKind
from holdfast.contract.requests import (
    AbortUpload,
    CopyObject,
    CopyVolume,
    CreateSnapshot,
    CreateVolume,
    DeleteObject,
    DeleteSnapshot,
    DeleteVolume,
    Grant,
    ModifyVolume,
    Request,
    ResizeVolume,
    RevertVolume,
    Revoke,
    SnapshotSource,
    StartUpload,
    VolumeSource,
)
from holdfast_conformance.model.image_state import ImageSituation, ImageState
from holdfast_conformance.model.primary_state import Situation
from holdfast_conformance.model.role_model import (
    Branch,
    Expectation,
    Fenced,
    ModelState,
    Slot,
    only,
)
from holdfast_conformance.plan import (
    CreateFromData,
    FinishUpload,
    LateCall,
    Plan,
    ProbeCall,
    PutObject,
    SendPart,
    Step,
    StoreStep,
    subjects_of,
)

M = TypeVar("M", bound=ModelState)

LATE = "late: a call that comes after a later one on its object"
ELSEWHERE = "late: a call that comes after later ones on other objects alone"
"""The situations of both roles."""

_ENDINGS = (DeleteVolume, DeleteSnapshot, DeleteObject, Revoke, AbortUpload)
_ABSENT = {Situation.PROBE_ABSENT, ImageSituation.PROBE_ABSENT}
_STORE: Slot = ("store",)
_NAMING = {
    "key": ("volume", "snapshot", "object"),
    "volume": ("volume",),
    "snapshot": ("snapshot",),
    "upload": ("upload",),
}


def fences_of(plan: Plan) -> Fenced | None:
    """What is fenced at the beginning of a plan; ``None`` where nothing ever is."""
    late = any(isinstance(step, LateCall) for step in plan.steps)
    return Fenced() if late else None


def given_up(state: M, name: str) -> M:
    """The state from where on is known what is done after the call that was given up."""
    if state.fenced is None:
        return state
    since = {**state.fenced.since, name: Fenced()}
    return msgspec.structs.replace(state, fenced=msgspec.structs.replace(state.fenced, since=since))


def expect_late(state: M, late: LateCall, inner: Expectation[M]) -> Expectation[M]:
    """What may come of a late call, of which ``inner`` says what came of it, were it in time."""
    call = late.call
    fenced = _later_than(state.fenced or Fenced(), late)
    own, others = frozenset(_own(call)), frozenset(_read(call))
    if isinstance(call, FinishUpload) and isinstance(state, ImageState):
        # A completion is compared with its object too, once it is known that there is one to make.
        joined = frozenset(_joined(state, call))
        if call.upload in state.uploads:
            own |= joined
        else:
            others |= joined
    failures = tuple(
        branch for branch in inner.branches if branch.kind is not None and branch.state == state
    )
    # Where it is not known any more whether a later call was made, the caller may try again.
    busy = only(state, ErrorKind.BUSY)
    if own & fenced.changed:
        refused = (*only(state, ErrorKind.PRECONDITION), *busy)
        return Expectation(frozenset({LATE}), (*refused, *failures))
    if (own | others) & fenced.named:
        refused = only(state, ErrorKind.PRECONDITION)
        return Expectation(frozenset(), (*inner.branches, *refused, *busy))
    return Expectation(inner.situations | {ELSEWHERE}, (*inner.branches, *busy))


def fencing(state: M, step: Step, expectation: Expectation[M]) -> Expectation[M]:
    """The expectation with what later calls must know of the fences that this step left."""
    subjects = subjects_of(step)
    joined = frozenset(slot for call in subjects for slot in _joined(state, call))
    named = joined.union(slot for call in subjects for slot in (*_own(call), *_read(call)))
    if not named:
        return expectation
    # One that was late and carried out has left its own fence: another late one may be as high.
    calls = () if isinstance(step, LateCall) else subjects_of(step)
    own = (
        joined.union(slot for call in calls for slot in _own(call)) if calls else frozenset[Slot]()
    )
    ends = len(calls) == 1 and isinstance(calls[0], _ENDINGS)
    if isinstance(step, ProbeCall) and not state.down and expectation.situations & _ABSENT:
        # What a probe tells must stay true: the call that it does not see never comes.
        own, ends = frozenset(_own(step.call)), True
    return Expectation(
        expectation.situations,
        tuple(_fenced(state, branch, own, named, ends=ends) for branch in expectation.branches),
    )


def _later_than(fenced: Fenced, late: LateCall) -> Fenced:
    """What has higher fences than a late call."""
    if late.former_owner or isinstance(late.call, StoreStep):
        return fenced
    return fenced.since.get(late.given_up, fenced)


def _fenced(
    state: M, branch: Branch[M], own: frozenset[Slot], named: frozenset[Slot], *, ends: bool
) -> Branch[M]:
    acted = branch.kind is None and (ends or _changed(state, branch.state))

    def after(before: Fenced) -> Fenced:
        since = {name: after(later) for name, later in before.since.items()}
        if not branch.state.store.exists:
            # Whatever fences there were may be gone with the store.
            return Fenced(named=before.named | before.changed | named, since=since)
        changed = before.changed | own if acted else before.changed
        return Fenced(changed, before.named | named, since)

    fenced = after(branch.state.fenced or Fenced())
    return Branch(branch.kind, msgspec.structs.replace(branch.state, fenced=fenced))


def _changed(before: ModelState, after: ModelState) -> bool:
    """Whether anything but what is remembered of calls is different."""
    return after is not before and before != msgspec.structs.replace(
        after, acted=before.acted, pages=before.pages
    )


def _own(call: Request) -> tuple[Slot, ...]:
    """The objects that a call changes; a grant is a part of its volume."""
    if isinstance(call, StoreStep):
        return (_STORE,)
    return _own_of_primary(call) or _own_of_image(call)


def _joined(state: ModelState, call: Request) -> Iterator[Slot]:
    """The object that an upload becomes, where that is open, or was once."""
    if not isinstance(call, FinishUpload) or not isinstance(state, ImageState):
        return
    upload, settled = state.uploads.get(call.upload), state.settled.get(call.upload)
    for known in (upload, settled):
        if known is not None:
            yield "object", known.key


def _own_of_primary(call: Request) -> tuple[Slot, ...]:
    match call:
        case CreateVolume(key=key) | DeleteVolume(key=key) | ResizeVolume(key=key):
            return (("volume", key),)
        case RevertVolume(key=key) | ModifyVolume(key=key) | CreateFromData(key=key):
            return (("volume", key),)
        case CopyVolume(target=key) | Grant(volume=key) | Revoke(volume=key):
            return (("volume", key),)
        case CreateSnapshot(key=key) | DeleteSnapshot(key=key):
            return (("snapshot", key),)
        case _:
            return ()


def _own_of_image(call: Request) -> tuple[Slot, ...]:
    match call:
        case SendPart(upload=upload, number=number):
            return (("part", upload, str(number)),)
        case StartUpload(upload=upload) | AbortUpload(upload=upload) | FinishUpload(upload=upload):
            return (("upload", upload),)
        case PutObject(upload=upload, key=key):
            return ("upload", upload), ("object", key)
        case DeleteObject(key=key) | CopyObject(target=key):
            return (("object", key),)
        case _:
            return ()


def _read(call: Request) -> Iterator[Slot]:
    """The objects that a call needs and leaves as they are."""
    match call:
        case CreateVolume(source=SnapshotSource(snapshot=key)):
            yield "snapshot", key
        case CreateVolume(source=VolumeSource(volume=key)):
            yield "volume", key
        case CreateSnapshot(volume=key):
            yield "volume", key
        case RevertVolume(snapshot=key):
            yield "snapshot", key
        case CopyVolume(key=key) | CreateFromData(volume=key):
            yield "volume", key
        case CopyObject(key=key):
            yield "object", key
        case SendPart(upload=upload):
            yield "upload", upload
        case _ if not _own(call):
            yield from _looked_at(call)
        case _:
            return


def _looked_at(call: Request) -> Iterator[Slot]:
    """Whatever a call that changes nothing may be about."""
    for field, kinds in _NAMING.items():
        if name := getattr(call, field, ""):
            yield from ((kind, name) for kind in kinds)
