"""What both roles know of probes: which call acted last on a thing, and what a probe may say of it.

A probe tells of what is there now. ``Done`` is said only while the effect of the call is there, and
``Absent`` where it is not, whatever became of the call at first: who asks goes on from there. A
driver need not remember who made a call. So where another call has the same effect, or changed it
since, both are right.
"""

from collections.abc import Callable, Iterator
from typing import TypeVar

import msgspec

from holdfast.contract.answers import Absent, Answer, Done, Partial, Undetermined
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
    Request,
    ResizeVolume,
    RevertVolume,
    Revoke,
    StartUpload,
)
from holdfast_conformance.model.difference import Aspect, Difference, Where
from holdfast_conformance.model.role_model import Branch, Expectation, ModelState, Slot, only
from holdfast_conformance.plan import CreateFromData, PutObject, SendPart, Step
from holdfast_conformance.trace import Reply

M = TypeVar("M", bound=ModelState)

BORN = "born"
REVERTED = "reverted"
SENT = "sent"
"""The slots of calls that made something, whatever became of it since."""

_NEVER = (ErrorKind.INVALID, ErrorKind.OUT_OF_RANGE)
_ENDINGS = (DeleteVolume, DeleteSnapshot, Revoke, AbortUpload, DeleteObject)


class Fate(msgspec.Struct, frozen=True):
    """What a probe of a call may say: that its effect is there, that it is not, or either."""

    done: bool
    absent: bool

    @property
    def certain(self) -> bool:
        """Whether there is one right answer."""
        return self.done != self.absent


DONE = Fate(done=True, absent=False)
ABSENT = Fate(done=False, absent=True)
EITHER = Fate(done=True, absent=True)


def slot_of(step: Request) -> Slot | None:
    """The thing that a call makes, changes or ends."""
    match step:
        case CopyVolume(target=key) | CreateFromData(key=key):
            return "volume", key
        case CreateVolume(key=key) | DeleteVolume(key=key):
            return "volume", key
        case ResizeVolume(key=key) | RevertVolume(key=key):
            return "volume", key
        case CreateSnapshot(key=key) | DeleteSnapshot(key=key):
            return "snapshot", key
        case Grant(volume=volume, host=host) | Revoke(volume=volume, host=host):
            return "grant", volume, host
        case StartUpload(upload=upload) | AbortUpload(upload=upload):
            return "upload", upload
        case SendPart(upload=upload, number=number):
            return "part", upload, str(number)
        case CopyObject(target=key) | DeleteObject(key=key) | PutObject(key=key):
            return "object", key
        case _:
            return None


def sent_slot(step: SendPart) -> Slot:
    """The slot of one part with one content."""
    return SENT, step.upload, f"{step.number} {step.content} {step.size_bytes}"


def _made(step: Step) -> Slot | None:
    """Where it is kept that a call was made, for what later calls do not undo for certain."""
    match step:
        case CreateVolume(key=key):
            return BORN, key
        case RevertVolume(key=key, snapshot=snapshot):
            return REVERTED, key, snapshot
        case SendPart():
            return sent_slot(step)
        case _:
            return None


def following(state: M, step: Step, expectation: Expectation[M]) -> Expectation[M]:
    """The expectation with what later probes must know of this step."""
    branches = tuple(_followed(state, step, branch) for branch in expectation.branches)
    return Expectation(expectation.situations, branches)


def _followed(state: M, step: Step, branch: Branch[M]) -> Branch[M]:
    if branch.kind not in (None, ErrorKind.UNKNOWN):
        return branch
    changed = branch.state is not state
    slot = slot_of(step)
    acted = dict(state.acted)
    if slot is None:
        written = "volume", getattr(step, "volume", "")
        if not changed or not isinstance(acted.get(written), RevertVolume):
            return branch
        del acted[written]  # Whether it is still what it was reverted to is hard to tell.
    elif changed or (branch.kind is None and isinstance(step, _ENDINGS)):
        acted[slot] = step
        if (made := _made(step)) is not None:
            acted[made] = step
    elif acted.get(slot) == step:
        # The call that a probe names is the last equal one, and that found everything done.
        del acted[slot]
    else:
        return branch
    return Branch(branch.kind, msgspec.structs.replace(branch.state, acted=acted))


def expect_probe(
    state: M, fate: Fate, situation: Callable[[Fate], str], kinds: frozenset[ErrorKind | None]
) -> Expectation[M]:
    """The outcomes of a probe; ``kinds`` are those of the call itself, were it made now.

    A call that can never work may be refused as such. A probe changes nothing.
    """
    malformed = [kind for kind in _NEVER if kind in kinds]
    away = (ErrorKind.UNAVAILABLE, ErrorKind.UNKNOWN) if state.down else ()
    refusals = only(state, *malformed, *away)
    return Expectation(frozenset({situation(fate)}), (Branch(None, state), *refusals))


def ended(state: ModelState, call: Request, *, gone: bool) -> Fate:
    """The fate of a call that ends a thing: what was never there need not have been ended."""
    if not gone:
        return ABSENT
    slot = slot_of(call)
    return DONE if slot is not None and state.acted.get(slot) == call else EITHER


def reached(state: ModelState, call: Request, *, there: bool) -> Fate:
    """The fate of a call that leads to a state: another one may have led there."""
    if not there:
        return ABSENT
    slot = slot_of(call)
    return DONE if slot is not None and state.acted.get(slot) == call else EITHER


def probe_differences(
    state: ModelState,
    fate: Fate,
    reply: Reply,
    differences_of: Callable[[Answer], Iterator[Difference]],
) -> Iterator[Difference]:
    """What is wrong with what a probe says; ``differences_of`` looks at the answer in it."""
    match reply:
        case Done(answer=answer) if fate.done:
            found = differences_of(answer)
            yield from found if fate.certain else _of_type(found)
        case Absent() if fate.absent:
            return
        case Partial() if state.shaken:
            return
        case Undetermined() if state.down or not state.store.exists:
            return
        case _:
            expected = " or ".join(_allowed(fate))
            yield Difference(Where.REPLY, None, "", Aspect.STATE, expected, _said(reply))


def _of_type(differences: Iterator[Difference]) -> Iterator[Difference]:
    """Of a thing that was changed since, what it was and what it is are both fair answers."""
    return (found for found in differences if found.aspect in {Aspect.TYPE, Aspect.KEY})


def _allowed(fate: Fate) -> tuple[str, ...]:
    return (*(("Done",) if fate.done else ()), *(("Absent",) if fate.absent else ()))


def _said(reply: Reply) -> str:
    match reply:
        case Done(answer=answer):
            return f"Done: {answer}"
        case Partial(names=names):
            return f"Partial: {', '.join(names)}"
        case Undetermined(reason=reason):
            return f"Undetermined: {reason}"
        case _:
            return type(reply).__name__
