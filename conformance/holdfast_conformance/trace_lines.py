"""One trace record, one line of JSON, of a bounded length, read back exactly as it was written."""

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from holdfast.contract.errors import UsageError
from holdfast_conformance.trace import Record, TraceRecord

RECORD_MAX_BYTES: Final = 4 << 20
"""How long a record may be; an answer that would make a longer one is nonsense."""
LINE_MAX_BYTES: Final = RECORD_MAX_BYTES + 1

_DECODER: msgspec.json.Decoder[TraceRecord] = msgspec.json.Decoder(TraceRecord)

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding a file that somebody else wrote can raise; the last for absurdly deep nesting."""


def encode_record(record: Record) -> bytes:
    """The line of a record, without its end."""
    return msgspec.json.encode(record)


def decode_record(line: bytes) -> TraceRecord:
    """The record in a line; ``msgspec.ValidationError`` when it is none."""
    return _DECODER.decode(line)


def records_in(name: str, lines: Iterable[bytes]) -> Iterator[TraceRecord]:
    """The records in the lines of a trace, whoever wrote it.

    Raises:
        UsageError: a line is no record as the suite writes it; the message names it.
    """
    for number, line in enumerate(lines, start=1):
        where = f"{name} line {number}"
        try:
            record = decode_record(line)
            same = encode_record(record) + b"\n" == line
        except (*UNREADABLE, OverflowError) as problem:
            raise UsageError(f"{where} is no trace record: {problem}") from None
        if not same:
            raise UsageError(f"{where} is no trace record as the suite writes it")
        yield record
