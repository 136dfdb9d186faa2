"""What a volume or snapshot holds, block by block, as the model knows it."""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from holdfast.data import BLOCK_BYTES, digest_of_hashes
from holdfast_conformance.stamps import hash_of_stamp

Stamped = tuple[str, int]
"""The volume a block was written for, and the generation of the write."""


class Content:
    """An immutable map from block number to stamp; what is not in it reads as zeroes.

    Digests are remembered, since every observation asks for them again.
    """

    __slots__ = ("_blocks", "_digests")

    def __init__(self, blocks: Mapping[int, Stamped] | None = None) -> None:
        self._blocks: Mapping[int, Stamped] = blocks or {}
        self._digests: dict[tuple[str, int], str] = {}

    @property
    def blocks(self) -> Mapping[int, Stamped]:
        """The stamps by block number."""
        return MappingProxyType(self._blocks)

    def written(self, volume: str, first: int, count: int, generation: int) -> "Content":
        """The content after a write of ``count`` blocks from block ``first``."""
        stamp = (volume, generation)
        return Content({**self._blocks, **dict.fromkeys(range(first, first + count), stamp)})

    def cut(self, size_bytes: int) -> "Content":
        """The content without the blocks that start at or after ``size_bytes``."""
        if all(number * BLOCK_BYTES < size_bytes for number in self._blocks):
            return self
        kept = {n: stamp for n, stamp in self._blocks.items() if n * BLOCK_BYTES < size_bytes}
        return Content(kept)

    def at(self, number: int) -> Stamped | None:
        """The stamp of one block, or ``None`` for zeroes."""
        return self._blocks.get(number)

    def digest(self, run: str, size_bytes: int) -> str:
        """The content digest that ``holdfast.data.content_digest`` finds in a correct backend."""
        known = self._digests.get((run, size_bytes))
        if known is None:
            known = digest_of_hashes(size_bytes, self._hashes(run))
            self._digests[run, size_bytes] = known
        return known

    def _hashes(self, run: str) -> Iterator[tuple[int, bytes]]:
        ordered: Iterable[tuple[int, Stamped]] = sorted(self._blocks.items())
        for number, (volume, generation) in ordered:
            yield number, hash_of_stamp(run, volume, number, generation)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Content) and self._blocks == other._blocks

    def __hash__(self) -> int:
        return hash(frozenset(self._blocks.items()))

    def __repr__(self) -> str:
        return f"Content({dict(sorted(self._blocks.items()))!r})"


EMPTY = Content()
