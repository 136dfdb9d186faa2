"""A walk over every state machine there is."""

import enum
from typing import Any

import msgspec
import pytest

from holdfast.model.rows import ROWS, StatefulRow
from holdfast.model.state_machine import Machine, UndefinedTransition
from holdfast.model.state_tables import MACHINES, Event

RECOVERY = {
    Event.OPERATION_SUCCEEDED,
    Event.OPERATION_FAILED_CLEAN,
    Event.OPERATION_FAILED_DIRTY,
    Event.OUTCOME_UNKNOWN,
    Event.RECOVERED_READY,
    Event.RECOVERED_ABSENT,
    Event.RECOVERED_DIRTY,
    Event.RECOVERED_MAINTENANCE,
    Event.RESUMED,
    Event.COMPENSATION_REQUESTED,
}
"""The events of operations and recovery; the others are requests from outside."""

EACH = pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
AnyMachine = Machine[Any, Event]


def states_of(machine: AnyMachine) -> list[enum.StrEnum]:
    initial: enum.StrEnum = machine.initial
    return list(type(initial))


def reached(machine: AnyMachine, start: Any, events: set[Event]) -> set[Any]:
    """Every state on some way from ``start`` by these events."""
    found, left = set[Any](), [start]
    while left:
        state = left.pop()
        after = {machine.table[state, e] for e in events if (state, e) in machine.table}
        left += after - found
        found |= after
    return found


@EACH
def test_every_undefined_pair_raises(machine: AnyMachine) -> None:
    """A state answers to the events of its table and to no others, naming those it knows."""
    for state in states_of(machine):
        for event in Event:
            if (state, event) in machine.table:
                assert machine.table[state, event] == machine.next(state, event)
            else:
                with pytest.raises(UndefinedTransition, match=f"{state} has no answer to {event}"):
                    machine.next(state, event)


@EACH
def test_what_is_unknown_has_an_event(machine: AnyMachine) -> None:
    """Every transitional state answers to ``unknown``, and stays transitional: it is not over."""
    for state in machine.transitional:
        assert machine.next(state, machine.unknown) in machine.transitional


@EACH
def test_recovery_leads_out_of_every_transitional_state(machine: AnyMachine) -> None:
    """From every transitional state, events of recovery alone lead to a state that may last."""
    for state in machine.transitional:
        lasting = reached(machine, state, RECOVERY) - machine.transitional
        assert lasting != set()


@EACH
def test_a_failure_with_remains_is_never_ready(machine: AnyMachine) -> None:
    """A dirty failure leads to no state that a success leads to."""
    succeeded = {after for (_, e), after in machine.table.items() if e is Event.OPERATION_SUCCEEDED}
    dirty = {after for (_, e), after in machine.table.items() if e is Event.OPERATION_FAILED_DIRTY}

    assert set[Any]() == succeeded & dirty


@EACH
def test_terminal_states_are_never_left(machine: AnyMachine) -> None:
    """Nothing leads out of a terminal state, and no terminal state is transitional."""
    assert {state for state, _ in machine.table} & machine.terminal == set()
    assert machine.transitional & machine.terminal == set()


@EACH
def test_every_state_is_reached(machine: AnyMachine) -> None:
    """Every state is on a way from the first one, and a state without a way on is terminal."""
    assert set(states_of(machine)) == reached(machine, machine.initial, set(Event)) | {
        machine.initial
    }
    assert set(states_of(machine)) - {state for state, _ in machine.table} == machine.terminal


def test_every_machine_governs_rows() -> None:
    """The machines of the rows are the machines there are, and a new row is in the first state."""
    stateful = [kind for kind in ROWS if issubclass(kind, StatefulRow)]
    governed = {kind.machine.name for kind in stateful}
    defaults = {
        kind: next(f.default for f in msgspec.structs.fields(kind) if f.name == "state")
        for kind in stateful
    }

    assert governed == {machine.name for machine in MACHINES}
    assert defaults == {kind: kind.machine.initial for kind in stateful}


@EACH
def test_the_diagram_has_every_transition(machine: AnyMachine) -> None:
    """The generated diagram draws each transition once, and marks the transitional states."""
    lines = machine.mermaid().splitlines()

    assert len(machine.table) == sum(" --> " in line and ": " in line for line in lines)
    assert len(machine.transitional) == sum(line.endswith(" *") for line in lines)
