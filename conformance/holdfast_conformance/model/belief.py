"""What the model holds possible: usually one state, several after an outcome nobody knows."""

from collections.abc import Callable
from typing import Generic

from holdfast.errors import ErrorKind
from holdfast_conformance.model.expectation import Expectation, Model, S
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
        found = [
            branch.state
            for expectation in expectations
            for branch in expectation.branches
            if branch.kind is kind
        ]
        distinct = [state for index, state in enumerate(found) if state not in found[:index]]
        return tuple(distinct[:STATES_MAX])

    def settle(self, candidates: tuple[S, ...], differs: Callable[[S], int]) -> S:
        """Keep the candidates that agree with an observation, or else the one that agrees best."""
        counts = [differs(state) for state in candidates]
        best = min(counts)
        self.states = tuple(
            state for state, count in zip(candidates, counts, strict=True) if count == best
        )
        return self.states[0]
