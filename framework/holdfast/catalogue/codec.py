"""Rows as JSON documents, and back."""

import os
import typing
from functools import cache
from typing import Final, TypeVar

import msgspec

from holdfast.contract.errors import UsageError
from holdfast.model.rows import Row

RowT = TypeVar("RowT", bound=Row)

READ_BACK: Final = os.environ.get("HOLDFAST_READ_BACK_ROWS") == "1"
"""Whether a row that is written to memory is read back at once, as one in SQL always is. Tests set
it: there, what a field holds beside its type is an error. A simulation need not pay for that.
"""

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


class Document(msgspec.Struct, frozen=True, gc=False):
    """A row as it will be read back, and its JSON document where the storage keeps documents."""

    row: Row
    body: bytes


def as_row(row: Row) -> Document:
    """What a storage of rows keeps, which is looked at in tests alone: nothing outlives it."""
    return as_document(row) if READ_BACK else Document(row, b"")


def as_document(row: Row) -> Document:
    """What a storage of documents keeps; ``UsageError`` when a field holds what it may not.

    It is read back at once, in production too: a document that cannot be read is damage for good,
    and would be found after a restart.
    """
    try:
        body = _encoder.encode(row)
        return Document(decode(type(row), body), body)
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
