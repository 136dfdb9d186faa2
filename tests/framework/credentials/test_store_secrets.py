"""A store's secrets: in no row, plan, journal or log, kept while the store is, and looked up."""

import asyncio
import os
from pathlib import Path

import msgspec
import pytest

from holdfast.catalogue.port import Transaction
from holdfast.contract.capabilities import AccessMode
from holdfast.contract.errors import ConfigurationError, ExitCode
from holdfast.contract.requests import Role, ScopeKind
from holdfast.model.rows import Scope, Store
from holdfast.operations.operation_outcome import OperationFailed, Verdict
from holdfast.stores.open_store import parse_config
from holdfast.stores.plugins import load_provider
from holdfast.stores.store_secrets import refuse_passwords
from holdfast.workflows import (
    add_store,
    attach_volume,
    create_volume,
    detach_volume,
    remove_store,
)
from secret_places import TOKEN_VARIABLE, place, use
from zones import HOST


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
                await use(orchestrator, store)
                (await orchestrator.run(remove_store(store))).expect()
            assert not secrets.exists()

    asyncio.run(story())


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("endpoint", "http://user:canary@127.0.0.1:1"),
        ("endpoint", "https://canary@127.0.0.1:1/path"),
        ("ca_file", "ftp://user:canary@host"),
        ("endpoint", "HTTPS://canary@127.0.0.1:1"),
        ("endpoint", " http://user:canary@127.0.0.1:1"),
    ],
)
def test_an_address_with_a_password_is_refused_before_anything_is_written(
    setting: str, value: str
) -> None:
    settings = {"endpoint": "http://127.0.0.1:1", "bucket": "b", "namespace": "n"}
    config = parse_config(
        load_provider("s3"), settings | {"access_key": "a", "secret_key": "s", setting: value}
    )
    scope = Scope(ScopeKind.ZONE, "zone-1")
    with pytest.raises(ConfigurationError, match=f"setting {setting} .* secret_key") as problem:
        add_store(name="s", role=Role.IMAGE, provider="s3", config=config, scope=scope)
    assert "canary" not in str(problem.value)


@pytest.mark.parametrize("value", [["x", "ftp://u:canary@h"], {"host-1": "http://canary@h"}])
def test_a_password_in_one_of_several_addresses_is_refused(value: object) -> None:
    config = msgspec.Raw(msgspec.json.encode({"hosts": value}))
    with pytest.raises(ConfigurationError, match=r"setting hosts .* secret_key") as problem:
        refuse_passwords(config, "s3")
    assert "canary" not in str(problem.value)


def test_a_secret_by_reference_is_looked_up_at_each_opening(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with place(tmp_path) as here:
            store = await here.added(here.referring(monkeypatch))
            assert not any(here.config.token.encode() in data for data in here.files().values())
            monkeypatch.delenv(TOKEN_VARIABLE)
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
