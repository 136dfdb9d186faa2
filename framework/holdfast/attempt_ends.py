"""How one attempt at a step, and the step itself, can end, and the limits in which it is tried."""

import enum
from typing import Any

import msgspec

from holdfast.errors import Conflict, HoldfastError


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """How long and how often the engine tries; times are seconds on the loop's clock.

    A step has ``step_s`` plus the time its bytes need at ``slowest_bytes_per_s``; a call has
    ``call_s``, never more than its step has left, plus the time for the step's bytes.
    """

    attempts: int = 4
    probes: int = 5
    call_s: float = 60.0
    step_s: float = 300.0
    slowest_bytes_per_s: int = 4 << 20
    backoff_s: float = 0.05
    backoff_max_s: float = 10.0
    grace_s: float = 5.0
    """How long after its deadline a step that does not return is given up."""
    patience_s: float = 60.0
    """How long work waits for a call on its object that was given up and may still act."""
    close_s: float = 60.0
    """How long the end of the orchestrator waits for such calls before it cancels those it can."""


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


Ended = Succeeded | Failed | Doubtful


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
