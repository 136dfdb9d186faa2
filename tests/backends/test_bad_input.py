"""Wrong settings of every provider: refused by name, without a trace, and without a secret."""

import itertools
import os
from typing import Any

import msgspec
import pytest

from fault_world import World, context
from holdfast.contract import requests
from holdfast.contract.errors import DriverError
from holdfast.contract.ports import Provider
from holdfast.contract.requests import Role
from holdfast.contract.testbed import BadConfig
from holdfast.stores.open_store import open_life_cycle, secrets_of
from onlooker import Onlooker, looking_on
from running_testbeds import Running

pytestmark = pytest.mark.slow
CANARY = "canary-5ecret-that-nobody-may-see"
_numbers = itertools.count()


async def refused(provider: Provider, config: msgspec.Struct, role: Role) -> DriverError | None:
    """What a place with these settings is refused with; nothing where it becomes a store."""
    try:
        async with open_life_cycle(provider, config, role) as life_cycle:
            await life_cycle.initialize(context("bad"), requests.InitializeStore(name="bad"))
            await life_cycle.delete_store(context("bad"), requests.DeleteStore())
    except DriverError as error:
        return error
    return None


def differing(good: msgspec.Struct, bad: msgspec.Struct) -> dict[str, Any]:
    """The settings in which a bad configuration is not the good one."""
    names = good.__struct_fields__
    return {name: getattr(bad, name) for name in names if getattr(good, name) != getattr(bad, name)}


def names_setting(message: str, settings: dict[str, Any], secret: tuple[str, ...]) -> bool:
    """Whether a message names one of the settings, by its name or by a value that is no secret."""
    told = message.lower()
    plain = [name.lower().removesuffix("_bytes").removesuffix("_s") for name in settings]
    words = {form for name in plain for form in (name, name.replace("_", " "))}
    words |= {name.rpartition("_")[2] for name in plain}
    words |= {
        str(value).lower()
        for name, value in settings.items()
        if name not in secret and len(str(value)) > 2
    }
    return any(word in told for word in words)


def with_canary(provider: Provider, good: msgspec.Struct) -> list[BadConfig]:
    """The good configuration with each of its secrets replaced."""
    return [
        BadConfig(
            name=f"a wrong {field}",
            config=msgspec.structs.replace(good, **{field: CANARY}),
            expected=(),
        )
        for field in provider.secret_fields
        if isinstance(getattr(good, field), str) and getattr(good, field)
    ]


def leaks(onlooker: Onlooker, errors: list[DriverError], secrets: set[str]) -> list[str]:
    """Where a secret was seen."""
    texts = [f"{error}\n{error.__cause__!r}" for error in errors]
    told = [text for text in texts for secret in secrets if secret in text]
    return told + [text for secret in sorted(secrets) for text in onlooker.where(secret)]


def test_each_wrong_setting_is_refused_by_name_and_leaves_nothing(
    place: tuple[Running, Role],
) -> None:
    """Each wrong setting has its own typed error that names it, no residue, and shows no secret."""
    found, role = place
    provider, testbed = found.provider, found.testbed

    async def story() -> list[str]:
        namespace = f"bad-{os.getpid()}-{next(_numbers)}"
        good = testbed.config(role, namespace)
        inspector = testbed.inspector(role, namespace)
        before = await inspector.inventory()
        wrong: list[str] = []
        errors: list[DriverError] = []
        told: dict[str, set[str]] = {}
        with looking_on() as onlooker:
            for bad in (*testbed.bad_configs(role, namespace), *with_canary(provider, good)):
                error = await refused(provider, bad.config, role)
                if error is None:
                    # A secret may be one that the storage shows to others: any value is good.
                    wrong += [f"{bad.name}: became a store"] if bad.expected else []
                    continue
                if bad.expected and error.kind not in bad.expected:
                    wrong.append(f"{bad.name}: {type(error).__name__}: {error}")
                settings = differing(good, bad.config)
                if not names_setting(str(error), settings, provider.secret_fields):
                    wrong.append(f"{bad.name}: the message names none of {[*settings]}: {error}")
                if told.setdefault(str(error), {*settings}) != {*settings}:
                    wrong.append(f"{bad.name}: the same message as for another setting: {error}")
                errors.append(error)
                after = await inspector.inventory()
                if after != before:
                    wrong.append(f"{bad.name}: left {after}")
        secrets = {CANARY, *secrets_of(provider, good)}
        wrong += [f"a secret in: {text}" for text in leaks(onlooker, errors, secrets)]
        await testbed.remove(role, namespace)
        return wrong

    assert found.run(story()) == []


def test_work_on_a_store_shows_no_secret(place: tuple[Running, Role]) -> None:
    """A store at work shows neither its own secrets nor those of its grants to anybody."""
    found, role = place

    async def story() -> tuple[Onlooker, set[str]]:
        world = World(found.provider, found.testbed, role, f"quiet-{next(_numbers)}")
        secrets = {CANARY, *secrets_of(found.provider, world.config)}
        with looking_on() as onlooker:
            async with world:
                await world.open()
                if role is Role.PRIMARY:
                    await world.create("volume")
                    grant = requests.Grant(
                        volume="volume",
                        host=found.testbed.hosts[0],
                        mode=world.primary.capabilities.access.modes[0],
                        secret=CANARY[:16],
                    )
                    await world.primary.grant(context("quiet"), grant)
                else:
                    await world.put("object")
                await world.clear()
        return onlooker, {CANARY[:16], *secrets}

    onlooker, secrets = found.run(story())
    assert leaks(onlooker, [], secrets) == []
