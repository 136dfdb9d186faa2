"""Opening a store: from a provider and its configuration to a guarded driver, and back."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final, TypeVar

import msgspec

from holdfast.concurrency.runtime import runtime
from holdfast.contract.errors import ConfigurationError, NotFound
from holdfast.contract.identity import ANY_STORE, ExpectedStore
from holdfast.contract.ports import Provider
from holdfast.contract.requests import CallContext, Role
from holdfast.layers.guard import (
    ImageGuard,
    PrimaryGuard,
    guard_image,
    guard_primary,
)
from holdfast.layers.life_cycle_guard import LifeCycleGuard, guard_life_cycle
from holdfast.layers.typed_errors import typed
from holdfast.text.foreign import shortened
from holdfast.text.nearest import nearest_names

T = TypeVar("T")

_RECOGNIZE_S: Final = 60.0
"""How long a place may take to say which store it is."""


def parse_config(provider: Provider, mapping: Mapping[str, object]) -> msgspec.Struct:
    """A provider's configuration from keys and values.

    Raises:
        ConfigurationError: a key is unknown (the nearest ones are named) or missing, or a value has
            the wrong type. The message repeats no value.
    """
    known = [field.encode_name for field in msgspec.structs.fields(provider.config_type)]
    for key in mapping:
        if key not in known:
            raise ConfigurationError(
                f"provider {provider.name} has no configuration key {shortened(key)!r}; "
                f"{nearest_names(key, known)}"
            )
    required = [
        field.encode_name
        for field in msgspec.structs.fields(provider.config_type)
        if field.required and field.encode_name not in mapping
    ]
    if required:
        raise ConfigurationError(
            f"provider {provider.name} needs the configuration key{'s' * (len(required) > 1)} "
            f"{', '.join(required)}"
        )
    for key, value in mapping.items():
        _check_value(provider, key, value)
    try:
        return msgspec.convert(dict(mapping), provider.config_type, strict=False)
    except msgspec.ValidationError:
        # Its text may quote a value, which may be a secret.
        raise ConfigurationError(
            f"provider {provider.name} cannot work with this configuration"
        ) from None


def _check_value(provider: Provider, key: str, value: object) -> None:
    """Refuse one value of the wrong type, naming its key and the type it should have."""
    field = next(
        field for field in msgspec.structs.fields(provider.config_type) if field.encode_name == key
    )
    try:
        msgspec.json.encode(msgspec.convert(value, field.type, strict=False))
    except UnicodeEncodeError:
        raise ConfigurationError(
            f"configuration key {key!r} of provider {provider.name} has a value that is no UTF-8"
        ) from None
    except msgspec.ValidationError:
        wanted = getattr(field.type, "__name__", str(field.type))
        raise ConfigurationError(
            f"configuration key {key!r} of provider {provider.name} has a value of type "
            f"{type(value).__name__} that is no proper {wanted}"
        ) from None


def secrets_of(provider: Provider, config: msgspec.Struct) -> tuple[str, ...]:
    """The values of a configuration's secret fields that are not empty."""
    found = (getattr(config, field, "") for field in provider.secret_fields)
    return tuple(value for value in found if isinstance(value, str) and value)


@asynccontextmanager
async def _entered(
    manager: AbstractAsyncContextManager[T], secrets: tuple[str, ...]
) -> AsyncIterator[T]:
    """Enter what a provider returned and leave it again, with every error typed.

    The driver is not told why it is closed, and so cannot swallow the caller's exception.
    """
    with typed("open", "", secrets):
        opened = await manager.__aenter__()
    try:
        yield opened
    finally:
        with typed("close", "", secrets):
            await manager.__aexit__(None, None, None)


def _managed(open_store: Any, secrets: tuple[str, ...], *arguments: object) -> Any:
    with typed("open", "", secrets):
        return open_store(*arguments)


@asynccontextmanager
async def open_primary(
    provider: Provider, config: msgspec.Struct, expected: ExpectedStore = ANY_STORE
) -> AsyncIterator[PrimaryGuard]:
    """A guarded driver of the primary store that ``config`` describes; any ``DriverError``.

    Raises:
        Precondition: the place is another store than the one expected, or none.
    """
    secrets = secrets_of(provider, config)
    await _recognize(provider, config, Role.PRIMARY, expected)
    async with _entered(_managed(provider.primary, secrets, config), secrets) as driver:
        opened = guard_primary(driver, secrets)
        opened.expect(expected)
        yield opened


@asynccontextmanager
async def open_image(
    provider: Provider, config: msgspec.Struct, expected: ExpectedStore = ANY_STORE
) -> AsyncIterator[ImageGuard]:
    """As ``open_primary``, for an image store."""
    secrets = secrets_of(provider, config)
    await _recognize(provider, config, Role.IMAGE, expected)
    async with _entered(_managed(provider.image, secrets, config), secrets) as driver:
        opened = guard_image(driver, secrets)
        opened.expect(expected)
        yield opened


@asynccontextmanager
async def open_life_cycle(
    provider: Provider, config: msgspec.Struct, role: Role, expected: ExpectedStore = ANY_STORE
) -> AsyncIterator[LifeCycleGuard]:
    """The guarded life cycle of the store that ``config`` describes; any ``DriverError``.

    The place need not be a store yet; each verb refuses one that is not the store expected.
    """
    secrets = secrets_of(provider, config)
    manager = _managed(provider.life_cycle, secrets, config, role)
    async with _entered(manager, secrets) as life_cycle:
        opened = guard_life_cycle(life_cycle, secrets)
        opened.expect(expected)
        yield opened


async def _recognize(
    provider: Provider, config: msgspec.Struct, role: Role, expected: ExpectedStore
) -> None:
    """Compare what the place says it is with what is expected, before a driver is opened on it."""
    if not expected.identities:
        return
    ctx = CallContext(operation="open", deadline=runtime().now() + _RECOGNIZE_S)
    async with open_life_cycle(provider, config, role) as life_cycle:
        try:
            found = await life_cycle.get(ctx)
        except NotFound as problem:
            raise expected.missing(problem) from problem
    expected.check(found)
