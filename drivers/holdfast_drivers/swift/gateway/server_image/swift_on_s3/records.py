"""The JSON records that stand for accounts, containers and objects in the bucket.

Each version of a record has an id of the write that made it: so whoever wrote it knows it again
where the answer was lost, and no two versions are alike, so that a condition on one is met by no
other. Records of an older gateway have none.
"""

import dataclasses
import json
from dataclasses import dataclass, field
from typing import TypeVar


@dataclass(frozen=True)
class Account:
    """An account that was written to at least once."""

    name: str
    created: str
    put: str
    deleted: bool = False
    headers: dict[str, str] = field(default_factory=dict[str, str])
    write: str = ""


@dataclass(frozen=True)
class Container:
    """A container; one that is made again has a new id, so that nothing old shows in it."""

    name: str
    id: str
    created: str
    put: str
    closing: bool = False
    """Somebody looks whether it is empty, to remove it. Whoever writes to it takes that back."""
    headers: dict[str, str] = field(default_factory=dict[str, str])
    deleted: bool = False
    """Removed: it is not there any more, and its record only waits for its own removal."""
    write: str = ""


@dataclass(frozen=True)
class Listing:
    """What a container's listing says of an object; middleware may overrule size and tag."""

    size: int
    etag: str
    content_type: str


@dataclass(frozen=True)
class Object:
    """An object: its bytes are in a key of their own, which this record names.

    Timestamps are Swift's internal ones, which sort as text.
    """

    name: str
    data: str
    """The key of the bytes; empty where there are none."""
    size: int
    etag: str
    """The MD5 of the bytes, or what the middleware gave instead."""
    content_type: str
    written: str
    """When the bytes were given."""
    typed: str
    """When the content type was given."""
    changed: str
    """When the metadata were given."""
    listing: Listing
    fixed: dict[str, str] = field(default_factory=dict[str, str])
    """Headers that only a PUT changes."""
    headers: dict[str, str] = field(default_factory=dict[str, str])
    """Headers that a POST replaces."""
    delete_at: int = 0
    """Seconds since 1970 from when on the object is no more; 0 for never."""
    container: str = ""
    """The key of its container's record, for where no list has that; empty of an older gateway."""
    write: str = ""

    def expired(self, now: float) -> bool:
        """Whether its time has come."""
        return 0 < self.delete_at <= now


Record = TypeVar("Record", Account, Container, Object)


def packed(record: Account | Container | Object) -> bytes:
    """A record as it is kept."""
    return json.dumps(dataclasses.asdict(record), sort_keys=True).encode()


def unpacked(kind: type[Record], data: bytes) -> Record:
    """A record as it was kept.

    Raises:
        ValueError: it is none.
    """
    try:
        fields = json.loads(data)
        if kind is Object:
            fields["listing"] = Listing(**fields["listing"])
        return kind(**fields)
    except (TypeError, KeyError) as why:
        raise ValueError(str(why)) from why
