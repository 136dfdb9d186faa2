"""A store's secrets: in no row, plan, journal or log, kept while the store is, and looked up."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from holdfast.capabilities import AccessMode
from holdfast.catalogue.port import Transaction
from holdfast.catalogue.sqlite import open_catalogue
from holdfast.engine import OperationFailed
from holdfast.errors import ExitCode
from holdfast.journal import Verdict, Workflow
from holdfast.model.rows import Scope, Store
from holdfast.orchestrator import Orchestrator, open_orchestrator
from holdfast.requests import Role, ScopeKind
from holdfast.testbed import TestbedKind
from holdfast.workflows import (
    add_store,
    attach_volume,
    create_volume,
    delete_volume,
    detach_volume,
    remove_store,
)
from holdfast_drivers.memory import MemoryProvider
from holdfast_drivers.memory.config import MemoryConfig
from zones import HOST


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


@asynccontextmanager
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with MemoryProvider().testbeds()[TestbedKind.EMBEDDED]("secrets") as testbed:
        config = testbed.config(Role.PRIMARY, "primary")
        assert isinstance(config, MemoryConfig)
        assert config.token
        yield Place(tmp_path / "zone.sqlite", config, zone_rows)


def zone_rows(tx: Transaction) -> None:
    """The rows that stores and grants refer to."""
    from holdfast.model.rows import Cluster, Host, Pod, Zone  # noqa: PLC0415 - used here only

    if tx.find(Zone, "zone-1") is None:
        tx.insert(Zone(id="zone-1", name="zone-1"))
        tx.insert(Pod(id="pod-1", zone="zone-1", name="pod-1"))
        tx.insert(Cluster(id="cluster-1", pod="pod-1", name="cluster-1"))
        tx.insert(Host(id=HOST, cluster="cluster-1", name=HOST))


def test_a_literal_secret_lies_beside_the_catalogue_alone_and_goes_with_the_store(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with place(tmp_path) as here:
            async with here.process() as orchestrator:
                store = (await orchestrator.run(here.adding())).expect().subject
                here.assert_apart(here.config.token)
            secrets = tmp_path / "zone.sqlite.secrets"
            assert here.config.token.encode() in secrets.read_bytes()
            here.assert_apart(here.config.token)
            async with here.process() as orchestrator:
                made = create_volume(name="disk", store=store, size_bytes=1 << 20)
                volume = (await orchestrator.run(made)).expect().subject
                (await orchestrator.run(delete_volume(volume))).expect()
                (await orchestrator.run(remove_store(store))).expect()
            assert not secrets.exists()

    asyncio.run(story())


def test_a_secret_by_reference_is_looked_up_at_each_opening(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with place(tmp_path) as here:
            monkeypatch.setenv("HOLDFAST_TEST_TOKEN", here.config.token)
            referring = msgspec.structs.replace(here.config, token="env:HOLDFAST_TEST_TOKEN")
            async with here.process() as orchestrator:
                store = (await orchestrator.run(here.adding(referring))).expect().subject
            assert not any(here.config.token.encode() in data for data in here.files().values())
            monkeypatch.delenv("HOLDFAST_TEST_TOKEN")
            async with here.process() as orchestrator:
                made = create_volume(name="disk", store=store, size_bytes=1 << 20)
                outcome = await orchestrator.run(made)
                assert outcome.verdict is Verdict.FAILED_CLEAN
                with pytest.raises(OperationFailed, match=r"store primary: .*token") as problem:
                    outcome.expect()
                assert problem.value.exit_code is ExitCode.UNAVAILABLE

    asyncio.run(story())


def test_what_a_killed_addition_kept_goes_when_the_catalogue_is_opened_again(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with place(tmp_path) as here:
            async with here.process() as orchestrator:
                await orchestrator.catalogue.secrets.keep({"store-unborn/token": "left"})
            assert b"left" in (tmp_path / "zone.sqlite.secrets").read_bytes()
            async with here.process():
                pass
            assert not (tmp_path / "zone.sqlite.secrets").exists()

    asyncio.run(story())


def test_secrets_in_rows_from_before_are_taken_out(tmp_path: Path) -> None:
    async def story() -> None:
        async with place(tmp_path) as here:
            async with here.process() as orchestrator:
                store = (await orchestrator.run(here.adding())).expect().subject
                document = msgspec.Raw(msgspec.json.encode(here.config))

                def as_before(tx: Transaction) -> None:
                    row = tx.get(Store, store)
                    tx.update(msgspec.structs.replace(row, config=document))

                await orchestrator.catalogue.transact(as_before)
                await orchestrator.catalogue.secrets.remove([store])
            async with here.process() as orchestrator:
                row = await orchestrator.catalogue.transact(lambda tx: tx.get(Store, store))
                assert here.config.token not in bytes(row.config).decode()
                made = create_volume(name="disk", store=store, size_bytes=1 << 20)
                (await orchestrator.run(made)).expect()

    asyncio.run(story())


def test_a_host_presents_the_same_credential_of_its_own_at_each_grant(tmp_path: Path) -> None:
    async def story() -> None:
        async with place(tmp_path) as here, here.process() as orchestrator:
            store = (await orchestrator.run(here.adding())).expect().subject
            first = await orchestrator.stores.credential(store, HOST)
            other = await orchestrator.stores.credential(store, "host-other")
            made = create_volume(name="disk", store=store, size_bytes=1 << 20)
            volume = (await orchestrator.run(made)).expect().subject
            attach = attach_volume(volume, host=HOST, mode=AccessMode.EXCLUSIVE)
            (await orchestrator.run(attach)).expect()
            (await orchestrator.run(detach_volume(volume, host=HOST))).expect()

            assert len({first, other, here.config.token}) == 3
            assert await orchestrator.stores.credential(store, HOST) == first
            here.assert_apart(first)

    asyncio.run(story())


def arguments() -> list[bytes]:
    """What the list of processes shows of this one and its children."""
    own = os.getpid()
    children = Path(f"/proc/{own}/task/{own}/children").read_text().split()
    return [Path(f"/proc/{process}/cmdline").read_bytes() for process in (str(own), *children)]


def test_no_process_shows_a_secret_in_its_arguments(tmp_path: Path) -> None:
    async def story() -> None:
        async with place(tmp_path) as here, here.process() as orchestrator:
            (await orchestrator.run(here.adding())).expect()
            assert not any(here.config.token.encode() in shown for shown in arguments())

    asyncio.run(story())
