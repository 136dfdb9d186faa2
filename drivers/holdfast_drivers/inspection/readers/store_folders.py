"""A store's folder, as the drivers' READMEs describe its layout."""

import struct
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from holdfast_drivers.inspection.readers.kept_facts import is_settled
from holdfast_drivers.inspection.readers.regular_files import loaded
from holdfast_drivers.inspection.readers.seen import Seen, leftover, store_of, stranger

Look = Callable[[Path], Iterator[Seen]]
"""What there is under one name of a shelf."""
Measure = Callable[[Path, str], tuple[int, str]]
"""Size and content digest of a disk in a file of this format."""
UNREADABLE = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    ArithmeticError,
    AttributeError,
    MemoryError,
    RecursionError,
    struct.error,
)
"""What reading what a driver left can end in."""
_BESIDE_SHELVES = {"store.json", "store.spare", "lock", "fences", "staging"}


def beside(folder: Path) -> Iterator[Seen]:
    """Stores of this role that come or go."""
    return map(leftover, folder.parent.glob(f".{folder.name}.*"))


def shelves(folder: Path, looks: Mapping[str, Look], known: Collection[str] = ()) -> Iterator[Seen]:
    """The store itself, what is on each of its shelves, leftovers, and what nobody put there.

    Args:
        folder: the store's.
        looks: by the name of each shelf.
        known: what else belongs there, and is looked at by others.
    """
    yield store_in(folder)
    for name, look in looks.items():
        yield from each(folder / name, look)
    ours = {*_BESIDE_SHELVES, *looks, *known}
    yield from (stranger(path) for path in folder.iterdir() if path.name not in ours)
    yield from each(folder / "staging", lambda path: iter((leftover(path),)))


def each(folder: Path, look: Look) -> Iterator[Seen]:
    """What there is under each name; what is unreadable is told by where it is, and why."""
    try:
        paths = list(folder.iterdir())
    except OSError as error:
        yield lost(folder, error)
        return
    for path in paths:
        yield from look_at(path, look)


def store_in(folder: Path, **known: object) -> Seen:
    """The store itself, as its record and what else is known say, or that it is unreadable."""
    try:
        return store_of({**loaded(folder / "store.json"), **known})
    except UNREADABLE as error:
        return lost(folder / "store.json", error)


def lost(path: Path, error: Exception) -> Seen:
    """What a store cannot be without, and cannot be read.

    Raises:
        FileNotFoundError: it is on its way, perhaps, with the store: whoever looks looks again.
    """
    if isinstance(error, FileNotFoundError) and not is_settled(path.parent):
        raise error
    return stranger(path, _why(error))


def look_at(path: Path, look: Look) -> list[Seen]:
    """What there is under one name, or that it is unreadable, and why."""
    try:
        return [stranger(path, "it is a link")] if path.is_symlink() else list(look(path))
    except UNREADABLE as error:
        return [stranger(path, _why(error))]


def _why(error: BaseException) -> str:
    return ascii(str(error) or type(error).__name__)


def keyed(path: Path, row: dict[str, Any]) -> dict[str, Any]:
    """A row, if it is of the key whose name it stands under; names of long keys do not tell."""
    if "~" not in path.name and unquote(path.name) != row["key"]:
        raise ValueError("it is of another key")
    return row


def data_of(path: Path, row: Mapping[str, Any]) -> Path:
    """The file beside a row that has its bytes; it is never one elsewhere."""
    name = str(row.get("data", "data"))
    if "/" in name or not name.startswith("data"):
        raise ValueError(f"row.json names {name!r}")
    return path / name


def beside_data(path: Path, data: Path) -> Iterator[Seen]:
    """What a killed call left beside a row and its data, and what nobody put there."""
    for other in path.iterdir():
        if other not in {path / "row.json", data}:
            yield leftover(other) if other.name.startswith("data") else stranger(other)


def disk(path: Path, kind: str, measure: Measure) -> Iterator[Seen]:
    """One volume or snapshot, and what is beside its data."""
    row = keyed(path, loaded(path / "row.json"))
    data = data_of(path, row)
    size_bytes, digest = measure(data, row.get("format", "raw"))
    yield Seen(
        kind=kind,
        key=row["key"],
        id=row["id"],
        size_bytes=size_bytes,
        digest=digest,
        detail=row.get("volume", ""),
    )
    yield from beside_data(path, data)
