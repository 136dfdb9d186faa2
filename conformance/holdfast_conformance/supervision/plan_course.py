"""The course of one plan, as the supervisor sees it from the records of its worker."""

from collections.abc import Callable

import msgspec

from holdfast_conformance import plan as plans
from holdfast_conformance.supervision.worker_process import WorkerLost
from holdfast_conformance.trace import (
    FIRST_CLIENT,
    Broken,
    BrokenKind,
    Loaded,
    Observed,
    Started,
    Stepped,
    TraceRecord,
)
from holdfast_conformance.trace_lines import RECORD_MAX_BYTES, decode_record, encode_record

Sink = Callable[[TraceRecord, bytes], bool]
"""Takes a record and its line; false when no more of this plan is wanted."""


class Course:
    """How far a plan has come, and whether more of it is wanted."""

    def __init__(self, plan: plans.Plan, sink: Sink) -> None:
        prepared = range(-1, -1 - len(plans.preparation(plan)), -1)
        self._order = (*prepared, *range(len(plan.steps) + 1))
        self._place = 0
        self._sink = sink
        self._wanted = True
        self._broken = False
        self.steps_seen = 0

    def show(self, line: bytes) -> bool:
        """Give a record to the sink; true at the moment when it wants no more.

        Raises:
            WorkerLost: the worker says that the driver broke it, or what it said is no record.
        """
        try:
            record = decode_record(line)
        except (ValueError, msgspec.MsgspecError) as problem:
            detail = f"what it reported is no record: {problem}"
            raise WorkerLost(BrokenKind.DIED, detail) from problem
        # What is judged now must be what whoever reads the trace will judge.
        opening = isinstance(record, Loaded | Started)
        if opening or len(line) > RECORD_MAX_BYTES or encode_record(record) != line:
            detail = "what it reported is no record as the suite writes it"
            raise WorkerLost(BrokenKind.DIED, detail)
        if isinstance(record, Stepped):
            self.steps_seen += 1
        elif isinstance(record, Observed):
            self._place += 1
        stop = False
        if self._wanted:
            self._wanted = self._sink(record, line)
            stop = not self._wanted
        if isinstance(record, Broken):
            # It is to end now, and a driver that has it in hand may keep it from doing so.
            self._broken = True
            raise WorkerLost(record.how, record.detail)
        return stop

    def broke(self, lost: WorkerLost) -> None:
        """Tell the sink, unless the worker did so itself before it ended."""
        if self._wanted and not self._broken:
            index = self._order[min(self._place, len(self._order) - 1)]
            record = Broken(index=index, client=FIRST_CLIENT, how=lost.how, detail=lost.detail)
            line = encode_record(record)
            self._sink(decode_record(line), line)
