"""One attempt at a step, or one probe of it, each under its deadline.

Every attempt ends only when its calls have ended: while one may still act, nothing is known.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, cast

from holdfast.concurrency.runtime import runtime
from holdfast.contract.answers import Absent, Partial, Undetermined
from holdfast.contract.errors import (
    DriverError,
    EnvironmentUnavailable,
    HoldfastError,
    Internal,
    Unavailable,
    Unknown,
)
from holdfast.contract.requests import CallContext
from holdfast.operations.attempt_result import (
    Doubtful,
    Effect,
    Ended,
    Failed,
    Missed,
    Stopped,
    Succeeded,
)
from holdfast.operations.call_contexts import CallContexts
from holdfast.operations.retry_policy import Policy
from holdfast.operations.step_journal import StopAsked
from holdfast.operations.step_kind import Happened, StepAtHand, StepContext, Stores
from holdfast.stores.driver_calls import StepCalls

Work = Callable[[StepContext, Any], Awaitable[Any]]
"""What a kind of step does with its inputs."""


class Caller(Protocol):
    """Whose steps these are."""

    @property
    def policy(self) -> Policy:
        """The limits in force."""
        ...

    @property
    def stores(self) -> Stores:
        """The drivers."""
        ...

    @property
    def contexts(self) -> CallContexts:
        """What makes the contexts of driver calls."""
        ...


class _Gate:
    """Makes the contexts of one attempt's calls, until the attempt is given up."""

    __slots__ = ("_attempt", "_one", "closed")

    def __init__(self, one: "OneStep", attempt: int) -> None:
        self._one = one
        self._attempt = attempt
        self.closed = False

    def __call__(self) -> CallContext:
        if self.closed:
            raise Unknown("the attempt was given up, and makes no further call")
        return self._one.next_call(self._attempt)


class OneStep:
    """One step under one deadline."""

    def __init__(self, owner: Caller, step: StepAtHand) -> None:
        policy = owner.policy
        cost = step.kind.estimate(step.inputs)
        extra_s = cost.moved_bytes / policy.slowest_bytes_per_s
        self.calls = StepCalls()
        self._owner = owner
        self._policy = policy
        self.operation = step.operation
        self._step = step
        self._inputs = step.inputs
        self._kind = step.kind
        self._call_s = policy.call_s + extra_s
        self._attempt_s = max(1, cost.calls) * self._call_s
        self.deadline = runtime().now() + policy.step_s + extra_s

    def next_call(self, attempt: int) -> CallContext:
        """The context of the next call of an attempt."""
        return self._owner.contexts.following(
            self.operation, self._step.index, attempt, self.deadline, self._call_s
        )

    async def _attempted(
        self, attempt: int, until: float, work: Work, *, conclude: bool = False
    ) -> Succeeded | Doubtful | Missed:
        """Do one piece of work until then; every failure but cancellation becomes a typed error."""
        calls = self.calls
        calls.sent = calls.acted = False
        gate = _Gate(self, attempt)
        step = StepContext(
            stores=self._owner.stores,
            call=gate,
            results=self._step.results,
            journal=self._step.journal,
        )
        ended: Succeeded | Missed
        try:
            async with asyncio.timeout_at(until):
                ended = Succeeded(await work(step, self._inputs))
                if conclude:
                    await self._kind.conclude(step, self._inputs)
        except Exception as failure:  # noqa: BLE001 - typed below; a defect must not end the engine
            ended = self._missed(failure)
        finally:
            gate.closed = True
        if calls.pending and not await calls.ended(until):
            return Doubtful(
                Unknown("a call has not ended in time and may still act; its object waits for it")
            )
        return ended

    def _missed(self, failure: Exception) -> Missed:
        """Only a driver's final error says that nothing was done, and only of its own call."""
        asked = _stop_asked(failure)
        if asked is not None:
            return Missed(asked, uncertain=False)
        sent, acted = self.calls.sent, self.calls.acted and not self._kind.several_calls
        error = _typed(failure, sent=sent)
        final = isinstance(error, DriverError) and error.final
        return Missed(error, acted or (sent and not final))

    def _attempt_until(self) -> float:
        """When an attempt that ignores the deadlines of its calls is given up."""
        until = min(self.deadline, runtime().now() + self._attempt_s)
        return until + self._policy.grace_s

    async def try_once(self, attempt: int) -> Succeeded | Stopped | Doubtful | Missed:
        """One attempt at the step and at what follows it."""
        until = self._attempt_until()
        ended = await self._attempted(attempt, until, self._kind.perform, conclude=True)
        if isinstance(ended, Missed) and isinstance(ended.error, StopAsked):
            return Stopped(ended.error.wish)
        return ended

    def undo_once(self, attempt: int) -> Awaitable[Succeeded | Doubtful | Missed]:
        """One attempt at the compensation."""
        return self._attempted(attempt, self._attempt_until(), self._kind.compensate)

    async def learn(
        self, attempt: int, error: HoldfastError | None
    ) -> Succeeded | Doubtful | Missed | None:
        """Ask what became of an earlier attempt that ended with ``error``; ``None``: nothing did.

        Where it had happened, what follows a step follows now.
        """
        answer = await self.ask(attempt)
        match answer:
            case Happened(result=result):
                return await self._conclude(attempt, result)
            case Undetermined(reason=reason):
                return Doubtful(error or Unknown(reason))
            case Doubtful():
                return answer
            case Absent() | Partial():
                return None

    async def _conclude(self, attempt: int, result: Any) -> Succeeded | Doubtful | Missed:
        ended = await self._attempted(attempt, self._attempt_until(), self._kind.conclude)
        match ended:
            case Succeeded():
                return Succeeded(result)
            case Missed(error=error):
                return Missed(error, uncertain=True)
            case Doubtful():
                return ended

    async def ask(self, attempt: int) -> Happened[Any] | Absent | Partial | Undetermined | Doubtful:
        """What became of the step: asked again while the backend cannot tell."""
        reason, probes = "", self._policy.probes
        for probe in range(1, probes + 1):
            until = runtime().now() + self._call_s + self._policy.grace_s
            ended = await self._attempted(attempt, until, self._kind.probe)
            match ended:
                case Doubtful():
                    return ended
                case Missed(error=EnvironmentUnavailable() as error) if probe == probes:
                    return Doubtful(error)  # what is missing is why nothing is known
                case Missed(error=error):
                    reason = str(error)
                case Succeeded(result=answer):
                    if not isinstance(answer, Undetermined):
                        return answer  # type: ignore[no-any-return]  # what a kind's probe answers
                    reason = answer.reason
            if probe < probes:
                await self.back_off(probe)
        return Undetermined(reason=reason or "the backend cannot tell")

    async def give_up(self, error: HoldfastError, effect: Effect) -> Ended:
        """The attempts are used up: one last question where one may have done everything."""
        touched = effect >= Effect.PARTS
        if effect < Effect.WHOLE:
            return Failed(error, touched)
        answer = await self.ask(self._policy.attempts)
        match answer:
            case Happened(result=result):
                ended = await self._conclude(self._policy.attempts, result)
                if not isinstance(ended, Missed):
                    return ended
                undone = self._kind.undoes(self._inputs)
                return Failed(ended.error, touched=True) if undone else Doubtful(ended.error)
            case Absent() | Partial() if self._kind.lingers(self._inputs):
                return Doubtful(error)
            case Absent():
                return Failed(error, touched)
            case Partial(names=names):
                return Failed(error, touched, names)
            case Undetermined():
                return Doubtful(error)
            case Doubtful():
                return answer

    async def back_off(self, attempt: int) -> None:
        """Wait longer after each attempt, with jitter, on the loop's clock."""
        policy = self._policy
        longest = min(policy.backoff_max_s, policy.backoff_s * 2.0 ** (attempt - 1))
        await asyncio.sleep(longest * (0.5 + runtime().random.random() / 2))


def _stop_asked(failure: Exception) -> StopAsked | None:
    """Whether an attempt ended because it was asked to stop, in however many tasks of its own."""
    if isinstance(failure, StopAsked):
        return failure
    if not isinstance(failure, ExceptionGroup):
        return None
    group = cast("ExceptionGroup[Exception]", failure)
    asked = [_stop_asked(each) for each in group.exceptions]
    # Where one of them failed for another reason, the step failed.
    return asked[0] if all(asked) else None


def _typed(failure: Exception, *, sent: bool) -> HoldfastError:
    """A timeout is no answer; what is not ours is a defect, which leaves the outcome open."""
    if isinstance(failure, HoldfastError):
        return failure
    if isinstance(failure, TimeoutError):
        if not sent:
            return Unavailable("nothing could be asked of the store in time")
        return Unknown("no answer before the deadline of the step")
    return Internal(f"{type(failure).__name__}: {failure}")
