"""Rows as JSON documents, and back; what a row may hold is checked when it is written."""

import typing
from functools import cache
from typing import TypeVar

import msgspec

from holdfast.errors import UsageError
from holdfast.model.rows import Row

RowT = TypeVar("RowT", bound=Row)

_encoder = msgspec.json.Encoder()
_decoders: dict[type[Row], msgspec.json.Decoder[Row]] = {}


def encode(row: Row) -> bytes:
    """A row as a JSON document."""
    return _encoder.encode(row)


def decode(kind: type[RowT], body: bytes | str) -> RowT:
    """The row in a JSON document; ``msgspec.ValidationError`` when it is not of this kind."""
    decoder = _decoders.get(kind) or _decoder_of(kind)
    return decoder.decode(body)  # type: ignore[return-value]  # the decoder of ``kind`` makes it


def _decoder_of(kind: type[Row]) -> msgspec.json.Decoder[Row]:
    decoder = _decoders[kind] = msgspec.json.Decoder(kind)
    return decoder


class Written(msgspec.Struct, frozen=True, gc=False):
    """A row as it will be read back, and its JSON document."""

    row: Row
    body: bytes


def checked(row: Row) -> Written:
    """The row as it will be read back; ``UsageError`` when a field holds what it may not."""
    try:
        body = _encoder.encode(row)
        decoder = _decoders.get(type(row)) or _decoder_of(type(row))
        return Written(decoder.decode(body), body)
    except (msgspec.ValidationError, TypeError, UnicodeEncodeError) as error:
        raise UsageError(f"{type(row).__name__} {row.id} cannot be stored: {error}") from error


@cache
def column_type(kind: type[Row], column: str) -> type[str] | type[int]:
    """What a column holds: text (enumerations too) or whole numbers."""
    annotation = typing.get_type_hints(kind)[column]
    for held in (str, int):
        if isinstance(annotation, type) and issubclass(annotation, held):
            return held
    raise TypeError(f"{kind.__name__}.{column} cannot be a column: it is a {annotation}")
