"""The port that a kind of step implements, and what the engine hands to it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import msgspec

from holdfast.concurrency.lanes import Lane
from holdfast.contract.answers import Absent, Partial, Undetermined
from holdfast.contract.ports import ImageDriver, LifeCycle, PrimaryDriver
from holdfast.contract.requests import CallContext
from holdfast.model.rows import Row
from holdfast.operations.step_journal import StepJournal

InputsT = TypeVar("InputsT", bound=msgspec.Struct)
ResultT = TypeVar("ResultT", bound=msgspec.Struct)


class Stores(Protocol):
    """The drivers of the stores in the catalogue, opened once and kept by the orchestrator."""

    async def primary(self, store: str) -> PrimaryDriver:
        """The guarded driver of a primary store, by the store's id."""
        ...

    async def image(self, store: str) -> ImageDriver:
        """The guarded driver of an image store, by the store's id."""
        ...

    async def life_cycle(self, store: str) -> LifeCycle:
        """The life cycle of a store, by the store's id."""
        ...

    async def credential(self, store: str, host: str) -> str:
        """The secret by which a host presents itself to a store; it is in no plan and no row."""
        ...

    def lane(self, store: str) -> Lane:
        """Where the blocking work of a store is done."""
        ...

    async def forget(self, store: str) -> None:
        """Close what is open of a store that is no more."""
        ...


class StepAtHand(msgspec.Struct, frozen=True, kw_only=True):
    """A step that is to be performed or taken back, with all that its kind may need for it."""

    operation: str
    index: int
    inputs: Any
    kind: "StepKind[Any, Any]"
    results: Sequence[Any]
    journal: StepJournal


class StepContext(msgspec.Struct, frozen=True, kw_only=True):
    """What one attempt at a step may use.

    ``call`` makes the context of one driver call; its deadline never passes that of the step.
    ``results`` are the answers of the steps before this one, by their number. ``journal`` is for
    kinds that say ``checkpoints``, and for those whose work is other operations.
    """

    stores: Stores
    call: Callable[[], CallContext]
    journal: StepJournal
    results: Sequence[Any] = ()


class Happened(msgspec.Struct, Generic[ResultT], frozen=True):
    """A probed step took full effect; this is its result."""

    result: ResultT


class RowChange(msgspec.Struct, frozen=True):
    """Fields of a row that a step's result decides; committed together with the result."""

    row: type[Row]
    id: str
    fields: dict[str, Any]


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """What a step will cost: bytes read or written through this host, and driver calls."""

    moved_bytes: int = 0
    calls: int = 1


class StepKind(ABC, Generic[InputsT, ResultT]):
    """One kind of step at one version; it has no state of its own.

    ``perform`` and ``compensate`` are idempotent: repeated after an uncertain outcome they
    converge.
    """

    kind: str
    version: int = 1
    inputs: type[InputsT]
    result: Any
    """The type that a journalled result is decoded as."""
    checkpoints: ClassVar[bool] = False
    """``perform`` leaves checkpoints, goes on from the last one there is, and may be stopped at
    each; ``probe`` says that it is ``Absent`` or ``Partial`` until all is done."""
    several_calls: ClassVar[bool] = False
    """A failure, even a final one, may leave a part behind, which ``compensate`` removes, once one
    of its calls that change something has answered."""

    @abstractmethod
    async def perform(self, step: StepContext, inputs: InputsT) -> ResultT:
        """Do it. A final ``DriverError`` promises that nothing was left, unless
        ``several_calls``.
        """

    @abstractmethod
    async def probe(
        self, step: StepContext, inputs: InputsT
    ) -> Happened[ResultT] | Absent | Partial | Undetermined:
        """What became of an attempt whose answer was lost."""

    async def conclude(self, step: StepContext, inputs: InputsT) -> None:
        """What must follow on this side once the step has happened, whoever found out that it did;
        repeated, it does no harm.
        """

    def undoes(self, inputs: InputsT) -> bool:
        """Whether there is something to compensate."""
        del inputs
        return False

    def lingers(self, inputs: InputsT) -> bool:
        """Whether an attempt that acts late would do harm, with nothing to take it back.

        Such a step is never given up after an uncertain error, even where a probe saw no effect:
        the rows stay Uncertain, so that nothing later is done to the object before recovery.
        """
        del inputs
        return False

    async def compensate(self, step: StepContext, inputs: InputsT) -> None:
        """Undo it, whether it happened, happened in part or did not happen."""

    def effects(self, inputs: InputsT, result: ResultT) -> tuple[RowChange, ...]:
        """The fields of rows that the result decides."""
        del inputs, result
        return ()

    @abstractmethod
    def describe(self, inputs: InputsT) -> str:
        """The step in a few words, naming its object and store."""

    def estimate(self, inputs: InputsT) -> Estimate:
        """What the step will cost."""
        del inputs
        return Estimate()


def is_happened(answer: object) -> bool:
    """Whether a probe said that the step took full effect."""
    return isinstance(answer, Happened)
