"""What the models of both roles share: states, expectations, and the interface that a judge uses.

A model is pure: ``expect`` maps a state and a step to the set of allowed outcomes, each with the
state after it. A state is an immutable value. An outcome of kind ``Unknown`` may have several
states after it; the next observation of the backend tells which of them is true.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import Generic, TypeVar

import msgspec

from holdfast.contract.answers import StoreState
from holdfast.contract.errors import ErrorKind
from holdfast.contract.requests import Request, Role
from holdfast_conformance.list_steps import PagedList
from holdfast_conformance.model.difference import Difference, Expected
from holdfast_conformance.plan import (
    Plan,
    Step,
)
from holdfast_conformance.trace import Observed, Reply


class StoreModel(msgspec.Struct, frozen=True):
    """A store's life cycle: ``name`` is empty before ``initialize`` and after ``delete_store``."""

    name: str = ""
    hosts: frozenset[str] = frozenset()
    maintenance: bool = False
    born: int = 0
    identity: str = ""
    """What ``initialize`` was told; empty where nobody cares."""

    @property
    def exists(self) -> bool:
        """Whether the place is a store now."""
        return bool(self.name)

    @property
    def state(self) -> StoreState:
        """The state that the backend must report."""
        return StoreState.MAINTENANCE if self.maintenance else StoreState.UP

    @property
    def detail(self) -> str:
        """The inspector's detail of this store: ``name|state|host,host``."""
        return f"{self.name}|{self.state.value}|{','.join(sorted(self.hosts, key=str.encode))}"


Slot = tuple[str, ...]
"""What a call changes: a kind of thing, and which one."""


class Fenced(msgspec.Struct, frozen=True):
    """The objects that calls changed, and all that any call named, in a plan that has fences.

    ``since`` has the same for what was done after each moment at which a call was given up.
    """

    changed: frozenset[Slot] = frozenset()
    named: frozenset[Slot] = frozenset()
    since: Mapping[str, "Fenced"] = {}


class TakenPage(msgspec.Struct, frozen=True):
    """A page whose token was kept: of which list, when it was taken, and what the list held."""

    of: PagedList
    taken: int
    names: frozenset[tuple[str, int]]


class ModelState(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a state that both roles share. ``clock`` counts the steps taken.

    ``shaken`` is true once the backend was down: a call may have left something unfinished.
    ``acted`` is the last call that changed a thing, for what a probe of it must say. ``fenced`` is
    ``None`` in a plan whose calls have no fences. ``expected`` is the identity that a driver was
    told to expect, by its number; ``using`` is the one in use.
    """

    store: StoreModel = StoreModel()
    down: bool = False
    shaken: bool = False
    clock: int = 0
    acted: Mapping[Slot, Request] = {}
    fenced: Fenced | None = None
    expected: Mapping[int, str] = {}
    using: int = 0
    pages: Mapping[str, TakenPage] = {}


S = TypeVar("S", bound=ModelState)
T = TypeVar("T")


class Branch(msgspec.Struct, Generic[T], frozen=True):
    """One allowed outcome, success where ``kind`` is ``None``, and the state after it."""

    kind: ErrorKind | None
    state: T


class Expectation(msgspec.Struct, Generic[T], frozen=True):
    """All that a driver may do in answer to one step.

    ``situations`` are the names of what makes the step interesting, by which properties recognise
    their moments. The first branch is the one that a plan counts on.
    """

    situations: frozenset[str]
    branches: tuple[Branch[T], ...]

    @property
    def kinds(self) -> frozenset[ErrorKind | None]:
        """The allowed outcomes; ``None`` is success."""
        return frozenset(branch.kind for branch in self.branches)

    @property
    def likely(self) -> T:
        """The state after the outcome that a plan counts on."""
        return self.branches[0].state


class Model(ABC, Generic[S]):
    """The model of one role, made for one set of capabilities."""

    role: Role

    @abstractmethod
    def initial(self, plan: Plan) -> S:
        """The state of a fresh namespace."""

    @abstractmethod
    def expect(self, state: S, step: Step) -> Expectation[S]:
        """Which outcomes are allowed for ``step`` in ``state``."""

    @abstractmethod
    def things(self, state: S, run: str) -> Iterable[Expected]:
        """Everything that must be in the backend, and nothing else may be."""

    @abstractmethod
    def reply_differences(
        self, before: S, after: S, step: Step, reply: Reply
    ) -> Iterator[Difference]:
        """What is wrong with the reply of a successful ``step``; ids are compared elsewhere."""

    def shows_what_lives(self, after: S, step: Step) -> bool:  # noqa: ARG002 - see there
        """Whether the reply of a successful step is about what is there now."""
        return True

    @abstractmethod
    def handle_differences(self, state: S, observed: Observed) -> Iterator[Difference]:
        """What is wrong with what the hosts read through their handles."""


def only(state: S, *kinds: ErrorKind) -> tuple[Branch[S], ...]:
    """Branches for a step that can only fail, with one of these errors, and change nothing."""
    return tuple(Branch(kind, state) for kind in kinds)


def down_branches(state: S, succeeded: S) -> tuple[Branch[S], ...]:
    """What may happen while the backend is down: not acted upon, or nobody knows."""
    unknown = (Branch(ErrorKind.UNKNOWN, state), Branch(ErrorKind.UNKNOWN, succeeded))
    same = unknown[:1] if succeeded == state else unknown
    return (Branch(ErrorKind.UNAVAILABLE, state), *same)
