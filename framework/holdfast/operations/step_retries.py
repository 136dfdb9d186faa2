"""Trying one step until its outcome is known: when it is probed, tried again, or given up."""

from holdfast.concurrency.late_calls import unwatch, watch
from holdfast.concurrency.runtime import runtime
from holdfast.contract.errors import DriverError, HoldfastError, Retry, Unknown
from holdfast.operations.attempt_and_probe import OneStep
from holdfast.operations.attempt_result import (
    Doubtful,
    Effect,
    Ended,
    Failed,
    Missed,
    Stopped,
    Succeeded,
    Undone,
)
from holdfast.operations.call_contexts import CallContexts
from holdfast.operations.retry_policy import Policy
from holdfast.operations.step_kind import StepAtHand, Stores
from holdfast.stores.driver_calls import StepCalls

__all__ = ["Attempts", "Doubtful", "Ended", "Failed", "Policy", "Stopped", "Succeeded"]


class Attempts:
    """Performs, probes and compensates single steps.

    Args:
        stores: the drivers.
        fence: grows with each owner of the catalogue; see ``CallContexts``.
    """

    def __init__(self, stores: Stores, *, fence: int, policy: Policy | None = None) -> None:
        self._stores = stores
        self._contexts = CallContexts(fence)
        self._policy = policy or Policy()
        self._late: list[tuple[str, StepCalls]] = []

    async def perform(
        self,
        step: StepAtHand,
        *,
        ask_first: bool,
    ) -> Ended:
        """Try a step until its outcome is known.

        ``ask_first``: an earlier attempt may have acted, so nothing is repeated before a probe.
        Nothing is asked, repeated or decided while a call of an attempt may still act; where that
        takes too long the step is ``Doubtful``, and ``late`` tells of the call.
        """
        one = OneStep(self, step)
        watched = watch(one.calls)
        try:
            return await self._until_known(one, step, ask_first=ask_first)
        finally:
            unwatch(watched)
            self._keep(one)

    async def _until_known(self, one: OneStep, step: StepAtHand, *, ask_first: bool) -> Ended:
        """The table of decision 9, row by row: succeeded, refused, or asked and tried again."""
        error: HoldfastError = Unknown("the step was interrupted")
        effect = Effect.WHOLE if ask_first else Effect.NONE
        for attempt in range(1, self._policy.attempts + 1):
            ended: Ended | Missed | None = None
            if effect >= Effect.WHOLE:
                ended = await one.learn(attempt, error if attempt > 1 else None)
            if ended is None:
                ended = await one.try_once(attempt)
            if not isinstance(ended, Missed):
                return ended
            error = ended.error
            effect = max(effect, _effect_of(ended, one, step))
            if not ended.uncertain and not _backs_off(error):
                return effect.then_refused(error)
            if runtime().now() >= one.deadline:
                break
            await one.back_off(attempt)
        return await one.give_up(error, effect)

    async def compensate(
        self,
        step: StepAtHand,
    ) -> Undone:
        """Undo a step. Compensation is idempotent, so an uncertain attempt is simply repeated."""
        one = OneStep(self, step)
        watched = watch(one.calls)
        try:
            return await self._until_undone(one)
        finally:
            unwatch(watched)
            self._keep(one)

    async def _until_undone(self, one: OneStep) -> Undone:
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

    @property
    def contexts(self) -> CallContexts:
        """What makes the contexts of driver calls."""
        return self._contexts

    @property
    def stores(self) -> Stores:
        """The drivers."""
        return self._stores


def _effect_of(missed: Missed, one: OneStep, step: StepAtHand) -> Effect:
    """What an attempt that did not get there may have done."""
    if missed.uncertain:
        return Effect.LATE if step.kind.lingers(step.inputs) else Effect.WHOLE
    # What it moves itself is no driver call: nobody counts it.
    has_parts = step.kind.checkpoints or (step.kind.several_calls and one.calls.acted)
    return Effect.PARTS if has_parts else Effect.NONE


def _backs_off(error: HoldfastError) -> bool:
    return isinstance(error, DriverError) and error.retry is Retry.BACK_OFF
