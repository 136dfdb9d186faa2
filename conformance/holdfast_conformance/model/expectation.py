"""What the models of both roles share: states, expectations, and the interface that a judge uses.

A model is pure: ``expect`` maps a state and a step to the set of allowed outcomes, each with the
state after it. A state is an immutable value. An outcome of kind ``Unknown`` may have several
states after it; the next observation of the backend tells which of them is true.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

import msgspec

from holdfast.errors import ErrorKind
from holdfast.infos import StoreState
from holdfast.requests import Role
from holdfast_conformance.model.difference import Difference, Expected
from holdfast_conformance.plan import Plan, Step
from holdfast_conformance.trace import Observed, Reply


class StoreModel(msgspec.Struct, frozen=True):
    """A store's life cycle: ``name`` is empty before ``initialize`` and after ``delete_store``."""

    name: str = ""
    hosts: frozenset[str] = frozenset()
    maintenance: bool = False
    born: int = 0

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


class ModelState(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a state that both roles share. ``clock`` counts the steps taken."""

    store: StoreModel = StoreModel()
    down: bool = False
    clock: int = 0


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
