"""What one trace adds to what a report says beside the verdict; its records are not kept."""

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator

from holdfast.contract.requests import verb_of
from holdfast_conformance.plan import Plan, calls_of, preparation
from holdfast_conformance.report.document import Leak
from holdfast_conformance.trace import Ended, Loaded, Raised, Started, Stepped, TraceRecord

LEAKS_MAX = 1000
"""How many leaks a report lists; the others are counted."""


class TraceSummary:
    """Gathers from the records of one trace; times are by verb, in seconds, in their order."""

    def __init__(self) -> None:
        self.loaded: Loaded | None = None
        self.started: Started | None = None
        self.executed = 0
        """How many steps of the plan were answered, preparation not counted."""
        self.ops: Counter[str] = Counter()
        """How often each verb answered, preparation included."""
        self.errors: Counter[str] = Counter()
        self.real_s: dict[str, array[float]] = defaultdict(_seconds)
        self.virtual_s: dict[str, array[float]] = defaultdict(_seconds)
        self.leaks: list[Leak] = []
        self.more_leaks = 0
        """How many there are beyond ``LEAKS_MAX``: a stranger's trace may tell of any number."""

    def take(self, record: TraceRecord) -> None:
        """Take the next record."""
        match record:
            case Loaded():
                self.loaded = record
            case Started():
                self.started = record
            case Stepped() if self.started is not None:
                self._step(self.started.plan, record)
            case Ended():
                for leak in _leaks_in(record, self.started.plan.id if self.started else ""):
                    if len(self.leaks) < LEAKS_MAX:
                        self.leaks.append(leak)
                    else:
                        self.more_leaks += 1
            case _:
                return

    def _step(self, plan: Plan, stepped: Stepped) -> None:
        self.executed += stepped.index >= 0
        verb = _verb(plan, stepped)
        self.ops[verb] += 1
        if isinstance(stepped.outcome, Raised):
            self.errors[stepped.outcome.kind.value] += 1
        self.real_s[verb].append(stepped.real_s)
        self.virtual_s[verb].append(stepped.virtual_s)


def _seconds() -> "array[float]":
    return array("d")


def _leaks_in(record: Ended, plan: str) -> Iterator[Leak]:
    for thing in record.left:
        yield Leak(plan=plan, seen_by="inspector", what=f"{thing.kind.value} {thing.key!r}")
    for owned in record.enumerated:
        what = f"{owned.kind.value} {owned.key or owned.id!r}"
        yield Leak(plan=plan, seen_by="driver", what=what)
    for failure in record.failures:
        yield Leak(plan=plan, seen_by="cleanup", what=failure)


def _verb(plan: Plan, stepped: Stepped) -> str:
    """The verb of a call; negative indices are explained at ``Stepped``."""
    index = stepped.index
    steps, place = (plan.steps, index) if index >= 0 else (preparation(plan), -1 - index)
    calls = calls_of(steps[place]) if place < len(steps) else ()
    return verb_of(calls[stepped.client]) if 0 <= stepped.client < len(calls) else "?"
