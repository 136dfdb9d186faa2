"""One trace record, one line of JSON."""

import msgspec

from holdfast_conformance.trace import Record, TraceRecord

_DECODER: msgspec.json.Decoder[TraceRecord] = msgspec.json.Decoder(TraceRecord)

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding a file that somebody else wrote can raise; the last for absurdly deep nesting."""


def encode_record(record: Record) -> bytes:
    """The line of a record, without its end."""
    return msgspec.json.encode(record)


def decode_record(line: bytes) -> TraceRecord:
    """The record in a line; ``msgspec.ValidationError`` when it is none."""
    return _DECODER.decode(line)
