"""What a mechanism is: it looks at a pair of handles, offers or refuses, and moves the bytes.

A mechanism that offers is a promise about cost, not about this machine: what cannot be known
before it is tried (whether two files lie on one file system) ends as ``NotHere`` at the first act,
and the next mechanism takes over.
"""

from abc import ABC, abstractmethod
from contextlib import AbstractAsyncContextManager
from typing import ClassVar

import msgspec

from holdfast.contract.handles import Handle
from holdfast.data.block_io import Extent
from holdfast.motion.block_digests import BlockDigest
from holdfast.motion.pieces import Piece


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One end of a transfer.

    ``name`` is what people call it. ``version`` changes whenever its bytes do, as far as its store
    tells; empty where nobody knows. ``fresh`` is a target that reads as zeroes all over, so that
    nothing in it needs to be cleared.
    """

    handle: Handle
    name: str
    version: str = ""
    fresh: bool = False


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be moved: the first ``length_bytes`` of ``source`` become those of ``target``.

    What lies behind them in the target reads as zeroes afterwards. With ``digested`` the content's
    digest is wanted.
    """

    source: Side
    target: Side
    length_bytes: int
    digested: bool


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """A mechanism can move the pair.

    ``cost`` orders the offers: bytes through memory for each byte of data, 0 where only a few words
    go to the file system or server. ``how`` says it for people.
    """

    cost: float
    how: str


class Refusal(msgspec.Struct, frozen=True):
    """A mechanism cannot move the pair, and why."""

    reason: str


class NotHere(Exception):
    """The system refuses this mechanism for this pair, and nothing was changed; says why."""


class Mover(ABC):
    """An opened pair."""

    @abstractmethod
    async def identity(self) -> str:
        """What changes whenever the source holds other bytes than before; empty: nobody knows."""

    @abstractmethod
    async def place(self) -> str:
        """What tells the target from another one that has its place; empty: nobody knows."""

    @abstractmethod
    async def prepare(self) -> tuple[Extent, ...]:
        """Where the source has data, in ascending order; all else of the target reads as zeroes
        from now on.
        """

    @abstractmethod
    async def move(self, piece: Piece) -> tuple[BlockDigest, ...]:
        """Move the data of one piece; the digests of its blocks, where the pair is ``digested``.

        Raises:
            NotHere: the mechanism does not work for this pair.
            DriverError: the piece may be in the target in part; it can be moved again.
        """

    @abstractmethod
    async def settle(self) -> None:
        """All that was moved before is durable in the target when this returns."""


class Mechanism(ABC):
    """One way to move bytes; it has no state of its own.

    ``whole``: all is moved at once or not at all, whatever its size, so that there is nothing to
    resume. ``through_host``: the bytes pass this host. ``streams`` is how many pieces at once are
    worth it.
    """

    name: ClassVar[str]
    whole: ClassVar[bool] = False
    through_host: ClassVar[bool] = True
    streams: ClassVar[int] = 1

    @abstractmethod
    def offer(self, pair: Pair) -> Offer | Refusal:
        """Whether it can move the pair, from the handles alone; nothing is touched."""

    @abstractmethod
    def open(self, pair: Pair) -> AbstractAsyncContextManager[Mover]:
        """Open both ends.

        Raises:
            NotHere: the mechanism does not work for this pair.
            DriverError: an end cannot be opened.
        """
