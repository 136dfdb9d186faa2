"""A catalogue in a file whose one store has a secret, for tests of where that secret lies."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from holdfast.assembly import open_orchestrator
from holdfast.catalogue.port import Transaction
from holdfast.catalogue.sqlite import open_catalogue
from holdfast.contract.requests import Role, ScopeKind
from holdfast.contract.testbed import TestbedKind
from holdfast.model.rows import Cluster, Host, Pod, Scope, Zone
from holdfast.operations.orchestrator import Orchestrator
from holdfast.operations.workflow import Workflow
from holdfast.workflows import add_store, create_volume, delete_volume
from holdfast_drivers.memory import MemoryProvider
from holdfast_drivers.memory.config import MemoryConfig
from zones import HOST

TOKEN_VARIABLE = "HOLDFAST_TEST_TOKEN"


class Place:
    """A catalogue in a file, and a backend with a token."""

    def __init__(self, path: Path, config: MemoryConfig, prepare: Callable[..., object]) -> None:
        self.path = path
        self.config = config
        self.prepare = prepare

    @asynccontextmanager
    async def process(self) -> AsyncIterator[Orchestrator]:
        """A new process on this catalogue."""
        async with open_catalogue(self.path) as catalogue:
            await catalogue.transact(self.prepare)
            async with open_orchestrator(catalogue) as orchestrator:
                yield orchestrator

    def adding(self, config: MemoryConfig | None = None) -> Workflow:
        return add_store(
            name="primary",
            role=Role.PRIMARY,
            provider="memory",
            config=config or self.config,
            scope=Scope(ScopeKind.ZONE, "zone-1"),
            hosts=(HOST,),
        )

    def files(self) -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in self.path.parent.iterdir()}

    def assert_apart(self, secret: str) -> None:
        """Nothing but the file of secrets holds the secret."""
        holding = [name for name, data in self.files().items() if secret.encode() in data]
        assert holding in ([], [f"{self.path.name}.secrets"])

    async def added(self, config: MemoryConfig | None = None) -> str:
        """Add the store in a process of its own; the store's id."""
        async with self.process() as orchestrator:
            return (await orchestrator.run(self.adding(config))).expect().subject

    def referring(self, monkeypatch: pytest.MonkeyPatch) -> MemoryConfig:
        """The same backend, whose token is a variable of the environment now."""
        monkeypatch.setenv(TOKEN_VARIABLE, self.config.token)
        return msgspec.structs.replace(self.config, token=f"env:{TOKEN_VARIABLE}")


async def use(orchestrator: Orchestrator, store: str) -> None:
    """Create a volume in a store and delete it again, for which its secret is needed."""
    made = create_volume(name="disk", store=store, size_bytes=1 << 20)
    volume = (await orchestrator.run(made)).expect().subject
    (await orchestrator.run(delete_volume(volume))).expect()


@asynccontextmanager
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with MemoryProvider().testbeds()[TestbedKind.EMBEDDED]("secrets") as testbed:
        config = testbed.config(Role.PRIMARY, "primary")
        assert isinstance(config, MemoryConfig)
        assert config.token
        yield Place(tmp_path / "zone.sqlite", config, zone_rows)


def zone_rows(tx: Transaction) -> None:
    """The rows that stores and grants refer to."""
    if tx.find(Zone, "zone-1") is None:
        tx.insert(Zone(id="zone-1", name="zone-1"))
        tx.insert(Pod(id="pod-1", zone="zone-1", name="pod-1"))
        tx.insert(Cluster(id="cluster-1", pod="pod-1", name="cluster-1"))
        tx.insert(Host(id=HOST, cluster="cluster-1", name=HOST))
