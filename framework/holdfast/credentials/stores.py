"""A store's secrets: taken out of its configuration, put back when it is opened, made for hosts."""

from collections.abc import Collection
from functools import partial
from typing import Any

import msgspec

from holdfast.catalogue.port import Catalogue, Transaction
from holdfast.credentials.keeper import SecretKeeper, Withheld
from holdfast.credentials.references import (
    Reference,
    ReferenceKind,
    SecretMissing,
    reference_of,
    resolve,
)
from holdfast.errors import ConfigurationError
from holdfast.model.rows import Store
from holdfast.model.states import StoreState
from holdfast.plugins import load_provider
from holdfast.runtime import runtime


def split_config(store: str, config: msgspec.Raw, provider: str) -> tuple[msgspec.Raw, Withheld]:
    """A configuration in which every secret is a reference, and the secrets to be kept, by name."""
    settings = _settings(config)
    kept = Withheld()
    for field in _secret_fields(provider):
        value = settings.get(field)
        if isinstance(value, str) and value and reference_of(value) is None:
            name = f"{store}/{field}"
            kept[name] = value
            settings[field] = str(Reference(ReferenceKind.KEPT, name))
    return (_document(settings), kept) if kept else (config, kept)


async def with_secrets(store: Store, keeper: SecretKeeper) -> Store:
    """A store's row with the secrets themselves in it; for its driver alone, never to be stored.

    Raises:
        SecretMissing: names the store and the setting.
    """
    try:
        settings = _settings(store.config)
    except ConfigurationError as problem:
        raise ConfigurationError(f"store {store.name}: {problem}") from None
    for field in _secret_fields(store.provider):
        value = settings.get(field)
        reference = reference_of(value) if isinstance(value, str) else None
        if reference is None:
            continue
        try:
            settings[field] = await resolve(reference, keeper)
        except SecretMissing as problem:
            raise SecretMissing(
                f"store {store.name}: the secret of setting {field} cannot be had: {problem}"
            ) from None
    return msgspec.structs.replace(store, config=_document(settings))


async def keep_apart(catalogue: Catalogue) -> None:
    """Take the secrets out of the rows of stores from before they were kept apart.

    They are kept first and taken out after that, so that a crash between the two loses none. A row
    that is damaged is left to whoever opens its store.
    """
    stores = await catalogue.transact(lambda tx: tx.intact(Store))
    for row in stores:
        try:
            config, kept = split_config(row.id, row.config, row.provider)
        except ConfigurationError:
            continue
        if kept and row.state is not StoreState.REMOVED:
            await catalogue.secrets.keep(kept)
            changed = msgspec.structs.replace(row, config=config)
            await catalogue.transact(partial(_update, changed))


def _update(row: Store, tx: Transaction) -> None:
    tx.update(row)


async def forget_gone(catalogue: Catalogue, spared: Collection[str]) -> None:
    """Keep no secret of a store that is gone; ``spared`` are about to be made."""
    known = await catalogue.secrets.stores() - frozenset(spared)
    if not known:
        return

    def gone(tx: Transaction) -> list[str]:
        there = {row.id for row in tx.intact(Store) if row.state is not StoreState.REMOVED}
        # Of a row that is damaged nobody knows; what it refers to stays.
        return [] if tx.damaged(Store) else sorted(known - there)

    left = await catalogue.transact(gone)
    if left:
        await catalogue.secrets.remove(left)


async def host_credential(store: str, host: str, keeper: SecretKeeper) -> str:
    """The credential of a host at a store: made at its first use, and the same ever after.

    Drivers form their keys from it: 128 bits as letters and digits.
    """
    name = f"{store}/host/{host}"
    found = await keeper.find(name)
    if found is None:
        found = f"{runtime().random.getrandbits(128):032x}"
        await keeper.keep({name: found})
    return found


def _secret_fields(provider: str) -> tuple[str, ...]:
    """The settings of a provider that are secrets; who is not installed has none to look up."""
    try:
        return load_provider(provider).secret_fields
    except ConfigurationError:
        return ()


def _settings(config: msgspec.Raw) -> dict[str, Any]:
    try:
        return msgspec.json.decode(config, type=dict[str, Any])
    except msgspec.MsgspecError:  # its text may quote a secret
        raise ConfigurationError(
            "the configuration in its row is damaged; restore a copy"
        ) from None


def _document(settings: dict[str, Any]) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(settings))
