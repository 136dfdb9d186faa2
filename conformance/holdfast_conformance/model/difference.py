"""Differences between what the model expects and what was seen, in one shape for every source."""

import enum
from collections import Counter
from collections.abc import Iterable, Iterator

import msgspec

from holdfast.contract.answers import OwnedKind
from holdfast.contract.testbed import Inspected


class Where(enum.StrEnum):
    """Who showed the difference."""

    REPLY = "reply"
    BACKEND = "backend"
    HANDLE = "handle"


class Aspect(enum.StrEnum):
    """What differs."""

    TYPE = "type"
    MISSING = "missing"
    EXTRA = "extra"
    DUPLICATE = "duplicate"
    ORDER = "order"
    KEY = "key"
    ID = "id"
    SIZE = "size"
    DIGEST = "digest"
    DETAIL = "detail"
    SOURCE = "source"
    STATE = "state"
    HOSTS = "hosts"
    UNFINISHED = "unfinished"
    BLOCK = "block"
    FIGURE = "figure"
    OUTSIDE = "outside"
    KIND = "kind"
    CONTENT_TYPE = "content type"
    OFFSET = "offset"
    LENGTH = "length"
    BYTES = "bytes"
    ADDRESS = "address"
    LIMITS = "limits"


class Difference(msgspec.Struct, frozen=True):
    """One thing that is not as the model has it."""

    where: Where
    kind: OwnedKind | None
    key: str
    aspect: Aspect
    expected: str
    observed: str

    @property
    def subject(self) -> str:
        """The thing concerned, for a person."""
        name = f"{self.kind.value} {self.key!r}" if self.kind else "the answer"
        return f"{name}: {self.aspect.value} in the {self.where.value}"


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that must be in the backend; ``None`` means that any value is right.

    ``born`` tells two things of one key apart that lived one after the other.
    """

    kind: OwnedKind
    key: str
    born: int = 0
    size_bytes: int | None = None
    digest: str | None = None
    detail: str | None = None
    unfinished: bool | None = False

    @property
    def identity(self) -> tuple[OwnedKind, str]:
        """What it is found by; see ``identity_of``."""
        return _identity(self.kind, self.key, self.detail or "")


def identity_of(thing: Inspected) -> tuple[OwnedKind, str]:
    """A grant is found by volume, host and mode; the one store by its kind; all else by its key."""
    return _identity(thing.kind, thing.key, thing.detail)


def backend_differences(
    expected: Iterable[Expected], things: Iterable[Inspected]
) -> Iterator[Difference]:
    """What the inspector found too much, missed, or found changed."""
    missing = {thing.identity: thing for thing in expected}
    things = tuple(things)
    seen: Counter[tuple[OwnedKind, str]] = Counter(identity_of(thing) for thing in things)
    for thing in things:
        identity = identity_of(thing)
        if seen[identity] > 1:
            seen[identity] = 0
            yield _backend(*identity, Aspect.DUPLICATE, "one", "several")
        elif (right := missing.pop(identity, None)) is None:
            if seen[identity]:
                yield _backend(*identity, Aspect.EXTRA, "absent", _describe(thing))
        else:
            yield from _field_differences(right, thing, identity[1])
    for kind, name in missing:
        yield _backend(kind, name, Aspect.MISSING, "present", "absent")


def _field_differences(expected: Expected, thing: Inspected, name: str) -> Iterator[Difference]:
    pairs = (
        (Aspect.SIZE, expected.size_bytes, thing.size_bytes),
        (Aspect.DIGEST, expected.digest, thing.digest),
        (Aspect.DETAIL, expected.detail, thing.detail),
        (Aspect.UNFINISHED, expected.unfinished, thing.unfinished),
    )
    for aspect, right, seen in pairs:
        if right is not None and right != seen:
            yield _backend(expected.kind, name, aspect, str(right), str(seen))


def _identity(kind: OwnedKind, key: str, detail: str) -> tuple[OwnedKind, str]:
    if kind is OwnedKind.STORE:
        return kind, ""
    return kind, detail if kind is OwnedKind.GRANT else key


def _backend(
    kind: OwnedKind, name: str, aspect: Aspect, expected: str, observed: str
) -> Difference:
    return Difference(Where.BACKEND, kind, name, aspect, expected, observed)


def _describe(thing: Inspected) -> str:
    return f"{thing.kind.value} {thing.key!r} of {thing.size_bytes} bytes {thing.detail}".rstrip()
