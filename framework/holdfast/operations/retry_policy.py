"""The limits in which a step is tried: deadlines, attempts, probes and the time between them."""

import msgspec


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
