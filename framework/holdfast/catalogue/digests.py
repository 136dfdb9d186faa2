"""The digest that each row carries: of its body, keyed by catalogue and table.

SQLite sees when its pages are torn, not when what is in them has changed. The key is drawn when the
catalogue is made, so that a row that came from another catalogue (a WAL that is not its own) shows.
"""

from typing import TypeVar

import msgspec
import xxhash

from holdfast.catalogue.codec import decode
from holdfast.model.rows import Row

RowT = TypeVar("RowT", bound=Row)

_SIGN = 1 << 63
_MASK = (1 << 64) - 1


def table_seed(key: int, table: str) -> int:
    """What the digests of one table are keyed by."""
    return xxhash.xxh3_64_intdigest(table.encode(), key & _MASK)


def digest_of(body: bytes, seed: int) -> int:
    """The digest of a row's body, as a signed number of 64 bits, which SQL has."""
    found = xxhash.xxh3_64_intdigest(body, seed)
    return found - ((found & _SIGN) << 1)


def text_of(stored: object) -> str:
    """An id or a column as it is stored, whatever has become of it."""
    if isinstance(stored, bytes):
        return stored.decode(errors="surrogateescape")
    return str(stored)


def damage_of(kind: type[RowT], row_id: str, body: object, digest: object, seed: int) -> RowT | str:
    """The row in a stored body, or what is wrong with it."""
    if not isinstance(body, bytes):
        return "its body is no text"
    if digest_of(body, seed) != digest:
        return "its body is not what was written"
    try:
        row = decode(kind, body)
    except msgspec.MsgspecError as error:
        return f"its body cannot be read ({error})"
    if row.id != row_id:
        return "its body is that of another row"
    return row
