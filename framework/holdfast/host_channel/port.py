"""What a management channel to a storage host can do: start programs there, and end.

Errors of every method: ``Unavailable`` where the host cannot be reached (nothing was started
there), ``Unauthenticated`` and ``Denied`` where it does not let us in or is not who it should be,
``Invalid`` where a setting can never work, ``Unknown`` where a program was started and no answer
came. Each names the setting that is wrong. Deadlines are in seconds on the running loop's clock.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Protocol, runtime_checkable


@runtime_checkable
class Receiver(Protocol):
    """Is called with what a process says, from the loop; no task stands between."""

    def data_received(self, data: bytes) -> None:
        """The process wrote this to its standard output."""

    def ended(self, reason: str) -> None:
        """The process is gone, or out of reach; called once. ``reason`` is for people."""


class ChannelProcess(ABC):
    """A program that runs on the storage host."""

    status: int | None = None
    """How it ended; ``None`` while it runs, and where that was not seen."""

    @property
    @abstractmethod
    def stderr(self) -> bytes:
        """The end of what it wrote to its standard error."""

    @abstractmethod
    def end_input(self) -> None:
        """End its standard input."""

    @abstractmethod
    def write(self, data: bytes) -> None:
        """Give data to its standard input; ``Unavailable`` where it is known to be gone."""

    @abstractmethod
    async def close(self) -> None:
        """End its standard input and wait a moment for its end; then it is let go, or killed."""

    @abstractmethod
    def abort(self) -> None:
        """Let it go at once: it is hung, or the host is out of reach."""


class Channel(ABC):
    """A way to one storage host. It connects when first used, and again after it broke."""

    @property
    @abstractmethod
    def where(self) -> str:
        """What people call the other end."""

    @abstractmethod
    async def start(
        self, argv: Sequence[str], receiver: Receiver, *, deadline: float
    ) -> ChannelProcess:
        """Start a program; its words are not touched by any shell."""

    @abstractmethod
    async def connect_unix(
        self, path: str, receiver: Receiver, *, deadline: float
    ) -> ChannelProcess:
        """Talk to whatever listens on a Unix socket there; it has no status and no errors."""

    @abstractmethod
    async def close(self) -> None:
        """Leave nothing behind: no connection, no task, no process."""

    @abstractmethod
    def abort(self) -> None:
        """Drop the connection without a farewell, if there is one."""
