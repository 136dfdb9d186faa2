"""Things as an inspector sees them: ``holdfast.contract.testbed.Inspected`` where that is not."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SIZE_MAX = 1 << 63
_MODES = {"x": "exclusive", "r": "read_only"}


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One thing; ``kind`` is an ``OwnedKind``'s value, and the rest is as ``Inspected`` has it."""

    kind: str
    key: str
    id: str = ""
    size_bytes: int = 0
    digest: str = ""
    detail: str = ""
    unfinished: bool = False

    def __post_init__(self) -> None:
        """Refuse what a row says and nothing can be."""
        texts = (self.kind, self.key, self.id, self.digest, self.detail)
        if not all(map(_is_text, texts)):
            raise ValueError("a key, an id or a detail that is no text")
        if not _is_size(self.size_bytes):
            raise ValueError(f"a size of {self.size_bytes!r}"[:100])


def store_of(row: Mapping[str, Any]) -> Seen:
    """A store, from the row that says which one it is."""
    name, state, hosts = row["name"], row.get("state", "up"), ",".join(row.get("hosts", ()))
    return Seen(kind="store", key=name, id=row["id"], detail=f"{name}|{state}|{hosts}")


def grant_of(volume: str, host: str, mode: str, name: str) -> Seen:
    """A grant; ``mode`` is the letter by which stores record it."""
    return Seen(kind="grant", key=volume, id=name, detail=f"{volume}|{host}|{_MODES[mode]}")


def unfinished(key: str) -> Seen:
    """Something that is not finished, or not gone."""
    return Seen(kind="temporary", key=key, unfinished=True)


def leftover(path: Path) -> Seen:
    """A file or folder that is not finished, or not gone."""
    return unfinished(_where(path))


def stranger(path: Path, why: str = "nobody's") -> Seen:
    """What cannot be read, or what nobody put there."""
    return Seen(kind="unreadable", key=_where(path), detail=why)


def _where(path: Path) -> str:
    """The last two names, printable."""
    return "/".join(ascii(name)[1:-1] for name in (path.parent.name, path.name))


def _is_text(value: object) -> bool:
    """Whether it is one: what was read from JSON is of any type, whatever its annotation says."""
    return isinstance(value, str)


def _is_size(value: object) -> bool:
    return isinstance(value, int) and -1 <= value < _SIZE_MAX
