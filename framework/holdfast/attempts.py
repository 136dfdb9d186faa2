"""Trying one step until its outcome is known, as often and as long as the policy allows."""

import asyncio
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from holdfast.errors import Conflict, DriverError, HoldfastError, Internal, Retry, Unknown
from holdfast.infos import Absent, Partial, Undetermined
from holdfast.plans import PlannedStep
from holdfast.requests import CallContext
from holdfast.runtime import runtime
from holdfast.steps.kind import Happened, StepContext, Stores
from holdfast.steps.registry import AnyKind

_CALLS_BITS = 32
"""The lower bits of a fence count an owner's calls, the upper ones are the owner's own fence."""


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


class Attempts:
    """Performs, probes and compensates single steps.

    Args:
        stores: the drivers.
        fence: grows with each owner of the catalogue; every driver call gets one that is higher
            than that of all calls before it, of this owner and of those before.
    """

    def __init__(self, stores: Stores, *, fence: int, policy: Policy | None = None) -> None:
        self._stores = stores
        self._fences = itertools.count((fence << _CALLS_BITS) + 1)
        self._policy = policy or Policy()

    async def perform(
        self,
        operation: str,
        index: int,
        planned: PlannedStep,
        kind: AnyKind,
        results: Sequence[Any],
        *,
        ask_first: bool,
    ) -> Ended:
        """Try a step until its outcome is known.

        ``ask_first``: an earlier attempt may have acted, so nothing is repeated before a probe.
        """
        one = _OneStep(self, (operation, index), planned, kind, results)
        error: HoldfastError = Unknown("the step was interrupted")
        touched = ask_first
        # Once an attempt of this process had no answer, its call may still be under way: neither
        # an absent effect nor a later attempt's error says that it will not act.
        lingers = False
        for attempt in range(1, self._policy.attempts + 1):
            if ask_first:
                answer = await one.ask(attempt)
                if isinstance(answer, Happened):
                    return Succeeded(answer.result)
                if isinstance(answer, Undetermined):
                    return Doubtful(error if attempt > 1 else Unknown(answer.reason))
            ended = await one.try_once(attempt)
            if not isinstance(ended, HoldfastError):
                return ended
            error = ended
            uncertain = isinstance(error, DriverError) and not error.final
            touched = touched or uncertain or kind.several_calls
            ask_first = ask_first or uncertain
            lingers = lingers or (uncertain and kind.lingers(planned.inputs))
            if not uncertain and not _backs_off(error):
                if lingers:
                    return Doubtful(error)
                # What another holds under the name is not this step's to take away.
                return Failed(error, touched and not isinstance(error, Conflict))
            if runtime().now() >= one.deadline:
                break
            await one.back_off(attempt)
        return await one.give_up(error, ask_first=ask_first, touched=touched)

    async def compensate(
        self,
        operation: str,
        index: int,
        planned: PlannedStep,
        kind: AnyKind,
        results: Sequence[Any],
    ) -> Ended:
        """Undo a step. Compensation is idempotent, so an uncertain attempt is simply repeated."""
        one = _OneStep(self, (operation, index), planned, kind, results)
        error: HoldfastError = Unknown("the compensation was interrupted")
        for attempt in range(1, self._policy.attempts + 1):
            ended = await one.undo_once(attempt)
            if not isinstance(ended, HoldfastError):
                return ended
            error = ended
            if isinstance(error, DriverError) and error.final and not _backs_off(error):
                return Failed(error)
            if runtime().now() >= one.deadline:
                break
            await one.back_off(attempt)
        return Doubtful(error)

    @property
    def policy(self) -> Policy:
        """The limits in force."""
        return self._policy

    def context(
        self, operation: str, index: int, attempt: int, deadline: float, call_s: float
    ) -> Callable[[], CallContext]:
        """Makes the context of each driver call of one attempt."""

        def call() -> CallContext:
            return CallContext(
                operation=operation,
                step=index,
                attempt=attempt,
                fence=next(self._fences),
                deadline=min(deadline, runtime().now() + call_s),
            )

        return call

    @property
    def stores(self) -> Stores:
        """The drivers."""
        return self._stores


def _backs_off(error: HoldfastError) -> bool:
    return isinstance(error, DriverError) and error.retry is Retry.BACK_OFF


class _OneStep:
    """One step under one deadline."""

    def __init__(
        self,
        owner: Attempts,
        name: tuple[str, int],
        planned: PlannedStep,
        kind: AnyKind,
        results: Sequence[Any],
    ) -> None:
        policy = owner.policy
        cost = kind.estimate(planned.inputs)
        extra_s = cost.moved_bytes / policy.slowest_bytes_per_s
        self._owner = owner
        self._policy = policy
        self._name = name
        self._inputs = planned.inputs
        self._kind = kind
        self._results = results
        self._call_s = policy.call_s + extra_s
        self._attempt_s = max(1, cost.calls) * self._call_s
        self.deadline = runtime().now() + policy.step_s + extra_s

    def _context(self, attempt: int) -> StepContext:
        operation, index = self._name
        call = self._owner.context(operation, index, attempt, self.deadline, self._call_s)
        return StepContext(stores=self._owner.stores, call=call, results=self._results)

    def _attempt_until(self) -> float:
        """When an attempt that ignores the deadlines of its calls is given up."""
        until = min(self.deadline, runtime().now() + self._attempt_s)
        return until + self._policy.grace_s

    async def try_once(self, attempt: int) -> Succeeded | HoldfastError:
        """One attempt; every failure but cancellation becomes a typed error."""
        try:
            async with asyncio.timeout_at(self._attempt_until()):
                return Succeeded(await self._kind.perform(self._context(attempt), self._inputs))
        except Exception as failure:  # noqa: BLE001 - typed below; a defect must not end the engine
            return _typed(failure)

    async def undo_once(self, attempt: int) -> Succeeded | HoldfastError:
        """One attempt at the compensation."""
        try:
            async with asyncio.timeout_at(self._attempt_until()):
                await self._kind.compensate(self._context(attempt), self._inputs)
                return Succeeded()
        except Exception as failure:  # noqa: BLE001 - as above
            return _typed(failure)

    async def ask(self, attempt: int) -> Happened[Any] | Absent | Partial | Undetermined:
        """What became of the step: asked again while the backend cannot tell."""
        reason = ""
        for probe in range(1, self._policy.probes + 1):
            try:
                async with asyncio.timeout(self._call_s + self._policy.grace_s):
                    answer = await self._kind.probe(self._context(attempt), self._inputs)
            except Exception as failure:  # noqa: BLE001 - a failed probe knows nothing
                reason = str(_typed(failure))
            else:
                if not isinstance(answer, Undetermined):
                    return answer
                reason = answer.reason
            if probe < self._policy.probes:
                await self.back_off(probe)
        return Undetermined(reason=reason or "the backend cannot tell")

    async def give_up(self, error: HoldfastError, *, ask_first: bool, touched: bool) -> Ended:
        """The attempts are used up: one last question where an attempt may have acted."""
        if not ask_first:
            return Failed(error, touched)
        answer = await self.ask(self._policy.attempts)
        match answer:
            case Happened(result=result):
                return Succeeded(result)
            case Absent() | Partial() if self._kind.lingers(self._inputs):
                return Doubtful(error)
            case Absent():
                return Failed(error, touched)
            case Partial(names=names):
                return Failed(error, touched, names)
            case Undetermined():
                return Doubtful(error)

    async def back_off(self, attempt: int) -> None:
        """Wait longer after each attempt, with jitter, on the loop's clock."""
        policy = self._policy
        longest = min(policy.backoff_max_s, policy.backoff_s * 2.0 ** (attempt - 1))
        await asyncio.sleep(longest * (0.5 + runtime().random.random() / 2))


def _typed(failure: Exception) -> HoldfastError:
    """A timeout is no answer; what is not ours is a defect, which leaves the outcome open."""
    if isinstance(failure, HoldfastError):
        return failure
    if isinstance(failure, TimeoutError):
        return Unknown("no answer before the deadline of the step")
    return Internal(f"{type(failure).__name__}: {failure}")
