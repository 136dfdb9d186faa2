"""Reading the traces of a report directory."""

from collections.abc import Iterator
from pathlib import Path

from holdfast.errors import UsageError
from holdfast_conformance.report.document import TRACES_NAME
from holdfast_conformance.trace import TraceRecord
from holdfast_conformance.trace_lines import UNREADABLE, decode_record, encode_record


def trace_files(directory: Path) -> list[Path]:
    """The trace files in byte order of their names, which is the order in which they are judged."""
    return sorted((directory / TRACES_NAME).glob("*.jsonl"), key=lambda path: path.name.encode())


def read_traces(directory: Path) -> tuple[tuple[TraceRecord, ...], ...]:
    """The records of every trace file; ``UsageError`` names a line that is none."""
    return tuple(tuple(read_trace(path)) for path in trace_files(directory))


def read_trace(path: Path) -> Iterator[TraceRecord]:
    """The records of one trace file.

    Raises:
        UsageError: a line is no record as the suite writes it; the message names it.
    """
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            where = f"{path.name} line {number}"
            try:
                record = decode_record(line)
            except UNREADABLE as problem:
                raise UsageError(f"{where} is no trace record: {problem}") from None
            if encode_record(record) + b"\n" != line:
                raise UsageError(f"{where} is no trace record as the suite writes it")
            yield record
