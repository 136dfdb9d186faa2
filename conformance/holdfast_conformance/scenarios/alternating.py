"""Stories that go now through one driver of their store and now through another."""

from holdfast.contract.requests import DeleteStore
from holdfast_conformance.plan import InjectFault, Step, UseDriver, UseStore
from holdfast_conformance.plan_limits import DRIVERS_MAX
from holdfast_conformance.scenarios.choices import Choices

_PLAN_IN = 8
_SWITCH_IN = 3
_OF_THEIR_OWN = (UseDriver, UseStore, InjectFault, DeleteStore)
"""Steps of stories that are not changed: none can open a driver where there is nothing to open."""


def alternating(steps: tuple[Step, ...], choices: Choices) -> tuple[Step, ...]:
    """The steps of a story, once in a while with some of them through another driver."""
    if not choices.one_in(_PLAN_IN) or any(isinstance(step, _OF_THEIR_OWN) for step in steps):
        return steps
    switched: list[Step] = []
    number = 0
    for step in steps:
        if choices.one_in(_SWITCH_IN):
            number = (number + 1) % DRIVERS_MAX
            switched.append(UseDriver(number=number))
        switched.append(step)
    return tuple(switched)
