"""Trying one step until its outcome is known, as often and as long as the policy allows."""

import itertools
from collections.abc import Sequence
from typing import Any

from holdfast.attempt_ends import Doubtful, Effect, Ended, Failed, Missed, Policy, Succeeded
from holdfast.driver_calls import StepCalls
from holdfast.errors import DriverError, HoldfastError, Retry, Unknown
from holdfast.one_step import OneStep
from holdfast.plans import PlannedStep
from holdfast.requests import CallContext
from holdfast.runtime import runtime
from holdfast.steps.kind import Stores
from holdfast.steps.registry import AnyKind
from holdfast.under_way import unwatch, watch

__all__ = ["Attempts", "Doubtful", "Ended", "Failed", "Policy", "Succeeded"]

_CALLS_BITS = 32
"""The lower bits of a fence count an owner's calls, the upper ones are the owner's own fence."""


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
        self._late: list[tuple[str, StepCalls]] = []

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
        Nothing is asked, repeated or decided while a call of an attempt may still act; where that
        takes too long the step is ``Doubtful``, and ``late`` tells of the call.
        """
        one = OneStep(self, (operation, index), planned, kind, results)
        watched = watch(one.calls)
        try:
            return await self._until_known(one, planned, kind, ask_first=ask_first)
        finally:
            unwatch(watched)
            self._keep(one)

    async def _until_known(
        self, one: OneStep, planned: PlannedStep, kind: AnyKind, *, ask_first: bool
    ) -> Ended:
        """The table of decision 9, row by row: succeeded, refused, or asked and tried again."""
        error: HoldfastError = Unknown("the step was interrupted")
        effect = Effect.WHOLE if ask_first else Effect.NONE
        for attempt in range(1, self._policy.attempts + 1):
            ended: Succeeded | Doubtful | Missed | None = None
            if effect >= Effect.WHOLE:
                ended = await one.learn(attempt, error if attempt > 1 else None)
            if ended is None:
                ended = await one.try_once(attempt)
            if not isinstance(ended, Missed):
                return ended
            error = ended.error
            effect = max(effect, _effect_of(ended, one, planned, kind))
            if not ended.uncertain and not _backs_off(error):
                return effect.then_refused(error)
            if runtime().now() >= one.deadline:
                break
            await one.back_off(attempt)
        return await one.give_up(error, effect)

    async def compensate(
        self,
        operation: str,
        index: int,
        planned: PlannedStep,
        kind: AnyKind,
        results: Sequence[Any],
    ) -> Ended:
        """Undo a step. Compensation is idempotent, so an uncertain attempt is simply repeated."""
        one = OneStep(self, (operation, index), planned, kind, results)
        watched = watch(one.calls)
        try:
            return await self._until_undone(one)
        finally:
            unwatch(watched)
            self._keep(one)

    async def _until_undone(self, one: OneStep) -> Ended:
        error: HoldfastError = Unknown("the compensation was interrupted")
        for attempt in range(1, self._policy.attempts + 1):
            ended = await one.undo_once(attempt)
            if not isinstance(ended, Missed):
                return ended
            error = ended.error
            if isinstance(error, DriverError) and error.final and not _backs_off(error):
                return Failed(error)
            if runtime().now() >= one.deadline:
                break
            await one.back_off(attempt)
        return Doubtful(error)

    def _keep(self, one: OneStep) -> None:
        """Keep what a step leaves under way, however it is left."""
        if one.calls.pending:
            self._late.append((one.operation, one.calls))

    def late(self, operation: str) -> list[StepCalls]:
        """The calls of an operation that were given up and may still act."""
        self._late = [found for found in self._late if found[1].pending]
        return [calls for owner, calls in self._late if owner == operation]

    async def quiet(self) -> None:
        """Wait until no call that was given up acts any more; see ``Policy.close_s``."""
        until = runtime().now() + self._policy.close_s
        for _, calls in self._late:
            if not await calls.ended(until):
                # Its deadline is long past, and nobody will hear its answer.
                calls.cut_off()
        for _, calls in self._late:
            await calls.ended()

    @property
    def policy(self) -> Policy:
        """The limits in force."""
        return self._policy

    def context(
        self, operation: str, index: int, attempt: int, deadline: float, call_s: float
    ) -> CallContext:
        """The context of one driver call."""
        return CallContext(
            operation=operation,
            step=index,
            attempt=attempt,
            fence=next(self._fences),
            deadline=min(deadline, runtime().now() + call_s),
        )

    @property
    def stores(self) -> Stores:
        """The drivers."""
        return self._stores


def _effect_of(missed: Missed, one: OneStep, planned: PlannedStep, kind: AnyKind) -> Effect:
    """What an attempt that did not get there may have done."""
    if missed.uncertain:
        return Effect.LATE if kind.lingers(planned.inputs) else Effect.WHOLE
    return Effect.PARTS if kind.several_calls and one.calls.acted else Effect.NONE


def _backs_off(error: HoldfastError) -> bool:
    return isinstance(error, DriverError) and error.retry is Retry.BACK_OFF
