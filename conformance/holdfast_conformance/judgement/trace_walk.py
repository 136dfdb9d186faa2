"""Following one store of a plan: from trace records to the moments that properties judge."""

from collections.abc import Iterator
from typing import Any

import msgspec

from holdfast.contract.answers import OwnedKind, PoolList, StatsInfo
from holdfast.contract.requests import CopyObject, GetStats, verb_of
from holdfast.contract.testbed import Inspected
from holdfast_conformance.judgement.drivers_used import DriversUsed
from holdfast_conformance.judgement.evidence import (
    BrokenMoment,
    Earlier,
    EndMoment,
    Moment,
    StepMoment,
    TogetherMoment,
    object_of,
)
from holdfast_conformance.model.at_once import CallMade
from holdfast_conformance.model.difference import (
    Aspect,
    Difference,
    Expected,
    Where,
    backend_differences,
)
from holdfast_conformance.model.ids import IdBook
from holdfast_conformance.model.model_choice import model_of
from holdfast_conformance.model.possible_states import Belief
from holdfast_conformance.model.role_model import Expectation, ModelState
from holdfast_conformance.model.shown_at_once import missing_of_lasting
from holdfast_conformance.plan import FinishUpload, Step, Together, preparation
from holdfast_conformance.trace import (
    Broken,
    Ended,
    Observed,
    Raised,
    Reply,
    Returned,
    Started,
    Stepped,
    TraceRecord,
)

_JOINING = (FinishUpload, CopyObject)
_UNCOUNTED = (OwnedKind.STORE, OwnedKind.GRANT)
USED = "used"
"""Among figures: the bytes in use when the store first held the same things."""

_Figures = dict[str, tuple[int, ...]]


class StoreFollower:
    """Pairs each step with its observation and with what the model says of both."""

    def __init__(self, started: Started) -> None:
        self._started = started
        self._plan = started.plan
        self._model = model_of(started.capabilities)
        self._belief: Belief[Any] = Belief(self._model, self._model.initial(self._plan))
        self._preparation = preparation(self._plan)
        self._pending: tuple[Stepped, ...] = ()
        self._inventory: tuple[Inspected, ...] = ()
        self._outside = ""
        self._ids = IdBook()
        self._earlier: dict[Step, Reply] = {}
        self._figures: dict[tuple[Expected, ...], _Figures] = {}
        self._held: set[OwnedKind] = set()
        self._drivers = DriversUsed()
        self._refused: set[tuple[str, str]] = set()

    def come_back(self) -> None:
        """Take what is around the store anew: something was done elsewhere, as it was meant."""
        self._outside = ""

    def feed(self, record: TraceRecord) -> Iterator[tuple[int, Moment]]:
        """The moments that this record completes, each with the index of its step."""
        match record:
            case Stepped():
                if self._pending and self._pending[0].index != record.index:
                    yield from self.finish()
                self._pending = (*self._pending, record)
            case Observed():
                yield from self._over(record)
            case Broken():
                yield from self.finish()
                yield record.index, self._broken(record)
            case Ended():
                yield from self.finish()
                yield len(self._plan.steps), self._end(record)
            case _:
                return

    def finish(self) -> Iterator[tuple[int, Moment]]:
        """The moment of a step that was not observed, if one is waiting."""
        yield from self._over(None)

    def _over(self, observed: Observed | None) -> Iterator[tuple[int, Moment]]:
        """The moment of the step that is waiting, if one is."""
        pending, self._pending = self._pending, ()
        if not pending:
            return
        index = pending[0].index
        step = self._step(index)
        if isinstance(step, Together):
            yield index, self._together(step, pending, observed)
        else:
            yield index, self._moment(pending[0], observed)

    def _step(self, index: int) -> Step:
        return self._preparation[-1 - index] if index < 0 else self._plan.steps[index]

    def _moment(self, stepped: Stepped, observed: Observed | None) -> StepMoment:
        step = self._step(stepped.index)
        expectations = self._belief.expect(step)
        states = self._belief.states
        inventory = self._inventory
        if observed is not None and observed.things is not None:
            inventory = observed.things
        candidates = self._successors(expectations, stepped)
        seen = inventory if observed is not None else None
        after = self._belief.settle(candidates, self._counting(seen)) if candidates else None
        before, expectation = _origin(states, expectations, after)
        reference = before if after is None else after
        alive = tuple(self._model.things(reference, self._plan.id))
        differences = [
            *self._reply_differences(before, after, step, stepped, alive),
            *self._seen_differences(reference, alive, seen, observed),
        ]
        moment = StepMoment(
            capabilities=self._started.capabilities,
            plan=self._plan,
            index=stepped.index,
            step=step,
            expectation=expectation,
            before=before,
            after=after,
            stepped=stepped,
            differences=tuple(differences),
            inventory_before=self._inventory,
            inventory_after=seen,
            outside_before=self._outside,
            outside_after=observed.outside_digest if observed is not None else self._outside,
            repeats=self._repeated(step),
            figures=dict(self._figures.get(_counted(alive), {})),
            owned=frozenset(thing.key for thing in alive if thing.kind not in _UNCOUNTED),
            crossed=self._drivers.crossed(step),
            refused_before=_call(step) in self._refused,
        )
        self._remember(moment, alive)
        return moment

    def _together(
        self, step: Together, pending: tuple[Stepped, ...], observed: Observed | None
    ) -> TogetherMoment:
        """Calls at once: every order of them is tried, and the observation tells which it was."""
        possible = self._belief.states
        before = possible[0]
        inventory = self._inventory
        if observed is not None and observed.things is not None:
            inventory = observed.things
        seen = inventory if observed is not None else None
        calls = _calls_made(step, pending)
        end = self._belief.settle_together(calls, self._counting(seen)) if calls else None
        after = None if end is None else end.state
        reference = before if after is None else after
        alive = tuple(self._model.things(reference, self._plan.id))
        states = (*possible, *self._belief.states)
        living = [self._model.things(state, self._plan.id) for state in states]
        differences = [
            *(() if end is None else end.differences),
            *missing_of_lasting(calls, living),
            *self._ids_together(calls, alive),
            *self._seen_differences(reference, alive, seen, observed),
        ]
        self._inventory = inventory
        self._outside = observed.outside_digest if observed is not None else self._outside
        self._held.update(thing.kind for thing in alive)
        self._earlier.clear()
        self._drivers.follow(step, changed=True)
        return TogetherMoment(
            capabilities=self._started.capabilities,
            plan=self._plan,
            index=pending[0].index,
            step=step,
            after=after,
            stepped=pending,
            differences=tuple(differences),
        )

    def _ids_together(
        self, calls: tuple[CallMade, ...], alive: tuple[Expected, ...]
    ) -> Iterator[Difference]:
        """What is wrong with the ids that equal requests were given.

        Of others one may have ended a life that another began, which is seen soon enough; and one
        upload that is completed twice at once may become an object twice.
        """
        if any(made.step != calls[0].step or isinstance(made.step, _JOINING) for made in calls):
            return
        for made in calls:
            if made.reply is not None:
                yield from self._ids.differences(made.reply, alive)

    def _successors(
        self, expectations: tuple[Expectation[Any], ...], stepped: Stepped
    ) -> tuple[Any, ...]:
        match stepped.outcome:
            case Returned():
                return self._belief.successors(expectations, None)
            case Raised(kind=kind):
                return self._belief.successors(expectations, kind)
            case _:
                return ()

    def _counting(self, seen: tuple[Inspected, ...] | None) -> Any:
        def differs(state: ModelState) -> int:
            if seen is None:
                return 0
            return sum(
                1 for _ in backend_differences(self._model.things(state, self._plan.id), seen)
            )

        return differs

    def _reply_differences(
        self,
        before: ModelState,
        after: ModelState | None,
        step: Step,
        stepped: Stepped,
        alive: tuple[Expected, ...],
    ) -> Iterator[Difference]:
        if after is None or not isinstance(stepped.outcome, Returned):
            return
        reply = stepped.outcome.reply
        yield from self._model.reply_differences(before, after, step, reply)
        if self._model.shows_what_lives(after, step):
            yield from self._ids.differences(reply, alive)

    def _seen_differences(
        self,
        reference: ModelState,
        alive: tuple[Expected, ...],
        seen: tuple[Inspected, ...] | None,
        observed: Observed | None,
    ) -> Iterator[Difference]:
        if observed is None or seen is None:
            return
        yield from backend_differences(alive, seen)
        yield from self._model.handle_differences(reference, observed)
        if self._outside and observed.outside_digest != self._outside:
            yield Difference(
                Where.BACKEND, None, "", Aspect.OUTSIDE, "nothing outside changed", "it changed"
            )

    def _repeated(self, step: Step) -> Earlier | None:
        reply = self._earlier.get(step)
        return None if reply is None else Earlier(reply)

    def _remember(self, moment: StepMoment, alive: tuple[Expected, ...]) -> None:
        if moment.inventory_after is not None:
            self._inventory = moment.inventory_after
        self._outside = moment.outside_after
        self._held.update(thing.kind for thing in alive)
        changed = moment.after is None or _timeless(moment.after) != _timeless(moment.before)
        self._drivers.follow(moment.step, changed=changed)
        if changed:
            self._earlier.clear()
        if moment.reply is not None:
            self._earlier[moment.step] = moment.reply
        if moment.kind is not None and moment.allowed:
            self._refused.add(_call(moment.step))
        figures = figures_in(moment.reply)
        # The parts of an open upload count, too, and are nowhere among the things.
        uploading = any(thing.kind is OwnedKind.UPLOAD for thing in alive)
        of_volume = isinstance(moment.step, GetStats) and moment.step.volume
        if figures is not None and not (uploading or of_volume):
            known = self._figures.setdefault(_counted(alive), {})
            known[moment.verb] = figures
            if isinstance(moment.reply, StatsInfo):
                known.setdefault(USED, (moment.reply.used_bytes,))

    def _broken(self, record: Broken) -> BrokenMoment:
        inside = -1 - len(self._preparation) < record.index < len(self._plan.steps)
        return BrokenMoment(
            capabilities=self._started.capabilities,
            plan=self._plan,
            step=self._step(record.index) if inside else None,
            broken=record,
        )

    def _end(self, record: Ended) -> EndMoment:
        return EndMoment(
            capabilities=self._started.capabilities,
            plan=self._plan,
            ended=record,
            outside_before=self._outside,
            held=frozenset(self._held),
        )


def _calls_made(step: Together, pending: tuple[Stepped, ...]) -> tuple[CallMade, ...]:
    """The calls with their outcomes; empty where one has none that a call can have."""
    if any(not isinstance(stepped.outcome, Returned | Raised) for stepped in pending):
        return ()
    return tuple(
        CallMade(
            step=call,
            kind=stepped.outcome.kind if isinstance(stepped.outcome, Raised) else None,
            reply=stepped.outcome.reply if isinstance(stepped.outcome, Returned) else None,
            invoked_s=stepped.invoked_s,
            returned_s=stepped.returned_s,
        )
        for call, stepped in zip(step.steps, pending, strict=False)
    )


def _call(step: Step) -> tuple[str, str]:
    """The verb of a call, and what it is about."""
    return verb_of(step), object_of(step)


def figures_in(reply: Reply | None) -> tuple[int, ...] | None:
    """The counters that must be equal whenever the store holds the same things."""
    match reply:
        case StatsInfo():
            return reply.allocated_bytes, reply.objects
        case PoolList():
            return tuple(pool.allocated_bytes for pool in reply.items)
        case _:
            return None


def _origin(
    states: tuple[Any, ...], expectations: tuple[Expectation[Any], ...], after: ModelState | None
) -> tuple[Any, Expectation[Any]]:
    """The state that the outcome started from, as far as several were possible."""
    for state, expectation in zip(states, expectations, strict=True):
        if any(branch.state == after for branch in expectation.branches):
            return state, expectation
    return states[0], expectations[0]


def _counted(alive: tuple[Expected, ...]) -> tuple[Expected, ...]:
    """What decides the figures, without the lives of things."""
    return tuple(
        msgspec.structs.replace(thing, born=0) for thing in alive if thing.kind not in _UNCOUNTED
    )


def _timeless(state: ModelState) -> ModelState:
    return msgspec.structs.replace(
        state, clock=0, acted={}, pages={}, fenced=None, expected={}, using=0
    )
