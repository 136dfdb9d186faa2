"""The testbed: one backend in this process, with neighbours that no driver may touch."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext

from holdfast.concurrency.runtime import RealRuntime, runtime
from holdfast.contract.errors import ErrorKind
from holdfast.contract.requests import Role
from holdfast.contract.testbed import (
    BackendIdentity,
    BadConfig,
    Fault,
    Inspector,
    Testbed,
    TestbedKind,
)
from holdfast.data import BLOCK_BYTES, register_extent_space
from holdfast_drivers.memory.backend import Backend, Store, Volume
from holdfast_drivers.memory.config import MemoryConfig
from holdfast_drivers.memory.content import Content
from holdfast_drivers.memory.inspector import MemoryInspector, Place
from holdfast_drivers.memory.web import serve_addresses

NEIGHBOUR = "neighbour"


class MemoryTestbed(Testbed):
    """A backend, the places it lent, and one store that belongs to somebody else."""

    kind = TestbedKind.EMBEDDED
    second_path = "the backend's own tables, read without the driver"
    faults = frozenset({Fault.DOWN})

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.identity = BackendIdentity(vendor="Holdfast", product="memory", version="1")
        self._lent: set[Place] = set()
        for role in Role:
            backend.stores[role, NEIGHBOUR] = _neighbour()

    def config(self, role: Role, namespace: str) -> MemoryConfig:
        self._lent.add((role, namespace))
        return MemoryConfig(space=self.backend.name, namespace=namespace, token=self.backend.token)

    def bad_configs(self, role: Role, namespace: str) -> tuple[BadConfig, ...]:
        token, space = self.backend.token, self.backend.name
        return (
            BadConfig(
                name="a wrong token",
                config=MemoryConfig(space=space, namespace=namespace, token=f"{token}-wrong"),
                expected=(ErrorKind.UNAUTHENTICATED,),
            ),
            BadConfig(
                name="no token",
                config=MemoryConfig(space=space, namespace=namespace),
                expected=(ErrorKind.UNAUTHENTICATED,),
            ),
            BadConfig(
                name="a namespace that is no place",
                config=MemoryConfig(space=space, namespace=f"../{namespace}", token=token),
                expected=(ErrorKind.INVALID,),
            ),
            BadConfig(
                name="a space that does not exist",
                config=MemoryConfig(space=f"{space}-missing", namespace=namespace, token=token),
                expected=(ErrorKind.INVALID,),
            ),
        )

    def inspector(self, role: Role, namespace: str) -> Inspector:
        return MemoryInspector(self.backend, (role, namespace), self._lent)

    @asynccontextmanager
    async def inject(self, fault: Fault) -> AsyncIterator[None]:
        """Take the backend down, and bring it up again."""
        if fault is not Fault.DOWN:
            raise ValueError(f"a memory space has no fault {fault}")
        self.backend.down = True
        try:
            yield
        finally:
            self.backend.down = False

    async def remove(self, role: Role, namespace: str) -> None:
        self.backend.stores.pop((role, namespace), None)


@asynccontextmanager
async def run_testbed(backend_type: type[Backend], run: str) -> AsyncIterator[MemoryTestbed]:
    """A testbed with a new backend, whose temporary addresses are served for as long.

    In virtual time there is no network to serve them in.
    """
    backend = start_backend(backend_type, run)
    real = isinstance(runtime(), RealRuntime)
    async with serve_addresses(backend) if real else nullcontext():
        yield MemoryTestbed(backend)


def _neighbour() -> Store:
    store = Store("store-neighbour", NEIGHBOUR)
    content = Content(BLOCK_BYTES)
    content.write(0, b"not yours")
    store.volumes["decoy"] = Volume("decoy", "vol-neighbour", content, None, "")
    return store


def start_backend(backend_type: type[Backend], run: str) -> Backend:
    """A new backend whose name carries the run id, usable for as long as it is held."""
    backend = backend_type(runtime().new_id(f"memory-{run}"), runtime().new_id("token"))
    register_extent_space(backend.name, backend)
    return backend
