"""Caps on what comes out of a driver: its texts are cut and marked, a record stays within bounds.

Cut where they enter, so that nobody behind the worker ever meets a text without an end. Secrets are
removed before: a secret that is cut in the middle would not be known any more.
"""

import re
from collections.abc import Callable
from typing import Any, Final, cast

import msgspec

from holdfast.text.foreign import capped
from holdfast_conformance.trace import Ended, Nonsense, Observed, Record, Stepped
from holdfast_conformance.trace_lines import RECORD_MAX_BYTES, encode_record

ERROR_MAX: Final = 1000
"""How many characters of an error's text are kept."""
ANSWER_MAX: Final = 4096
"""How many of any other text: a path may be this long."""
IDENTITY_MAX: Final = 200
"""How many of what a backend says of itself, which stands in headings."""
DOCUMENT_MAX_BYTES: Final = 1 << 16
"""How long the capabilities may be; they are never cut, for they are compared and read again."""
DEFECTS_MAX: Final = 100
_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*"')

Redact = Callable[[bytes], bytes]


def bounded_line(record: Record, redact: Redact) -> bytes:
    """The line of a record without secrets, without endless texts and without endless lists."""
    line = cut_texts(redact(encode_record(record)))
    while len(line) > RECORD_MAX_BYTES:
        record = _smaller(record, len(line))
        line = cut_texts(redact(encode_record(record)))
    return line


def cut_texts(data: bytes, characters_max: int = ANSWER_MAX) -> bytes:
    """JSON with every longer string in it cut and marked."""
    if all(found.end() - found.start() <= characters_max for found in _STRING.finditer(data)):
        return data
    return msgspec.json.encode(_cut(msgspec.json.decode(data), characters_max))


def _cut(value: Any, characters_max: int) -> Any:
    match value:
        case str():
            return capped(value, characters_max)
        case list():
            items = cast("list[Any]", value)  # type: ignore[redundant-cast]  # for pyright
            return [_cut(inner, characters_max) for inner in items]
        case dict():
            pairs = cast("dict[str, Any]", value)
            return {
                capped(key, characters_max): _cut(inner, characters_max)
                for key, inner in pairs.items()
            }
        case _:
            return value


def _smaller(record: Record, size_bytes: int) -> Record:
    """A record that tells the same with less: what is left out made it wrong anyway.

    Raises:
        TypeError: it is of a kind that cannot grow.
    """
    match record:
        case Stepped():
            what = f"an answer of {size_bytes} bytes, and {RECORD_MAX_BYTES} at most are looked at"
            return msgspec.structs.replace(record, outcome=Nonsense(what))
        case Observed():
            return msgspec.structs.replace(
                record,
                things=None if record.things is None else _half(record.things),
                blocks=_half(record.blocks),
                unreadable=_half(record.unreadable),
            )
        case Ended():
            return msgspec.structs.replace(
                record,
                left=_half(record.left),
                enumerated=_half(record.enumerated),
                failures=_half(record.failures),
            )
        case _:
            raise TypeError(f"a {type(record).__name__} of {size_bytes} bytes")


def _half(items: tuple[Any, ...]) -> tuple[Any, ...]:
    return items[: len(items) // 2]
