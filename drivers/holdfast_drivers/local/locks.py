"""Locks between driver instances, in one process or many: byte ranges of one file per store.

Each object has a byte of its own, so that no lock files come and go. The locks belong to the open
file and end with it, whatever kills the process.
"""

import asyncio
import contextlib
import enum
import errno
import fcntl
import hashlib
import os
import select
import struct
from collections.abc import Callable, Iterator
from typing import Final, ParamSpec, TypeVar

import msgspec

from holdfast.concurrency.runtime import runtime
from holdfast.contract.errors import Busy
from holdfast.contract.requests import CallContext
from holdfast.files import mutations
from holdfast_drivers.local.errors import attempt

P = ParamSpec("P")
T = TypeVar("T")

_REFUSED = frozenset({errno.EACCES, errno.EAGAIN})
_SLOT_BYTES = 7
_STORE_SLOT = 0
_SPACE_SLOT = 1
_PAUSE_S = 0.005
_BRIEF_TRIES = 400


class LockKind(enum.StrEnum):
    """What a lock is for."""

    STORE = "store"
    SPACE = "space"
    VOLUME = "volume"
    SNAPSHOT = "snapshot"
    OBJECT = "object"
    UPLOAD = "upload"
    PART = "part"
    FENCES = "fences"


class Lock(msgspec.Struct, frozen=True):
    """One lock: ``shared`` with others of its kind, or held alone."""

    kind: LockKind
    key: str = ""
    shared: bool = False

    @property
    def slot(self) -> int:
        """The byte of the lock file that stands for the object."""
        if self.kind is LockKind.STORE:
            return _STORE_SLOT
        if self.kind is LockKind.SPACE:
            return _SPACE_SLOT
        digest = hashlib.blake2b(f"{self.kind}\0{self.key}".encode(), digest_size=_SLOT_BYTES)
        return _SPACE_SLOT + 1 + int.from_bytes(digest.digest(), "little")


STORE_SHARED: Final = Lock(LockKind.STORE, shared=True)
STORE_ALONE: Final = Lock(LockKind.STORE)


class SpaceTaken(Exception):
    """Another call promises space; what raised this changed nothing and is to be called again."""


class Locks:
    """The locks that one call holds; closing the file gives them all back."""

    def __init__(self, file: mutations.OpenFile) -> None:
        self.file = file
        self.promised: int | None = None
        """What the store will have promised when the call has ended, where the call keeps that."""
        self.token = b""
        self.at_end: list[Callable[[], None]] = []
        """What is done when the call has ended well, before anything is let go."""
        self._fd = file.fd

    def take(self, lock: Lock) -> None:
        """Take a lock at once, or raise ``Busy``."""
        try:
            self._set(fcntl.F_OFD_SETLK, lock)
        except OSError as error:
            if error.errno not in _REFUSED:
                raise
            what = f"{lock.kind} {lock.key!r}" if lock.key else f"the {lock.kind}"
            raise Busy(f"another call is at work on {what}; try again", object=lock.key) from None

    def take_space(self) -> None:
        """Let no other call promise space, or raise ``SpaceTaken``; before anything is changed."""
        try:
            self.take(Lock(LockKind.SPACE))
        except Busy:
            raise SpaceTaken from None

    @contextlib.contextmanager
    def briefly(self, lock: Lock) -> Iterator[None]:
        """Hold a lock for a few system calls, as everybody does who takes it."""
        for _ in range(_BRIEF_TRIES):
            with contextlib.suppress(Busy):
                self.take(lock)
                break
            select.select((), (), (), _PAUSE_S)
        else:
            self.take(lock)  # once more, for its error
        try:
            yield
        finally:
            self._set(fcntl.F_OFD_SETLK, lock, fcntl.F_UNLCK)

    def _set(self, command: int, lock: Lock, kind: int | None = None) -> None:
        if kind is None:
            kind = fcntl.F_RDLCK if lock.shared else fcntl.F_WRLCK
        fcntl.fcntl(self._fd, command, struct.pack("hhqqi4x", kind, os.SEEK_SET, lock.slot, 1, 0))


@contextlib.contextmanager
def open_locks(path: mutations.AnyPath) -> Iterator[Locks]:
    """The locks in this file; they end with the context."""
    with mutations.open_existing(path, writable=True) as file:
        held = Locks(file)
        yield held
        for act in held.at_end:
            act()


async def with_space(
    ctx: CallContext, key: str, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
) -> T:
    """Run a blocking function that may promise space, again while another call does.

    It waits without a thread and without any lock, and no longer than the call has time.

    Raises:
        Busy: other calls promised space until the deadline; nothing was done.
    """
    while True:
        try:
            return await runtime().run_blocking(attempt, key, lambda: function(*args, **kwargs))
        except SpaceTaken:
            if runtime().now() + _PAUSE_S >= ctx.deadline:
                raise Busy("other calls are promising space; try again", object=key) from None
        await asyncio.sleep(_PAUSE_S)
