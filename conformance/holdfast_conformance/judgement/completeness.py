"""Whether a trace tells a plan to its end: a trace with a part missing is no proof of anything."""

from collections.abc import Iterator

from holdfast_conformance.plan import Plan, calls_of, preparation
from holdfast_conformance.trace import (
    Broken,
    Ended,
    Loaded,
    Observed,
    Started,
    Stepped,
    TraceRecord,
)

_OVER = "nothing more"


class Course:
    """Follows the records of one trace and compares them with what an executor writes.

    That is one ``Loaded`` alone; or ``Started``, then each step of the preparation and of the plan
    with its observation, then ``Ended``; or the beginning of this, ended by ``Broken``. A client
    makes one call at a time, and none returns before it was made.
    """

    def __init__(self) -> None:
        self._due: Iterator[str] | None = None
        self._broken = False
        self._wrong = ""
        self._returned_s: dict[int, float] = {}

    def take(self, record: TraceRecord) -> None:
        """Take the next record."""
        if self._wrong:
            return
        due = "a beginning" if self._due is None else next(self._due, _OVER)
        came = _said(record)
        match record:
            case Loaded() if self._due is None:
                self._due = iter(())
            case Started() if self._due is None:
                self._due = _whole(record.plan)
            case Broken() if self._due is not None and not self._broken:
                self._broken, self._due = True, iter(())
            case _ if came != due:
                self._wrong = f"{came} came where {due} was due"
            case Stepped():
                self._time(record)
            case _:
                pass

    def _time(self, record: Stepped) -> None:
        """Look at when a call was made and when it returned."""
        before_s = self._returned_s.get(record.client, record.invoked_s)
        if not before_s <= record.invoked_s <= record.returned_s:
            self._wrong = f"{_said(record)} is of no time at which client {record.client} called"
        self._returned_s[record.client] = record.returned_s

    @property
    def left(self) -> bool:
        """Whether a record was out of place, so that what follows proves nothing."""
        return bool(self._wrong)

    def gap(self) -> str:
        """What is missing or out of place, now that the trace is over, or an empty string."""
        due = "a beginning" if self._due is None else next(self._due, _OVER)
        if due != _OVER and not self._wrong:
            self._wrong = f"it stops where {due} was due"
        return self._wrong


def _whole(plan: Plan) -> Iterator[str]:
    """What an executor writes after ``Started`` when nothing goes wrong."""
    prepared = ((-1 - offset, step) for offset, step in enumerate(preparation(plan)))
    for index, step in (*prepared, *enumerate(plan.steps)):
        for client, _ in enumerate(calls_of(step)):
            yield _outcome_of(index, client)
        yield f"the observation of step {index}"
    yield "the end"


def _outcome_of(index: int, client: int) -> str:
    return f"the outcome of step {index}" + (f" by client {client}" if client else "")


def _said(record: TraceRecord) -> str:
    match record:
        case Stepped():
            return _outcome_of(record.index, record.client)
        case Observed():
            return f"the observation of step {record.index}"
        case Ended():
            return "the end"
        case _:
            return f"{type(record).__name__.lower()!r}"
