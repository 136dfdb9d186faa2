"""Calls that are made at once: what every order of them that time allows would have left.

The contract says nothing of calls at once, so that whatever some order of them explains is right
(linearizability). Some things are looser. A call may be ``Busy``: another one was at work on its
object, and it did nothing. Of two calls that end one upload, one may miss what the other took away,
and of two that start one, with other arguments, both may be told that they did. And what a host
writes comes block by block: each block of a write is a call of its own here, and of a write that
failed any of them may have arrived.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec

from holdfast.contract.answers import Gone, GrantInfo, ObjectInfo, SnapshotInfo, VolumeInfo
from holdfast.contract.errors import ErrorKind
from holdfast.contract.requests import AbortUpload, CreateSnapshot, StartUpload
from holdfast_conformance.byte_steps import WriteBytes
from holdfast_conformance.model.difference import Difference
from holdfast_conformance.model.role_model import Branch, Expectation, Model, ModelState
from holdfast_conformance.plan import Call, FinishUpload, SendPart, Step, Together, WriteBlocks
from holdfast_conformance.trace import ObjectBytes, Reply

PATHS_MAX: Final = 64
"""How many states are followed at any point of the orders; no plan needs more."""

_COMPARED = (VolumeInfo, SnapshotInfo, GrantInfo, ObjectInfo, ObjectBytes, Gone)
"""Answers about one object. What a list shows of what changes meanwhile nobody promises; what it
must show of all else is in ``shown_at_once``. Nor does anybody promise a figure.
"""


class CallMade(msgspec.Struct, frozen=True, kw_only=True):
    """One of the calls, and what came of it: ``kind`` is its error, ``reply`` its answer."""

    step: Call
    kind: ErrorKind | None
    reply: Reply | None
    invoked_s: float
    returned_s: float


class OrderEnd(msgspec.Struct, frozen=True):
    """What is true after some order of the calls, and which answers do not fit into it."""

    state: Any
    differences: tuple[Difference, ...] = ()


class _Atom(msgspec.Struct, frozen=True, kw_only=True):
    """What happens at one moment: a call, or one block of a write.

    ``kind`` is the error that the call ended with here; ``skipped`` says that it may have done
    nothing at all instead.
    """

    call: int
    step: Step
    kind: ErrorKind | None = None
    skipped: bool = False


def likely_together(model: Model[Any], state: Any, step: Together) -> Expectation[Any]:
    """What a plan counts on: each call after the one before it, as if nothing overlapped."""
    situations: frozenset[str] = frozenset()
    for call in step.steps:
        expectation = model.expect(state, call)
        situations |= expectation.situations
        state = expectation.likely
    return Expectation(situations, (Branch(None, state),))


def ends_together(model: Model[Any], state: Any, calls: Sequence[CallMade]) -> tuple[OrderEnd, ...]:
    """What every order of these calls, with the outcomes that came, would have left.

    Empty where no order allows these outcomes.
    """
    atoms = tuple(_atoms(calls))
    everything = (1 << len(atoms)) - 1
    reached: dict[int, list[OrderEnd]] = {0: [OrderEnd(state)]}
    for done in range(everything):
        for end in reached.pop(done, ()):
            for number, atom in enumerate(atoms):
                if done >> number & 1 or not _may_be_next(atoms, calls, done, number):
                    continue
                following = reached.setdefault(done | 1 << number, [])
                at = state.clock + _snapshots_before(atoms, done, atom)
                for next_end in _after(model, end, atom, calls[atom.call], at):
                    _keep(following, _since(next_end, state.clock))
    return tuple(_since(end, state.clock + len(calls)) for end in reached.get(everything, ()))


def _atoms(calls: Sequence[CallMade]) -> Iterator[_Atom]:
    for number, made in enumerate(calls):
        step, failed = made.step, made.kind is not None
        if isinstance(step, WriteBlocks):
            for block in range(step.first, step.first + step.count):
                one = msgspec.structs.replace(step, first=block, count=1)
                yield _Atom(call=number, step=one, skipped=failed)
            if not failed:
                continue
        elif isinstance(step, WriteBytes):
            # A range of no more than a sector comes whole; of a write that failed it may have come.
            yield _Atom(call=number, step=step, skipped=failed)
            if not failed:
                continue
        others = [other.step for other in calls if other is not made]
        excused = made.kind is ErrorKind.BUSY or made.kind in _missing(step, others)
        excused = excused or _both_started(made, calls)
        yield _Atom(call=number, step=step, kind=made.kind, skipped=excused)


def _missing(step: Step, others: Sequence[Step]) -> tuple[ErrorKind, ...]:
    """What a call may say of an upload that another one ends, when it finds only a part of it."""
    if isinstance(step, SendPart):
        # What came of a part whose upload goes meanwhile need not be known.
        gone = any(isinstance(one, AbortUpload) and one.upload == step.upload for one in others)
        return (ErrorKind.UNKNOWN,) if gone else ()
    if not isinstance(step, FinishUpload):
        return ()
    ends = [other for other in others if isinstance(other, FinishUpload | AbortUpload)]
    together = any(other.upload == step.upload for other in ends)
    lost = (ErrorKind.INVALID, ErrorKind.NOT_FOUND, ErrorKind.UNKNOWN)
    return lost if together else ()


def _both_started(made: CallMade, calls: Sequence[CallMade]) -> bool:
    """Whether two uploads were started under one key, both with success: one of them is none.

    A server that is asked to make what is not there may say twice that it did (Swift), and
    whoever gives keys gives each of them once.
    """
    return made.kind is None and any(
        other is not made
        and other.kind is None
        and isinstance(made.step, StartUpload)
        and isinstance(other.step, StartUpload)
        and other.step.upload == made.step.upload
        and other.step != made.step
        for other in calls
    )


def _may_be_next(atoms: Sequence[_Atom], calls: Sequence[CallMade], done: int, number: int) -> bool:
    """Whether every call that had returned before this one was made is over by now."""
    invoked_s = calls[atoms[number].call].invoked_s
    return all(
        done >> other & 1 or calls[atom.call].returned_s >= invoked_s
        for other, atom in enumerate(atoms)
        if atom.call != atoms[number].call
    )


def _snapshots_before(atoms: Sequence[_Atom], done: int, atom: _Atom) -> int:
    """How many snapshots come before this one: all else is born at one time, and has no order."""
    if not isinstance(atom.step, CreateSnapshot):
        return 0
    numbered = enumerate(atoms)
    return sum(isinstance(one.step, CreateSnapshot) for n, one in numbered if done >> n & 1)


def _since(end: OrderEnd, clock: int) -> OrderEnd:
    state: ModelState = end.state
    return OrderEnd(msgspec.structs.replace(state, clock=clock), end.differences)


def _after(
    model: Model[Any], end: OrderEnd, atom: _Atom, made: CallMade, clock: int
) -> Iterator[OrderEnd]:
    """The ends that an order has after one more thing happened."""
    state: ModelState = end.state
    before = msgspec.structs.replace(state, clock=clock)
    if atom.skipped:
        yield end
    for branch in model.expect(before, atom.step).branches:
        # Where nobody knows what came of it, it may have been done.
        done = atom.skipped and atom.kind is ErrorKind.UNKNOWN and branch.kind is None
        if branch.kind is not atom.kind and not done:
            continue
        differences = end.differences
        if isinstance(made.reply, _COMPARED):
            wrong = model.reply_differences(before, branch.state, atom.step, made.reply)
            differences = (*differences, *wrong)
        yield OrderEnd(branch.state, differences)


def _keep(ends: list[OrderEnd], candidate: OrderEnd) -> None:
    """Add an end, unless its state was reached with as few differences before."""
    for index, known in enumerate(ends):
        if known.state == candidate.state:
            if len(candidate.differences) < len(known.differences):
                ends[index] = candidate
            return
    if len(ends) < PATHS_MAX:
        ends.append(candidate)


def best_of(ends: Iterable[OrderEnd], differs: Callable[[Any], int]) -> tuple[OrderEnd, ...]:
    """The ends that agree best with their answers and with an observation."""
    counted = [(len(end.differences) + differs(end.state), end) for end in ends]
    best = min(count for count, _ in counted)
    return tuple(end for count, end in counted if count == best)
