"""Chance among calls at once: from what could come next alone to some of it together."""

from collections.abc import Callable, Iterator

from holdfast_conformance.model.features import features_of
from holdfast_conformance.plan import Call, Step, Together
from holdfast_conformance.plan_limits import TOGETHER_MAX
from holdfast_conformance.scenarios.choices import Choices

_APART_IN = 3
_EQUAL_IN = 3
_MANY_IN = 4

STAGGERS = (0, 0, 1, 2, 4)
"""By how many turns of the loop calls at once are apart: mostly by few, where most is to be met."""

NextStep = Callable[[], Step | None]
"""Draws what could come next."""


def together(choices: Choices, declared: frozenset[str], draw: NextStep) -> Iterator[Step]:
    """Two or three calls at once, or one of them twice, as far as the store declares them.

    Args:
        choices: where decisions come from.
        declared: the features of the store.
        draw: draws a step; what is no call, or needs more than is declared, is dropped.
    """
    count = TOGETHER_MAX if choices.one_in(_MANY_IN) else 2
    drawn = [draw() for _ in range(count)]
    calls: list[Call] = [
        step for step in drawn if isinstance(step, Call) and declared.issuperset(features_of(step))
    ]
    if calls and choices.one_in(_EQUAL_IN):
        calls = [calls[0], calls[0]]
    if len(calls) > 1:
        apart, stagger = choices.one_in(_APART_IN), choices.pick(STAGGERS)
        yield Together(steps=tuple(calls), apart=apart, stagger=stagger)
