"""What the model holds possible after an unknown outcome, and what an observation leaves of it."""

from collections.abc import Callable, Sequence
from typing import Generic

from holdfast.contract.errors import ErrorKind
from holdfast_conformance.model.at_once import CallMade, OrderEnd, best_of, ends_together
from holdfast_conformance.model.role_model import Expectation, Model, S
from holdfast_conformance.plan import Step

STATES_MAX = 16
"""How many states are followed; more unknown outcomes in a row than that occur in no plan."""


class Belief(Generic[S]):
    """The states that everything seen so far allows; never empty."""

    def __init__(self, model: Model[S], state: S) -> None:
        self._model = model
        self.states: tuple[S, ...] = (state,)

    def expect(self, step: Step) -> tuple[Expectation[S], ...]:
        """The expectation of each possible state, in the order of ``states``."""
        return tuple(self._model.expect(state, step) for state in self.states)

    def successors(
        self, expectations: tuple[Expectation[S], ...], kind: ErrorKind | None
    ) -> tuple[S, ...]:
        """The states that are possible after this outcome; none where it is not allowed."""
        states = [
            branch.state
            for expectation in expectations
            for branch in expectation.branches
            if branch.kind is kind
        ]
        distinct = [state for index, state in enumerate(states) if state not in states[:index]]
        return tuple(distinct[:STATES_MAX])

    def settle(self, candidates: tuple[S, ...], differs: Callable[[S], int]) -> S:
        """Keep the candidates that agree with an observation, or else the one that agrees best."""
        if len(candidates) == 1:  # nearly always, and counting costs as much as judging a step
            self.states = candidates
            return candidates[0]
        counts = [differs(state) for state in candidates]
        best = min(counts)
        self.states = tuple(
            state for state, count in zip(candidates, counts, strict=True) if count == best
        )
        return self.states[0]

    def settle_together(
        self, calls: Sequence[CallMade], differs: Callable[[S], int]
    ) -> OrderEnd | None:
        """As ``settle``, after calls that were made at once; ``None`` where no order allows them.

        Which order it was may stay open: then several states are possible from here on.
        """
        ends = [end for state in self.states for end in ends_together(self._model, state, calls)]
        if not ends:
            return None
        best = best_of(ends, differs)
        states = [end.state for end in best]
        distinct = [state for index, state in enumerate(states) if state not in states[:index]]
        self.states = tuple(distinct[:STATES_MAX])
        return best[0]
