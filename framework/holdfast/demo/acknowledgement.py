"""What the demo has promised so far, told to whoever observes; in production there is nobody.

A crash test records each promise in another process, kills the demo, recovers, and looks whether
every promise holds.
"""

import contextlib
import enum
from collections.abc import Callable, Iterator

import msgspec


class Promised(enum.StrEnum):
    """What a promise is about; its id is that of the catalogue's row."""

    TEMPLATE = "template"
    VOLUME = "volume"
    SNAPSHOT = "snapshot"
    BACKUP = "backup"


class Promise(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """From now on this row is Ready and its bytes have one of these content digests.

    ``contents`` are ``holdfast.data.content_digest`` of the whole thing at its true size. There are
    several while an operation is about to change it, and none while a guest overwrites it. A later
    promise about the same id replaces an earlier one.
    """

    promised: Promised
    id: str
    contents: tuple[str, ...]
    after: str
    """The workflow or write that was acknowledged, or is about to begin."""


Observer = Callable[[Promise], None]
_observers: list[Observer] = []


@contextlib.contextmanager
def observe(observer: Observer) -> Iterator[None]:
    """Tell ``observer`` of every promise inside the context, as soon as it holds."""
    _observers.append(observer)
    try:
        yield
    finally:
        _observers.remove(observer)


def acknowledge(promise: Promise) -> None:
    """Tell the observers."""
    for observer in tuple(_observers):
        observer(promise)
