"""State machines as data: tables of (state, event) → state; all else raises."""

import enum
from collections.abc import Mapping
from typing import Generic, TypeVar

from holdfast.contract.errors import HoldfastError

StateT = TypeVar("StateT", bound=enum.StrEnum)
EventT = TypeVar("EventT", bound=enum.StrEnum)


class UndefinedTransition(HoldfastError):
    """An event came in a state that has no answer to it."""


class Machine(Generic[StateT, EventT]):
    """One state machine.

    Args:
        name: what the machine governs, in lower case.
        initial: the state a new row has.
        transitional: states in which an operation is under way; none of them may outlive recovery.
        terminal: states that are never left.
        unknown: the event for "no answer to be trusted", defined in every transitional state.
        table: the transitions.
    """

    def __init__(
        self,
        *,
        name: str,
        initial: StateT,
        transitional: frozenset[StateT],
        terminal: frozenset[StateT],
        unknown: EventT,
        table: Mapping[tuple[StateT, EventT], StateT],
    ) -> None:
        self.name = name
        self.initial = initial
        self.transitional = transitional
        self.terminal = terminal
        self.unknown = unknown
        self.table = dict(table)

    def next(self, state: StateT, event: EventT) -> StateT:
        """The state after ``event``; ``UndefinedTransition`` when the table has none."""
        found = self.table.get((state, event))
        if found is None:
            known = ", ".join(sorted(e for s, e in self.table if s == state)) or "none"
            raise UndefinedTransition(
                f"a {self.name} in state {state} has no answer to {event} (it knows: {known})"
            )
        return found

    def mermaid(self) -> str:
        """The machine as a Mermaid state diagram; transitional states are marked."""
        lines = ["stateDiagram-v2", f"    [*] --> {self.initial}"]
        lines += [
            f"    {state} --> {after}: {event}" for (state, event), after in self.table.items()
        ]
        lines += [f"    {state} --> [*]" for state in sorted(self.terminal)]
        lines += [f"    {state}: {state} *" for state in sorted(self.transitional)]
        return "\n".join(lines) + "\n"
