"""One trace as it was judged while it was written, so that nobody need read it again for a report.

What comes of it is what ``verify`` computes from the file: the same records, decoded from the same
bytes, shown to the same judge and the same summary.
"""

from holdfast_conformance.judgement.judge import PlanJudge
from holdfast_conformance.judgement.registry import all_properties
from holdfast_conformance.report.trace_summary import TraceSummary
from holdfast_conformance.trace import Broken, TraceRecord
from holdfast_conformance.trace_lines import decode_record


class JudgedTrace:
    """Takes the records of one trace as they come.

    Args:
        opening: the line of its first record, without its end.
    """

    def __init__(self, opening: bytes) -> None:
        self.judge = PlanJudge(all_properties())
        self.summary = TraceSummary()
        self.broken: Broken | None = None
        """The record of a process that had to be replaced, after which there are no more."""
        self.take(decode_record(opening))

    def take(self, record: TraceRecord) -> None:
        """Take the next record."""
        if isinstance(record, Broken):
            self.broken = record
        self.judge.feed(record)
        self.summary.take(record)

    def finish(self) -> None:
        """The trace is over."""
        self.judge.finish()
