"""Which store a place is: what keeps another store's folder, bucket or export from being taken for
the one that the catalogue means.

The framework makes a store's identity, ``initialize`` writes it into the place, and whoever opens
the place compares. A store from before there were identities is known by its driver's own id until
it is given one (``holdfast store adopt``).
"""

from typing import Final

import msgspec

from holdfast.contract.answers import StoreInfo
from holdfast.contract.errors import Conflict, NotFound, Precondition

_ANOTHER: Final = "another store"
_NO_STORE: Final = "no store"


def identity_of(info: StoreInfo) -> str:
    """What a place says it is: its identity, or the driver's id where it was never given one."""
    return info.identity or info.id


class ExpectedStore(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The store that a place must be: it says one of ``identities``; with none it may be any.

    A store from before answers with its driver's id, and once it is adopted with its identity, so
    both are its own. ``name`` is what people call it, for the message.
    """

    identities: tuple[str, ...] = ()
    name: str = ""

    def check(self, found: StoreInfo) -> None:
        """Refuse a place that is another store.

        Raises:
            Precondition: it is; nothing was done.
        """
        there = identity_of(found)
        if not self.identities or there in self.identities:
            return
        raise Precondition(
            f"this is store {_called(found.name, there)}, "
            f"{self._called} was expected; put the right place there (is another one mounted or "
            "configured?) and repeat. Nothing was done",
            state=_ANOTHER,
        )

    def missing(self, problem: NotFound) -> NotFound | Precondition:
        """The error for a place that is no store at all: the driver's own, where none is expected.

        To who asks for an object, ``NotFound`` would say that the store was asked and has it not.
        """
        if not self.identities:
            return problem
        # The driver's advice, to initialize the place, is for those who want a new store.
        there = problem.cause.partition(";")[0]
        return Precondition(
            f"there is no store here ({there}), {self._called} was expected; put its place "
            "there (is it mounted?) and repeat. Nothing was done",
            state=_NO_STORE,
        )

    @property
    def _called(self) -> str:
        return _called(self.name, self.identities[0])


ANY_STORE = ExpectedStore()
"""Whatever is there: for who makes stores, and for the suite."""


class Opened:
    """What is opened of one store: a driver, or its life cycle."""

    _expected: ExpectedStore = ANY_STORE

    @property
    def expected(self) -> ExpectedStore:
        """The store that the place must be; its ``check`` is given what the place says."""
        return self._expected

    def expect(self, store: ExpectedStore) -> None:
        """Told once, by whoever opened it: the store that the place must be.

        Behaviour:
        - from now on a driver takes no other store, or none at all, for the one that is meant:
          ``Precondition``, also where the place changed after the opening; nothing is done there.
        """
        self._expected = store


def check_initialized(found: StoreInfo, *, name: str, identity: str) -> None:
    """Refuse to initialize a place that is a store already, unless it is the very same.

    Raises:
        Conflict: it has another name, or another identity; nothing was done.
    """
    if found.name != name:
        raise Conflict(f"the place is store {found.name!r} already", object=name)
    if found.identity == identity:
        return
    if not found.identity:
        advice = "it has no identity yet: give it one with holdfast store adopt where it is known"
    else:
        advice = "another catalogue has it: remove it there first, or choose another place"
    raise Conflict(
        f"the place is another store named {name!r} already ({identity_of(found)}); {advice}",
        object=name,
    )


def check_adoptable(found: StoreInfo, *, driver_id: str, identity: str) -> None:
    """Refuse to give an identity to a place that is another store than the catalogue's.

    Raises:
        Precondition: it is another store, or it has another identity already; nothing was done.
    """
    if found.id == driver_id and found.identity in ("", identity):
        return
    expected = identity if found.identity else driver_id
    raise Precondition(
        f"this is store {_called(found.name, identity_of(found))}, {expected} was expected; "
        "nothing was done",
        state=_ANOTHER,
    )


def _called(name: str, identity: str) -> str:
    return f"{name} ({identity})" if name else identity
