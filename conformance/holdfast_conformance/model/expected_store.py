"""Drivers that were told which store to expect: they take no other for it, and no empty place."""

from typing import TypeVar

import msgspec

from holdfast.contract.errors import ErrorKind
from holdfast.contract.requests import (
    AttachHost,
    CancelMaintenance,
    DeleteStore,
    DetachHost,
    MaintainStore,
)
from holdfast_conformance.model.role_model import Branch, Expectation, ModelState, only
from holdfast_conformance.plan import Adopt, Reopen, Step, UseDriver

M = TypeVar("M", bound=ModelState)

_CHANGING = (Adopt, AttachHost, DetachHost, MaintainStore, CancelMaintenance, DeleteStore)

EXPECTED = "expected: a driver of the store that it expects is opened"
ANOTHER = "expected: a call through a driver that expects another store"
"""The situations of both roles."""


def is_another(state: ModelState) -> bool:
    """Whether the driver in use expects another store than what is there, if anything is."""
    mine = state.expected.get(state.using)
    return mine is not None and mine != state.store.identity


def expect_another(state: M, *told_first: ErrorKind) -> Expectation[M]:
    """What may come of a call where another store is; ``told_first`` needs no look at the place."""
    kinds = dict.fromkeys((ErrorKind.PRECONDITION, *told_first))
    return Expectation(frozenset({ANOTHER}), only(state, *kinds))


def through_expecting(state: M, step: Step, inner: Expectation[M]) -> Expectation[M]:
    """What may come of a step of a store's life, made through the driver in use.

    Who makes a store, or asks what is there, takes what there is; and where no store is, an
    ending may find that there is nothing to do.
    """
    if not is_another(state):
        return inner
    if state.store.exists and isinstance(step, _CHANGING):
        return expect_another(state)
    refused = only(state, ErrorKind.PRECONDITION)
    return Expectation(frozenset(), (*inner.branches, *refused))


def health_of_another(state: M, inner: Expectation[M]) -> Expectation[M]:
    """What may come of a question after the health, where no driver may even open."""
    if not is_another(state):
        return inner
    refused = only(state, ErrorKind.PRECONDITION)
    return Expectation(inner.situations, (*inner.branches, *refused))


def expect_switch(state: M, step: Reopen | UseDriver, situation: str) -> Expectation[M]:
    """Another driver is used from now on, or opened anew, and told what to expect."""
    if isinstance(step, UseDriver):
        used = msgspec.structs.replace(state, using=step.number)
        if is_another(used):
            # It is opened when it is first needed, or was: then nothing is asked of the place.
            return Expectation(
                frozenset({situation}), (Branch(None, used), Branch(ErrorKind.PRECONDITION, used))
            )
        return Expectation(frozenset({situation}), (Branch(None, used),))
    rest = {number: told for number, told in state.expected.items() if number != state.using}
    told = {state.using: step.identity} if step.identity else {}
    opened = msgspec.structs.replace(state, expected=rest | told)
    if is_another(opened) and not state.down:
        return Expectation(frozenset({ANOTHER}), (Branch(ErrorKind.PRECONDITION, opened),))
    if step.identity and state.down:
        away = (ErrorKind.UNAVAILABLE, ErrorKind.UNKNOWN, ErrorKind.PRECONDITION)
        return Expectation(frozenset(), (Branch(None, opened), *only(opened, *away)))
    situations = frozenset({EXPECTED if step.identity else situation})
    return Expectation(situations, (Branch(None, opened),))
