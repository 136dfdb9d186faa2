"""Reading the traces of a report directory."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from holdfast.errors import UsageError
from holdfast_conformance.report.document import TRACES_NAME
from holdfast_conformance.trace import TraceRecord

_decoder = msgspec.json.Decoder(TraceRecord)


def trace_files(directory: Path) -> list[Path]:
    """The trace files in byte order of their names, which is the order in which they are judged."""
    return sorted((directory / TRACES_NAME).glob("*.jsonl"), key=lambda path: path.name.encode())


def read_traces(directory: Path) -> tuple[TraceRecord, ...]:
    """All records of all traces, in order; ``UsageError`` names the line that is none."""
    return tuple(record for path in trace_files(directory) for record in read_trace(path))


def read_trace(path: Path) -> Iterator[TraceRecord]:
    """The records of one trace file; ``UsageError`` names the line that is none."""
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                yield _decoder.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError) as problem:
                raise UsageError(f"{path.name} line {number} is no trace record: {problem}") from None
