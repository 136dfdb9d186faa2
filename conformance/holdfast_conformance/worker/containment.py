"""Driver calls that cannot take the harness with them: what they raise becomes a value."""

from collections.abc import Awaitable
from typing import TypeVar

import msgspec

from holdfast.contract.errors import DriverError, Internal
from holdfast.text.foreign import capped
from holdfast_conformance.foreign_texts import described, shown
from holdfast_conformance.trace import Nonsense, Raised
from holdfast_conformance.worker.canaries import Canaries
from holdfast_conformance.worker.hang_watch import Clock
from holdfast_conformance.worker.output_limits import ERROR_MAX

T = TypeVar("T")
_CHAIN_MAX = 20
_NONSENSE = "nonsense: "
"""How the guard begins the cause of an answer that is none."""


class DriverBroke(Exception):
    """The driver raised something that no program is expected to survive; the message names it."""


class Failed(Exception):
    """A call into the driver did not succeed; ``outcome`` is how the trace tells it."""

    def __init__(self, outcome: Raised | Nonsense) -> None:
        super().__init__(str(outcome))
        self.outcome = outcome


class Containment:
    """Awaits driver calls under the watch, and counts them.

    Args:
        clock: ends the worker when a call hangs.
        canaries: look for secrets in messages.
    """

    def __init__(self, clock: Clock, canaries: Canaries) -> None:
        self._clock = clock
        self._canaries = canaries
        self.calls = 0
        self._pending = 0

    async def call(self, work: Awaitable[T]) -> T:
        """The result of a driver call.

        Raises:
            Failed: the driver raised an error.
            DriverBroke: the driver raised what is no error, such as ``SystemExit``.
        """
        self.calls += 1
        self._pending += 1
        self._clock.watch()
        try:
            return await work
        except (DriverBroke, Failed):
            raise
        except Exception as problem:
            raise Failed(self.outcome_of(problem)) from problem
        except BaseException as problem:
            raise DriverBroke(self._kept(described(problem))) from problem
        finally:
            self._pending -= 1
            if not self._pending:
                self._clock.rest()

    def outcome_of(self, problem: Exception) -> Raised | Nonsense:
        """How a trace tells an exception; secrets in its message are noted and removed."""
        try:
            for link in _chain(problem):
                self._canaries.scan("message", described(link))
            return self._told(problem)
        except Exception as hostile:  # noqa: BLE001 - a hostile error must not become our own
            what = f"raised {type(problem).__name__}, which is no proper error"
            return Nonsense(self._kept(f"{what}: {described(hostile)}"))

    def _told(self, problem: Exception) -> Raised | Nonsense:
        """An error in the words of a trace; raises whatever a hostile error's fields raise."""
        if not isinstance(problem, DriverError):
            return Nonsense(self._kept(f"raised {described(problem)}"))
        escaped = ""
        cause = shown(problem.cause)
        if isinstance(problem, Internal):
            if isinstance(problem.__cause__, Exception):
                escaped = type(problem.__cause__).__name__
            elif cause.startswith(_NONSENSE):
                return Nonsense(self._kept(cause.removeprefix(_NONSENSE)))
        raised = Raised(
            kind=problem.kind,
            verb=self._kept(shown(problem.verb)),
            object=self._kept(shown(problem.object)),
            cause=self._kept(cause),
            final=problem.final,
            detail=self._kept(_detail(problem)),
            escaped=self._kept(escaped),
        )
        # The judge reads it back: a kind that is none of ours is found here, at its own step.
        return msgspec.json.decode(msgspec.json.encode(raised), type=Raised)

    def _kept(self, text: str) -> str:
        """A text without secrets, and not longer than anybody reads."""
        return capped(self._canaries.redact(text), ERROR_MAX)


def _chain(problem: BaseException) -> list[BaseException]:
    """The exception and what it was raised from: a logged traceback would show them all."""
    chain: list[BaseException] = []
    link: BaseException | None = problem
    while link is not None and len(chain) < _CHAIN_MAX:
        chain.append(link)
        link = link.__cause__ or link.__context__
    return chain


def _detail(problem: DriverError) -> str:
    """What some errors carry beside the cause: holders, a state, what has run out."""
    for name in ("holders", "state", "what"):
        value = getattr(problem, name, None)
        if value:
            return ",".join(map(shown, value)) if isinstance(value, tuple) else shown(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] - whatever a driver gives
    return ""
