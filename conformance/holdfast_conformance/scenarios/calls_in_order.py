"""Calls that are made at once in a story: in which order they begin, and through which drivers."""

from collections.abc import Callable, Iterator
from typing import Final, Protocol, TypeVar

from holdfast_conformance.plan import Call, Step, Together
from holdfast_conformance.scenarios.choices import Choices

_APART_IN: Final = 3


class Writing(Protocol):
    """What makes the steps of a plan, for a store of either role."""

    choices: Choices


S = TypeVar("S", bound=Writing)


class Order:
    """Has the calls of a story begin one way around, or the other.

    A look, a pause and an act are torn apart by what comes second: each must be first once.
    """

    def __init__(self, choices: Choices, *, mirrored: bool) -> None:
        self._choices = choices
        self._mirrored = mirrored

    def at_once(self, *calls: Call) -> Together:
        """These calls at once, now and then through two drivers."""
        steps = calls[::-1] if self._mirrored else calls
        return Together(steps=steps, apart=self._choices.one_in(_APART_IN))


def in_order(
    *stories: Callable[[S, Order], Iterator[Step]], mirrored: bool
) -> tuple[Callable[[S], Iterator[Step]], ...]:
    """The stories with their calls one way around, or the other."""
    return tuple(_ordered(story, mirrored=mirrored) for story in stories)


def _ordered(
    story: Callable[[S, Order], Iterator[Step]], *, mirrored: bool
) -> Callable[[S], Iterator[Step]]:
    def ordered(script: S) -> Iterator[Step]:
        yield from story(script, Order(script.choices, mirrored=mirrored))

    ordered.__name__ = story.__name__
    return ordered
