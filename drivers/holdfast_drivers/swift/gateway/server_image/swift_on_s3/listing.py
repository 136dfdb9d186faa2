"""Swift's rules for a listing: which names of a sorted source are shown, and which are rolled up.

Pure: the source is anything that yields names in order and can be told to skip ahead.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

Row = TypeVar("Row")
RowOut_co = TypeVar("RowOut_co", covariant=True)
_RESERVED = "\x00"
_SURROGATES, _BEHIND_SURROGATES = 0xD800, 0xE000
"""Between the two there are no characters, so that no name has one."""


class Source(Protocol[RowOut_co]):
    """Names in order, each with what belongs to it."""

    def take(self) -> tuple[str, RowOut_co] | None:
        """The next one."""
        ...

    def seek(self, least: str) -> None:
        """Go on with the first name that is not smaller; never back."""
        ...


@dataclass(frozen=True)
class Query:
    """What the client asked for."""

    limit: int = 10000
    prefix: str = ""
    delimiter: str = ""
    marker: str = ""
    end_marker: str = ""
    reverse: bool = False
    reserved: bool = False
    """Whether names that Swift keeps for itself are shown."""
    children: bool = False
    """The old ``path`` parameter: only direct children, and no roll-up."""

    @property
    def low(self) -> str:
        """Only greater names are shown."""
        return self.end_marker if self.reverse else self.marker

    @property
    def high(self) -> str:
        """Only smaller names are shown; empty for no limit."""
        return self.marker if self.reverse else self.end_marker


@dataclass(frozen=True)
class Shown(Generic[Row]):
    """One line: a row, or a rolled-up prefix where ``row`` is None."""

    name: str
    row: Row | None


def _after(folder: str) -> str | None:
    """The first name that is not in a folder; None where no name comes after those in it."""
    text = folder.rstrip(chr(sys.maxunicode))
    if not text:
        return None
    after = ord(text[-1]) + 1
    return text[:-1] + chr(_BEHIND_SURROGATES if after == _SURROGATES else after)


def _beyond(name: str, query: Query) -> bool:
    """Whether neither this name nor any after it is shown."""
    if query.high and name >= query.high:
        return True
    return not name.startswith(query.prefix) and name > query.prefix


def _within(name: str, query: Query) -> bool:
    """Whether this name is shown, rolled up or not."""
    if not name.startswith(query.prefix) or (query.low and name <= query.low):
        return False
    if not query.reserved and name.startswith(_RESERVED):
        return False
    return not (query.children and name == query.prefix)


def _rolled_up(folder: str, name: str, row: Row, query: Query) -> Iterator[Shown[Row]]:
    """What is shown of a folder, where this is the first name in it."""
    if query.children and name == folder:
        yield Shown(name, row)
    elif not query.children and folder != query.marker:
        yield Shown(folder, None)


def select(source: Source[Row], query: Query) -> list[Shown[Row]]:
    """The lines that a query shows, in its order; asked again, those behind them."""
    if query.limit <= 0 and not query.reverse:
        return []
    start = max(query.prefix, query.low)
    if not query.reserved:
        start = max(start, "\x01")
    source.seek(start)
    lines: list[Shown[Row]] = []
    # A server lists forwards only: backwards means to see all of it, then turn it round.
    limit = None if query.reverse else query.limit
    while limit is None or len(lines) < limit:
        entry = source.take()
        if entry is None or _beyond(entry[0], query):
            break
        name, row = entry
        if not _within(name, query):
            continue
        at = name.find(query.delimiter, len(query.prefix)) if query.delimiter else -1
        if at < 0:
            lines.append(Shown(name, row))
            continue
        folder = name[: at + len(query.delimiter)]
        lines += _rolled_up(folder, name, row, query)
        behind = _after(folder)
        if behind is None:
            break
        source.seek(behind)
    if query.reverse:
        lines.reverse()
        del lines[query.limit :]
    return lines
