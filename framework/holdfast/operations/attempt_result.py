"""How one attempt at a step, and the step itself, can end."""

import enum
from typing import Any

import msgspec

from holdfast.contract.errors import Conflict, HoldfastError
from holdfast.model.owner_and_wish import Wish


class Succeeded(msgspec.Struct, frozen=True):
    """The step is done, whoever's answer it was."""

    result: Any = None


class Failed(msgspec.Struct, frozen=True):
    """The step is not done and will not be.

    ``touched``: something may have been left of an attempt, for its own compensation to remove;
    ``left`` names it where a probe could.
    """

    error: HoldfastError
    touched: bool = False
    left: tuple[str, ...] = ()


class Doubtful(msgspec.Struct, frozen=True):
    """Nobody can say what became of the step."""

    error: HoldfastError


class Stopped(msgspec.Struct, frozen=True):
    """The step was asked to stop, did so at a checkpoint, and can go on from there."""

    wish: Wish


Undone = Succeeded | Failed | Doubtful
"""How a compensation ends: nothing stops it half-way."""
Ended = Undone | Stopped
"""How a step ends that is tried."""


class Missed(msgspec.Struct, frozen=True):
    """An attempt did not get there; ``uncertain``: it may have acted all the same."""

    error: HoldfastError
    uncertain: bool


class Effect(enum.IntEnum):
    """What earlier attempts at a step may have done, from the least to the most.

    It only grows: what one attempt may have done, no later attempt's error takes back.
    """

    NONE = 0
    """Each was refused before it did anything."""
    PARTS = 1
    """Of several calls one acted before another was refused."""
    WHOLE = 2
    """One had no answer: it may have done everything, and is asked about before it is repeated."""
    LATE = 3
    """Likewise, and its request may still act behind the driver, where nobody sees it: not even an
    absent effect says that it will not."""

    def then_refused(self, error: HoldfastError) -> Failed | Doubtful:
        """How the step ends when the backend refuses it for good now."""
        match self:
            case Effect.NONE:
                return Failed(error)
            case Effect.PARTS | Effect.WHOLE:
                # What another holds under the name is not this step's to take away.
                return Failed(error, touched=not isinstance(error, Conflict))
            case Effect.LATE:
                return Doubtful(error)
