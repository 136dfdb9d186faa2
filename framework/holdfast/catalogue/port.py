"""The catalogue's interface: rows, one transaction function, and rules that hold for every
implementation.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Final, TypeVar
from weakref import WeakKeyDictionary

import msgspec

from holdfast.contract.errors import ConfigurationError, EnvironmentUnavailable, HoldfastError
from holdfast.credentials.secret_keeper import MemoryKeeper, SecretKeeper
from holdfast.model.rows import Operation, Row, Step
from holdfast.model.state_tables import Event

RowT = TypeVar("RowT", bound=Row)
T = TypeVar("T")


class NotInCatalogue(HoldfastError):
    """No row has this id."""


class AlreadyInCatalogue(HoldfastError):
    """A row with this id exists."""


class StaleVersion(HoldfastError):
    """The row was changed since it was read; read it again and decide again."""


class StateWithoutEvent(HoldfastError):
    """A row's state was to be written without an event of its machine."""


class CatalogueHeld(ConfigurationError):
    """Another process owns the catalogue; the message names its process id."""


class CatalogueReplaced(EnvironmentUnavailable):
    """The file of an open catalogue does not bear its name any more; nothing more is written."""


class CatalogueDamaged(ConfigurationError):
    """The catalogue, or what belongs to it, is not what was written; nothing was changed."""


class RowDamaged(HoldfastError):
    """One row, whose id is ``row_id``, is not what was written; all others can be used."""

    def __init__(self, message: str, row_id: str) -> None:
        super().__init__(message)
        self.row_id = row_id


class Transaction(ABC):
    """What a transaction function may do. Reads see the function's own writes."""

    @abstractmethod
    def find(self, kind: type[RowT], row_id: str) -> RowT | None:
        """The row of this id, or ``None``; ``RowDamaged`` when it is not what was written."""

    def get(self, kind: type[RowT], row_id: str) -> RowT:
        """The row of this id, or ``NotInCatalogue``."""
        found = self.find(kind, row_id)
        if found is None:
            raise NotInCatalogue(f"the catalogue has no {kind.__name__} {row_id}")
        return found

    @abstractmethod
    def select(self, kind: type[RowT], /, **equals: str | int) -> list[RowT]:
        """The rows whose columns equal these values, ordered by id. Only ``kind.columns`` may be
        named.

        ``RowDamaged`` when one of them is not what was written.
        """

    @abstractmethod
    def page(
        self, kind: type[RowT], /, *, after: str = "", limit: int, **equals: str | int
    ) -> list[RowT]:
        """As ``intact``, but only those whose id comes after ``after``, at most ``limit`` of them.

        Ids are compared as UTF-8 bytes. An empty page is the end; a shorter one need not be.
        """

    @abstractmethod
    def intact(self, kind: type[RowT], /, **equals: str | int) -> list[RowT]:
        """As ``select``, without the rows that are damaged."""

    @abstractmethod
    def damaged(self, kind: type[Row], /, **equals: str | int) -> list[RowDamaged]:
        """What ``intact`` leaves out."""

    @abstractmethod
    def insert(self, row: RowT) -> RowT:
        """Add a row in its machine's initial state; the stored row, with version 1, is returned."""

    @abstractmethod
    def update(self, row: RowT) -> RowT:
        """Replace a row.

        ``StaleVersion`` when ``row.version`` is not the stored one, ``StateWithoutEvent`` when the
        state differs from the stored one. The stored row, with the next version, is returned.
        """

    @abstractmethod
    def fire(self, row: RowT, event: Event, **changes: Any) -> RowT:
        """Move a row by an event of its machine, changing these fields with it.

        ``UndefinedTransition`` when its machine has no answer, ``StaleVersion`` as for ``update``.
        """

    @abstractmethod
    def discard(self, kind: type[Row], row_id: str) -> None:
        """Give up a row that is damaged, so that one of its id can be inserted.

        ``UsageError`` for one that is not: only what cannot be read goes without its version.
        """

    @abstractmethod
    def remove(self, row: Row) -> None:
        """Drop a row that has no machine, or is in a terminal state of it.

        ``StateWithoutEvent`` for any other, ``StaleVersion`` as for ``update``.
        """


class Damage(msgspec.Struct, frozen=True, kw_only=True):
    """One thing in a catalogue that is not what was written.

    ``what`` is the kind of row, or the part of the file; ``key`` the row's id, or the file.
    """

    what: str
    key: str
    detail: str


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """How long operations stay in a catalogue after they ended.

    Those that ended within so many ``days`` stay, and ``at_least`` so many in all.
    """

    days: float = 30.0
    at_least: int = 1000


class Archived(msgspec.Struct, frozen=True, kw_only=True):
    """An operation in the archive, with its steps; its ``number`` grows in the order they went."""

    number: int
    operation: Operation
    steps: tuple[Step, ...]


_IN_MEMORY: Final = WeakKeyDictionary["Catalogue", SecretKeeper]()
"""One for each catalogue: each forgets whatever is of no store of its own."""


class Catalogue(ABC):
    """Durable rows behind one call, for whoever has it open."""

    @abstractmethod
    async def transact(self, function: Callable[[Transaction], T]) -> T:
        """Run ``function`` in one atomic, durable commit and return what it returned.

        The function is synchronous and pure but for the transaction, and may be run again. What it
        raises is raised here, and nothing it wrote is kept. After the answer the commit is durable.
        """

    @property
    def secrets(self) -> SecretKeeper:
        """Where the secrets of its stores are kept, apart from the rows.

        Those of a catalogue in memory are gone with the process.
        """
        return _IN_MEMORY.setdefault(self, MemoryKeeper())

    async def check(self) -> tuple[Damage, ...]:
        """Read all of the catalogue, and name everything in it that is not what was written.

        Others are served meanwhile. One in memory has nothing to check.
        """
        return ()

    async def owe_erasure(self) -> bool:
        """Remember durably that what rows hold now is to be erased, once it is out of them.

        Said before the rows are changed, so that a crash after that forgets nothing. A catalogue in
        memory owes nothing.
        """
        return False

    async def erase(self) -> bool:
        """Where that is owed, leave no byte of what rows held before; whether it was. Others wait.

        Raises:
            EnvironmentUnavailable: there is no room for it; it is owed still.
        """
        return False

    async def archive(
        self, retention: Retention | None = None, *, at_most: int | None = None
    ) -> int:
        """Move operations that ended long ago to the archive, with their steps and the rows that
        ended with them; how many operations went.

        An operation that left something behind, which still holds capacity, stays.
        """
        del retention, at_most
        return 0

    async def archived(self, *, after: int = 0, limit: int = 500) -> list[Archived]:
        """The next operations of the archive, with a ``number`` past ``after``."""
        del after, limit
        return []
