"""A store's secrets: taken out of its configuration, put back when it is opened."""

import logging
import re
from collections.abc import Collection, Iterator
from functools import partial
from typing import Any, Final, cast

import msgspec

from holdfast.catalogue.port import Catalogue, Transaction
from holdfast.contract.errors import ConfigurationError, EnvironmentUnavailable
from holdfast.credentials.references import (
    Reference,
    ReferenceKind,
    SecretMissing,
    reference_of,
    resolve,
)
from holdfast.credentials.secret_keeper import SecretKeeper, Withheld
from holdfast.model.rows import Store
from holdfast.model.state_tables import StoreState
from holdfast.stores.plugins import load_provider

_log = logging.getLogger("holdfast")


_PASSWORD: Final = re.compile(
    r"\s*(https?://[^/?#]*@|[a-z][\w+.-]*://[^/?#@]*:[^/?#]*@)", re.IGNORECASE
)
"""An address that says who asks; there is no other use for it in one of HTTP than a password."""


def refuse_passwords(config: msgspec.Raw, provider: str) -> None:
    """Refuse an address with a password in it: rows, plans and errors show addresses.

    Raises:
        ConfigurationError: names the setting, and where its secret belongs.
    """
    secret_fields = _secret_fields(provider)
    for field, value in _settings(config).items():
        if field in secret_fields or not any(map(_PASSWORD.match, _texts(value))):
            continue
        belongs = f"it belongs into {' or '.join(secret_fields)}" if secret_fields else "remove it"
        raise ConfigurationError(
            f"setting {field} is an address with a password in it, which everyone would see; "
            f"{belongs}"
        )


def _texts(value: object) -> Iterator[str]:
    """Every text in a setting, which may hold several."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in cast("dict[str, object]", value).values():
            yield from _texts(one)
    elif isinstance(value, list):
        for one in cast("list[object]", value):
            yield from _texts(one)


def split_config(store: str, config: msgspec.Raw, provider: str) -> tuple[msgspec.Raw, Withheld]:
    """A configuration in which every secret is a reference, and the secrets to be kept, by name.

    Raises:
        ConfigurationError: one refers to what is kept, but not for it: it would read what is
            another store's.
    """
    settings = _settings(config)
    kept = Withheld()
    for field in _secret_fields(provider):
        value = settings.get(field)
        if not isinstance(value, str) or not value:
            continue
        own = Reference(ReferenceKind.KEPT, f"{store}/{field}")
        reference = reference_of(value)
        if reference is None:
            kept[own.target] = value
            settings[field] = str(own)
        elif reference.kind is ReferenceKind.KEPT and reference != own:
            raise ConfigurationError(
                f"setting {field}: only Holdfast itself makes references of the kind kept:; give "
                "the secret, or refer to it by env:, file: or cmd:"
            )
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
            settings[field] = await _resolved(reference, f"{store.id}/{field}", keeper)
        except SecretMissing as problem:
            raise SecretMissing(
                f"store {store.name}: the secret of setting {field} cannot be had: {problem}"
            ) from None
    return msgspec.structs.replace(store, config=_document(settings))


async def _resolved(reference: Reference, own: str, keeper: SecretKeeper) -> str:
    if reference.kind is ReferenceKind.KEPT and reference.target != own:
        raise SecretMissing("its reference is to what is kept of another store, or as another")
    return await resolve(reference, keeper)


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
        if kept:  # nobody opens a store that was removed: its secret is kept nowhere
            await catalogue.owe_erasure()
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


async def settle(catalogue: Catalogue) -> None:
    """All that, at the opening of a catalogue, and no trace of it in the catalogue's files.

    What cannot be done now is said, and done at a later opening: it stops no store that needs
    nothing of it.
    """
    for settling in (keep_apart, _forget_all_gone, _erase):
        try:
            await settling(catalogue)
        except (ConfigurationError, EnvironmentUnavailable) as problem:
            _log.warning("%s", problem)


async def _forget_all_gone(catalogue: Catalogue) -> None:
    await forget_gone(catalogue, ())


async def _erase(catalogue: Catalogue) -> None:
    await catalogue.erase()


async def settle_one(catalogue: Catalogue, subject: str, spared: Collection[str]) -> None:
    """Keep no secret of what an operation ended, if it is a store; ``spared`` are being made.

    The operation has ended as it has: what cannot be removed now goes when the catalogue is opened
    again.
    """
    try:
        if await catalogue.secrets.has(subject):
            await forget_gone(catalogue, spared)
    except (ConfigurationError, EnvironmentUnavailable) as problem:
        _log.warning("%s", problem)


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
