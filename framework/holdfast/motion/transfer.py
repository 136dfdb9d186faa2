"""One transfer from its beginning to its end: pieces in streams, chunks remembered once durable.

What a mechanism does with a range is its own business; order, limits, resuming, progress and
falling back to the next mechanism are the same for all and stand here.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import msgspec

from holdfast.contract.errors import Busy, DriverError, OutOfRange, Unsupported
from holdfast.data.block_io import Extent
from holdfast.motion.block_digests import BlockDigest, content_of
from holdfast.motion.choice import Choice
from holdfast.motion.chunk_map import CHUNK_BYTES, Beginning, ChunkMap, durable_chunk, encoded
from holdfast.motion.mechanism import Mechanism, Mover, NotHere, Pair
from holdfast.motion.pieces import Piece, by_chunk, pieces
from holdfast.motion.throttle import Limit, give_back_all, take_all


class TransferJournal(Protocol):
    """Where a transfer remembers what it has reached."""

    async def checkpoints(self) -> tuple[bytes, ...]:
        """What earlier attempts entered, oldest first."""
        ...

    async def checkpoint(self, reached: bytes) -> None:
        """Enter something durably; may raise to have the transfer stop here."""
        ...


class NoJournal:
    """For a transfer that begins anew whenever it was interrupted."""

    async def checkpoints(self) -> tuple[bytes, ...]:
        """Nothing was entered."""
        return ()

    async def checkpoint(self, reached: bytes) -> None:
        """Nothing is kept."""
        del reached


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a transfer is: bytes of data, holes not counted."""

    mechanism: str
    moved_bytes: int
    data_bytes: int


class Fallback(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A mechanism did not work here, and the next one took over."""

    mechanism: str
    reason: str


class Moved(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a transfer did.

    ``moved_bytes`` are bytes of data that this attempt moved, ``resumed_bytes`` those that an
    earlier one had moved; ``content`` is the digest of what was moved, where it was wanted.
    """

    moved_bytes: int
    mechanism: str = ""
    resumed_bytes: int = 0
    content: str = ""
    fallbacks: tuple[Fallback, ...] = ()


class Transfer:
    """Moves one pair.

    Args:
        pair: what is moved.
        choice: the mechanisms to try.
        journal: where chunks are remembered.
        limits: what every piece must pass.
        tell: is told of the progress after each piece.
    """

    def __init__(
        self,
        pair: Pair,
        choice: Choice,
        *,
        journal: TransferJournal | None = None,
        limits: Sequence[Limit] = (),
        tell: Callable[[Progress], None] = lambda _: None,
    ) -> None:
        self._pair = pair
        self._choice = choice
        self.journal: TransferJournal = journal or NoJournal()
        # What is one chunk is moved again whole: to remember it would cost more than it saves.
        self._remembers = journal is not None and pair.length_bytes > CHUNK_BYTES
        self.digested = pair.digested
        self.limits = limits
        self.tell = tell

    async def run(self) -> Moved:
        """Move it by the first mechanism that works.

        Raises:
            OutOfRange: the target is smaller than what is to be moved; nothing was touched.
            Busy: the source changed while it was read.
            Unsupported: no mechanism works for this pair.
            DriverError: what moving raised; the target holds a part.
        """
        pair = self._pair
        if pair.length_bytes > pair.target.handle.size_bytes:
            raise OutOfRange(
                f"{pair.length_bytes} bytes do not fit into the {pair.target.handle.size_bytes} "
                f"of {pair.target.name}"
            )
        fallbacks: list[Fallback] = []
        for mechanism in self._choice.kept:
            try:
                moved = await self._by(mechanism)
            except NotHere as refused:
                fallbacks.append(Fallback(mechanism=mechanism.name, reason=str(refused)))
            else:
                return msgspec.structs.replace(moved, fallbacks=tuple(fallbacks))
        reasons = "; ".join(f"{each.mechanism}: {each.reason}" for each in fallbacks)
        raise Unsupported(f"{pair.source.name} cannot be moved to {pair.target.name} ({reasons})")

    async def _by(self, mechanism: Mechanism) -> Moved:
        async with mechanism.open(self._pair) as mover:
            identity = await mover.identity()
            extents = await mover.prepare()
            # Where nobody knows whether the source is still the same, nothing is gone on with.
            remembers = self._remembers and bool(identity) and not mechanism.whole
            beginning = Beginning(
                source=identity,
                target=await mover.place(),
                length_bytes=self._pair.length_bytes,
                digested=self._pair.digested,
            )
            chunks = await self._resumed(beginning) if remembers else ChunkMap(beginning)
            cut = self._cut(mechanism, extents)
            rest = tuple(piece for piece in cut if piece.chunk not in chunks)
            work = _Work(self, mechanism, mover, chunks, remembers=remembers)
            await work.do(rest, before_bytes=_data_bytes(cut) - _data_bytes(rest))
            if await mover.identity() != identity:
                raise Busy(
                    "the source was changed while it was read; move it again",
                    object=self._pair.source.name,
                )
        digested = self._pair.digested
        return Moved(
            mechanism=mechanism.name,
            moved_bytes=work.moved_bytes if mechanism.through_host else 0,
            resumed_bytes=_data_bytes(cut) - _data_bytes(rest),
            content=content_of(self._pair.length_bytes, chunks.digests()) if digested else "",
        )

    def _cut(self, mechanism: Mechanism, extents: tuple[Extent, ...]) -> tuple[Piece, ...]:
        length_bytes = self._pair.length_bytes
        if mechanism.whole:
            return (Piece(offset_bytes=0, length_bytes=length_bytes, extents=extents),)
        return tuple(pieces(length_bytes, extents))

    async def _resumed(self, beginning: Beginning) -> ChunkMap:
        """What an earlier attempt left, or a new map whose beginning is durable."""
        found = ChunkMap.resumed(beginning, await self.journal.checkpoints())
        if found is not None:
            return found
        await self.journal.checkpoint(encoded(beginning))
        return ChunkMap(beginning)


class _Work:
    """The pieces of one transfer by one mechanism, in as many streams as it is worth."""

    def __init__(
        self,
        transfer: Transfer,
        mechanism: Mechanism,
        mover: Mover,
        chunks: ChunkMap,
        *,
        remembers: bool,
    ) -> None:
        self.moved_bytes = 0
        self._remembers = remembers
        self._entering = asyncio.Lock()
        self._transfer = transfer
        self._mechanism = mechanism
        self._mover = mover
        self._chunks = chunks
        self._before_bytes = self._data_bytes = 0
        self._failed = False

    async def do(self, rest: tuple[Piece, ...], *, before_bytes: int) -> None:
        """Move the pieces, beside so many bytes that were moved before.

        The first error is raised once all streams have ended: what were given up instead could
        still write to the target.
        """
        self._before_bytes = before_bytes
        self._data_bytes = before_bytes + _data_bytes(rest)
        chunks = by_chunk(rest)
        streams = (self._stream(chunks) for _ in range(self._mechanism.streams))
        ended = await asyncio.gather(*streams, return_exceptions=True)
        failures = [failure for failure in ended if failure is not None]
        if failures:
            # What is wrong with an end counts more than a wish to stop, or another way to try.
            raise min(failures, key=lambda failure: not isinstance(failure, DriverError))
        await self._mover.settle()

    async def _stream(self, chunks: Iterator[tuple[int, tuple[Piece, ...]]]) -> None:
        """Move one chunk after the other, of those that no other stream has taken."""
        try:
            for number, group in chunks:
                if self._failed:
                    return
                await self._chunk(number, group)
        except BaseException:
            self._failed = True
            raise

    async def _chunk(self, number: int, group: tuple[Piece, ...]) -> None:
        digests: list[BlockDigest] = []
        limits = self._transfer.limits if self._mechanism.through_host else ()
        for piece in group:
            await take_all(limits, piece.data_bytes)
            try:
                digests.extend(await self._mover.move(piece))
            except NotHere:
                give_back_all(limits, piece.data_bytes)
                raise
            self.moved_bytes += piece.data_bytes
            self._transfer.tell(
                Progress(
                    mechanism=self._mechanism.name,
                    moved_bytes=self._before_bytes + self.moved_bytes,
                    data_bytes=self._data_bytes,
                )
            )
        entry = durable_chunk(number, digests, digested=self._transfer.digested)
        if self._remembers:
            await self._enter(encoded(entry))
        self._chunks.enter(entry)

    async def _enter(self, entry: bytes) -> None:
        """Enter a chunk whose bytes have become durable: whoever goes on never moves them again.

        One after the other, and none after a flush that failed: the system tells of bytes that it
        lost once only, to whoever asks first, and they may be those of any stream.
        """
        async with self._entering:
            if self._failed:
                return
            try:
                await self._mover.settle()
            except BaseException:
                self._failed = True
                raise
            await self._transfer.journal.checkpoint(entry)


def _data_bytes(cut: tuple[Piece, ...]) -> int:
    return sum(piece.data_bytes for piece in cut)
