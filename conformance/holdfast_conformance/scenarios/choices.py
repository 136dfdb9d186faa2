"""Decisions read from drawn bytes: cheap enough to make tens of thousands of steps a second."""

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

_PER_DECISION_BYTES = 2


class Choices:
    """Decisions for one plan; when the bytes are used up, every further decision is the first.

    Args:
        drawn: the bytes that one draw gave.
        turn: how often the story of this plan was told before, with other decisions.
    """

    __slots__ = ("_drawn", "_position", "turn")

    def __init__(self, drawn: bytes, turn: int = 0) -> None:
        self.turn = turn
        self._drawn = drawn
        self._position = 0

    @property
    def used_up(self) -> bool:
        """Whether no decision is left in the bytes."""
        return self._position >= len(self._drawn)

    def below(self, bound: int) -> int:
        """A number from 0 to ``bound - 1``; ``bound`` is at most 65,536."""
        end = self._position + _PER_DECISION_BYTES
        number = int.from_bytes(self._drawn[self._position : end], "little")
        self._position = end
        return number % bound

    def pick(self, options: Sequence[T]) -> T:
        """One of the options."""
        return options[self.below(len(options))]

    def one_in(self, chances: int) -> bool:
        """True once in so many times."""
        return self.below(chances) == chances - 1

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """The items in some order."""
        rest = list(items)
        return [rest.pop(self.below(len(rest))) for _ in range(len(rest))]
