"""Secrets where things happen at once, are cut off, are forged, or where their file is damaged."""

import asyncio
import threading
from pathlib import Path

import msgspec
import pytest

from holdfast.assembly import open_orchestrator
from holdfast.catalogue.memory import MemoryCatalogue
from holdfast.catalogue.port import Transaction
from holdfast.contract.errors import ConfigurationError, HoldfastError
from holdfast.credentials.secret_file import FileKeeper
from holdfast.files import mutations
from holdfast.files.mutations import MutationKind
from holdfast.model.rows import Store
from holdfast.model.state_tables import StoreState
from holdfast.operations.operation_outcome import Verdict
from holdfast.workflows import remove_store
from secret_places import place, use
from zones import HOST


def test_a_host_has_one_credential_also_where_it_is_first_used_twice_at_once(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with place(tmp_path) as here, here.process() as orchestrator:
            store = (await orchestrator.run(here.adding())).expect().subject
            made = await asyncio.gather(
                *(orchestrator.stores.credential(store, HOST) for _ in range(4))
            )
            assert {*made} == {await orchestrator.stores.credential(store, HOST)}

    asyncio.run(story())


def test_a_reference_to_what_is_kept_of_another_store_is_refused(tmp_path: Path) -> None:
    async def story() -> None:
        async with place(tmp_path) as here, here.process() as orchestrator:
            store = (await orchestrator.run(here.adding())).expect().subject
            forged = msgspec.structs.replace(here.config, token=f"kept:{store}/token")
            with pytest.raises(ConfigurationError, match="token"):
                here.adding(forged)

            def forge(tx: Transaction) -> None:
                row = tx.get(Store, store)
                config = msgspec.Raw(bytes(row.config).replace(store.encode(), b"store-other"))
                tx.update(msgspec.structs.replace(row, config=config))

            await orchestrator.catalogue.secrets.keep({"store-other/token": here.config.token})
            await orchestrator.catalogue.transact(forge)
            await orchestrator.stores.forget(store)
            with pytest.raises(HoldfastError, match="another store"):
                await orchestrator.stores.primary(store)

    asyncio.run(story())


def test_a_catalogue_in_memory_forgets_no_secret_of_another() -> None:
    async def story() -> str | None:
        async with MemoryCatalogue().opened() as one, open_orchestrator(one) as first:
            name = "store-of-the-first/token"
            await first.catalogue.secrets.keep({name: "kept"})
            async with MemoryCatalogue().opened() as other, open_orchestrator(other):
                return await first.catalogue.secrets.find(name)

    assert asyncio.run(story()) == "kept"


def test_a_damaged_file_of_secrets_stops_no_store_that_needs_nothing_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with place(tmp_path) as here:
            store = await here.added(here.referring(monkeypatch))
            secrets = tmp_path / "zone.sqlite.secrets"
            secrets.write_text('{"store-')
            async with here.process() as orchestrator:
                await use(orchestrator, store)
                assert await orchestrator.recover() == ()
            assert secrets.read_text() == '{"store-'

    asyncio.run(story())


def test_an_operation_is_told_as_it_ended_also_where_its_secrets_cannot_be_removed(
    tmp_path: Path,
) -> None:
    class Full:
        def before(self, mutation: mutations.Mutation) -> None:
            if mutation.path.endswith(".secrets"):
                raise OSError(28, "No space left on device", mutation.path)

        def after(self, mutation: mutations.Mutation) -> None: ...

    async def story() -> None:
        async with place(tmp_path) as here:
            async with here.process() as orchestrator:
                store = (await orchestrator.run(here.adding())).expect().subject
                with mutations.observe(Full()):
                    outcome = await orchestrator.run(remove_store(store))
                assert outcome.verdict is Verdict.SUCCEEDED
            async with here.process():
                pass
            assert not (tmp_path / "zone.sqlite.secrets").exists()

    asyncio.run(story())


def test_a_change_that_is_cut_off_ends_before_the_next_begins(tmp_path: Path) -> None:
    written, go_on = threading.Event(), threading.Event()

    class Slow:
        def before(self, mutation: mutations.Mutation) -> None:
            if mutation.kind is MutationKind.RENAME and not written.is_set():
                written.set()
                go_on.wait()

        def after(self, mutation: mutations.Mutation) -> None: ...

    async def story() -> None:
        keeper = FileKeeper(tmp_path / "secrets")
        with mutations.observe(Slow()):
            first = asyncio.create_task(keeper.keep({"store-1/key": "first"}))
            await asyncio.to_thread(written.wait)
            first.cancel()
            second = asyncio.create_task(keeper.keep({"store-2/key": "second"}))
            for _ in range(10):
                await asyncio.sleep(0)
            go_on.set()
            await asyncio.wait([first, second])
        assert first.cancelled()
        second.result()
        assert await keeper.find("store-1/key") == "first"
        assert await FileKeeper(tmp_path / "secrets").stores() == {"store-1", "store-2"}

    asyncio.run(story())


def test_the_row_of_a_store_that_was_removed_before_loses_its_secret_too(tmp_path: Path) -> None:
    async def story() -> None:
        async with place(tmp_path) as here:
            async with here.process() as orchestrator:
                store = (await orchestrator.run(here.adding())).expect().subject
                (await orchestrator.run(remove_store(store))).expect()
                document = msgspec.Raw(msgspec.json.encode(here.config))

                def as_before(tx: Transaction) -> None:
                    row = tx.get(Store, store)
                    assert row.state is StoreState.REMOVED
                    tx.update(msgspec.structs.replace(row, config=document))

                await orchestrator.catalogue.transact(as_before)
            async with here.process():
                pass
            assert [
                n for n, data in here.files().items() if here.config.token.encode() in data
            ] == []

    asyncio.run(story())


def test_secrets_that_would_make_their_file_unreadable_are_refused(tmp_path: Path) -> None:
    async def story() -> None:
        keeper = FileKeeper(tmp_path / "secrets")
        await keeper.keep({"store-1/key": "small"})
        with pytest.raises(HoldfastError, match="too many"):
            await keeper.keep({"store-2/key": "x" * (16 << 20)})
        assert await FileKeeper(tmp_path / "secrets").find("store-1/key") == "small"

    asyncio.run(story())
