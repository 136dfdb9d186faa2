"""How an operation ended: its verdict, the events and states of it, and what is told of it."""

import enum
from typing import Any

import msgspec

from holdfast.contract.errors import ErrorKind, ExitCode, HoldfastError
from holdfast.model.state_tables import Event, OperationState


class Verdict(enum.StrEnum):
    """The four outcomes of an operation, and that it was paused before it had one."""

    SUCCEEDED = "succeeded"
    FAILED_CLEAN = "failed-clean"
    FAILED_DIRTY = "failed-dirty"
    UNKNOWN = "unknown"
    PAUSED = "paused"


EVENT_OF: dict[Verdict, Event] = {
    Verdict.SUCCEEDED: Event.OPERATION_SUCCEEDED,
    Verdict.FAILED_CLEAN: Event.OPERATION_FAILED_CLEAN,
    Verdict.FAILED_DIRTY: Event.OPERATION_FAILED_DIRTY,
    Verdict.UNKNOWN: Event.OUTCOME_UNKNOWN,
}
VERDICT_OF: dict[OperationState, Verdict] = {
    OperationState.SUCCEEDED: Verdict.SUCCEEDED,
    OperationState.FAILED_CLEAN: Verdict.FAILED_CLEAN,
    OperationState.FAILED_DIRTY: Verdict.FAILED_DIRTY,
}


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How an operation ended, or that it is not known yet.

    ``results`` are the answers of the steps; ``left`` names what a dirty failure left behind.
    """

    operation: str
    kind: str
    subject: str
    verdict: Verdict
    error: str = ""
    error_kind: ErrorKind | None = None
    exit_code: ExitCode = ExitCode.DONE
    left: tuple[str, ...] = ()
    results: tuple[Any, ...] = ()

    def expect(self) -> "Outcome":
        """The outcome itself when it is success; else ``OperationFailed``."""
        if self.verdict is not Verdict.SUCCEEDED:
            raise OperationFailed(self)
        return self


class OperationFailed(HoldfastError):
    """An operation did not succeed; ``outcome`` says what is left."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.error)
        self.outcome = outcome
        self.exit_code = outcome.exit_code

    def __str__(self) -> str:
        found = self.outcome
        advice = {
            Verdict.FAILED_CLEAN: "nothing was left behind",
            Verdict.FAILED_DIRTY: f"left behind: {', '.join(found.left)}",
            Verdict.PAUSED: "it goes on when it is resumed",
            Verdict.UNKNOWN: "the backend cannot say what became of it; run recover when it can",
        }.get(found.verdict, "")
        return f"{found.kind} {found.subject} failed: {found.error}; {advice} ({found.operation})"
