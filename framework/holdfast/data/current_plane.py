"""The data plane of this context: what opens handles that need a host's own storage daemon.

``holdfast.storage_daemon`` implements it; whatever opens a handle only asks for the current one.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from contextvars import ContextVar

from holdfast.contract.handles import BlockNodeHandle, FileHandle
from holdfast.data.block_io import BlockIO


class HostPlane(ABC):
    """Attaches volumes to hosts and knows the secrets that the hosts were granted them with."""

    @property
    @abstractmethod
    def tasks(self) -> frozenset[asyncio.Task[None]]:
        """The tasks of the plane itself, for those who look for tasks that somebody left."""

    @property
    @abstractmethod
    def processes(self) -> frozenset[int]:
        """The processes of the plane itself, likewise."""

    @abstractmethod
    def open(
        self, handle: BlockNodeHandle | FileHandle, *, host: str = "", volume: str = ""
    ) -> AbstractAsyncContextManager[BlockIO]:
        """Block access from a host; ``host`` and ``volume`` are for handles that name none."""

    @abstractmethod
    async def granted(self, host: str, volume: str, secret: str = "") -> None:
        """A host was granted a volume, with this secret where there is one."""

    @abstractmethod
    def grant_ended(self, host: str, volume: str) -> None:
        """The storage was told to refuse a host: what the host has open goes on until it does."""

    @abstractmethod
    async def detach_all(self) -> None:
        """Detach everything; what is used next is attached anew."""

    @abstractmethod
    async def let_go(self) -> None:
        """Detach everything and forget all secrets."""

    @abstractmethod
    async def revoke(self, host: str, volume: str) -> None:
        """Stop what the host does with a volume, and forget the secret."""


_current: ContextVar[HostPlane | None] = ContextVar("holdfast_data_plane", default=None)


def data_plane() -> HostPlane | None:
    """The plane of this context, where one is open."""
    return _current.get()


@contextmanager
def use_data_plane(chosen: HostPlane) -> Iterator[HostPlane]:
    """Make ``chosen`` the plane of everything that starts inside the context."""
    token = _current.set(chosen)
    try:
        yield chosen
    finally:
        _current.reset(token)
