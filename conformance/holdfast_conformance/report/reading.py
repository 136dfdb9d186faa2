"""Reading the traces of a report: each once, a record at a time, by everybody who wants to know."""

import struct
from collections.abc import Iterator
from typing import Final, Protocol

import msgspec

from holdfast.contract.capabilities import nonsense_in
from holdfast.contract.errors import UsageError
from holdfast_conformance.judgement.judge import Judging, PlanJudge
from holdfast_conformance.plan_limits import excess_of
from holdfast_conformance.report.document import TRACES_NAME
from holdfast_conformance.report.folder import ReportFolder, TraceLines
from holdfast_conformance.report.summary import Summary
from holdfast_conformance.report.trace_summary import TraceSummary
from holdfast_conformance.trace import Loaded, Started, TraceRecord
from holdfast_conformance.trace_lines import records_in

_UNJUDGEABLE: Final = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
)
"""What a judge may raise on records that no executor writes."""


class Onlooker(Protocol):
    """Is shown every record, with the trace that it is of, and raises ``UsageError`` at a wrong
    one.
    """

    def look(self, name: str, record: TraceRecord) -> None:
        """Look at the next record."""

    def over(self, judged: PlanJudge) -> None:
        """The trace is over, and was judged."""


class Read(msgspec.Struct, frozen=True, kw_only=True):
    """What was read: the digest of each trace by its name, and why some prove nothing."""

    sha256: dict[str, str]
    problems: dict[str, str]


def read_traces(
    folder: ReportFolder, judging: Judging, summary: Summary, onlooker: Onlooker
) -> Read:
    """Read every trace in its order; after the first wrong one no more is judged, only hashed."""
    sha256: dict[str, str] = {}
    problems: dict[str, str] = {}
    for number, name in enumerate(folder.below(TRACES_NAME), start=1):
        with folder.trace(name) as lines:
            if not problems:
                try:
                    _judge(lines, number, judging, summary, onlooker)
                except UsageError as problem:
                    problems[name] = str(problem)
                except _UNJUDGEABLE as problem:
                    what = f"{type(problem).__name__}: {problem}"
                    problems[name] = f"{name} holds what no executor writes: {what}"
            sha256[name] = lines.sha256()
    return Read(sha256=sha256, problems=problems)


def hash_traces(folder: ReportFolder) -> dict[str, str]:
    """The digest of each trace by its name; nothing is decoded."""
    sha256: dict[str, str] = {}
    for name in folder.below(TRACES_NAME):
        with folder.trace(name) as lines:
            sha256[name] = lines.sha256()
    return sha256


def _judge(
    lines: TraceLines,
    number: int,
    judging: Judging,
    summary: Summary,
    onlooker: Onlooker,
) -> None:
    judged, told = judging.begin(), TraceSummary()
    for record in _fit(lines, number):
        if judged.diverged:
            raise UsageError(f"{lines.name} goes on where the executor was stopped")
        judged.feed(record)
        told.take(record)
        onlooker.look(lines.name, record)
    judging.end(judged)
    summary.add(told)
    onlooker.over(judged)


def _fit(lines: TraceLines, number: int) -> Iterator[TraceRecord]:
    """The records of a trace that is called as it must be, and asks for no more than any."""
    first = True
    for record in records_in(lines.name, lines):
        if first:
            _check_name(lines.name, number, record)
            first = False
        if isinstance(record, Started):
            if excess := excess_of(record.plan):
                raise UsageError(f"{lines.name} has a plan that no suite makes: {excess}")
            if wrong := nonsense_in(record.capabilities):
                raise UsageError(f"{lines.name} is of a store that cannot be: {wrong}")
        yield record
    if first:
        raise UsageError(f"{lines.name} is empty")


def _check_name(name: str, number: int, record: TraceRecord) -> None:
    match record:
        case Loaded():
            right = f"{number:06d}-{record.role.value}-load.jsonl"
        case Started():
            right = f"{number:06d}-{record.plan.role.value}.jsonl"
        case _:
            raise UsageError(f"{name} has no beginning")
    if name != f"{TRACES_NAME}/{right}":
        raise UsageError(f"{name} would have to be called {right} by its place and what it holds")
