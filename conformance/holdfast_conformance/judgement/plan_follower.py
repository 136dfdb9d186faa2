"""Following one plan through the stores that it works in."""

from collections.abc import Iterator

from holdfast_conformance.judgement.evidence import Moment
from holdfast_conformance.judgement.trace_walk import StoreFollower
from holdfast_conformance.plan import UseStore
from holdfast_conformance.trace import Ended, Started, Stepped, TraceRecord


class PlanFollower:
    """Gives each record to the follower of the store that the plan was in then.

    No store knows of another: whatever is done in one is nothing that the model of another has.
    """

    def __init__(self, started: Started) -> None:
        self._started = started
        self._stores = {0: StoreFollower(started)}
        self._number = 0

    def feed(self, record: TraceRecord) -> Iterator[tuple[int, Moment]]:
        """The moments that this record completes, each with the index of its step."""
        number = self._number_at(record)
        if number != self._number:
            yield from self.finish()
            self._number = number
            self._current().come_back()
        elif isinstance(record, Ended) and len(self._stores) > 1:
            # By then the others were emptied, too.
            yield from self.finish()
            self._current().come_back()
        yield from self._current().feed(record)

    def finish(self) -> Iterator[tuple[int, Moment]]:
        """The moment of a step that was not observed, if one is waiting."""
        yield from self._current().finish()

    def _current(self) -> StoreFollower:
        if self._number not in self._stores:
            self._stores[self._number] = StoreFollower(self._started)
        return self._stores[self._number]

    def _number_at(self, record: TraceRecord) -> int:
        """The store that a record is of: the one which a step goes to, else the one before."""
        steps = self._started.plan.steps
        if isinstance(record, Stepped) and 0 <= record.index < len(steps):
            step = steps[record.index]
            return step.number if isinstance(step, UseStore) else self._number
        return self._number
