"""Whoever must see every commit of a catalogue: crash tests. In production there is nobody."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol


class CommitObserver(Protocol):
    """Told of every commit that writes; it may raise, or end the process, at either point."""

    def before(self) -> None:
        """The functions have run; nothing is written yet."""

    def after(self) -> None:
        """The commit is durable; nobody has had an answer yet."""


_observers: list[CommitObserver] = []


@contextmanager
def observe(observer: CommitObserver) -> Iterator[None]:
    """Tell ``observer`` of every commit in this process, in all threads, inside the context."""
    _observers.append(observer)
    try:
        yield
    finally:
        _observers.remove(observer)


def observed(commit: Callable[[], None]) -> None:
    """Do one commit under observation."""
    for observer in tuple(_observers):
        observer.before()
    commit()
    for observer in tuple(_observers):
        observer.after()
