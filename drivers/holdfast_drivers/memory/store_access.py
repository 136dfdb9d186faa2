"""What drivers of both roles share: the store in a namespace, and whether it can be reached."""

from collections.abc import AsyncIterator, Iterator
from typing import ClassVar

from holdfast.contract import answers, requests
from holdfast.contract.errors import NotFound, Precondition
from holdfast.contract.identity import ExpectedStore
from holdfast.contract.ports import Driver
from holdfast.contract.requests import CallContext, Role
from holdfast_drivers.memory.backend import Backend, Store
from holdfast_drivers.memory.enumeration import owned_things
from holdfast_drivers.refusals import refuse_in_maintenance


class StoreAccess(Driver):
    """A driver bound to one namespace of a backend; it holds nothing else."""

    role: ClassVar[Role]

    def __init__(self, backend: Backend, namespace: str) -> None:
        self.backend = backend
        self.namespace = namespace

    def store(self) -> Store:
        """The driver's store; ``Unavailable`` when down, ``NotFound`` before ``initialize``."""
        self.backend.reach()
        return store_in(self.backend, (self.role, self.namespace), self.expected)

    def owned(self) -> Iterator[answers.OwnedThing]:
        """Everything the namespace owns: nothing before there is a store."""
        self.backend.reach()
        known = (self.role, self.namespace) in self.backend.stores or self.expected.identities
        return owned_things(self.store() if known else None)

    def allocating_store(self) -> Store:
        """The driver's store for a new allocation; ``Precondition`` in maintenance."""
        store = self.store()
        refuse_in_maintenance(store)
        return store

    def row_key(self, key: str) -> str:
        """The name of a key's row in the backend: the key itself."""
        return key

    async def health(self, ctx: CallContext, request: requests.CheckHealth) -> answers.HealthInfo:
        return health_of(self.backend, (self.role, self.namespace), self.expected)

    async def enumerate(
        self, ctx: CallContext, request: requests.EnumerateOwned
    ) -> AsyncIterator[answers.OwnedThing]:
        for thing in self.owned():
            yield thing


def store_in(backend: Backend, place: tuple[Role, str], expected: ExpectedStore) -> Store:
    """The store in a place; ``NotFound`` where there is none, ``Precondition`` for another."""
    store = backend.stores.get(place)
    if store is None:
        raise expected.missing(NotFound("the store is not initialized; initialize it first"))
    expected.check(store.info())
    return store


def health_of(
    backend: Backend, place: tuple[Role, str], expected: ExpectedStore
) -> answers.HealthInfo:
    """Whether the backend answers, and the place is not another store than the one expected."""
    if backend.down:
        return answers.HealthInfo(
            state=answers.HealthState.DOWN,
            dependency=f"memory space {backend.name}",
            detail="the backend does not answer",
        )
    try:
        store_in(backend, place, expected)
    except NotFound:
        pass  # the backend answers also before there is a store
    except Precondition as error:
        return answers.HealthInfo(
            state=answers.HealthState.DOWN, dependency=f"store {expected.name}", detail=error.cause
        )
    return answers.HealthInfo(state=answers.HealthState.UP)
