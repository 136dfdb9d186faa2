"""A place that is another store than the one that is meant is refused by every call to it."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from foreign_stores import (
    IMAGE_CALLS,
    KEY,
    LIFE_CYCLE_CALLS,
    MEANT,
    PRIMARY_CALLS,
    ctx,
    initialized,
    knows_nothing,
    refused,
)
from holdfast import requests
from holdfast.errors import Conflict, Precondition
from holdfast.identity import ExpectedStore
from holdfast.opening import open_image, open_life_cycle, open_primary
from holdfast.ports import ImageDriver, LifeCycle, PrimaryDriver, Provider
from holdfast.requests import Role
from holdfast.runtime import RealRuntime
from holdfast.testbed import TestbedKind
from holdfast_drivers.local import LocalProvider
from holdfast_drivers.memory import MemoryProvider

PROVIDERS = (MemoryProvider, LocalProvider)
FOREIGN = ("this is store silver (store-foreign)", "gold (store-meant) was expected")
MISSING = ("there is no store here", "gold (store-meant) was expected")


@asynccontextmanager
async def place(provider: Provider, role: Role) -> AsyncIterator[tuple[msgspec.Struct, LifeCycle]]:
    """An empty place with its life cycle, which nobody expects anything of."""
    async with provider.testbeds()[TestbedKind.EMBEDDED](RealRuntime().new_id("run")) as testbed:
        config = testbed.config(role, "space")
        async with open_life_cycle(provider, config, role) as life_cycle:
            yield config, life_cycle
        await testbed.remove(role, "space")


@asynccontextmanager
async def opened(
    provider: Provider, config: msgspec.Struct, role: Role, expected: ExpectedStore = MEANT
) -> AsyncIterator[PrimaryDriver | ImageDriver]:
    if role is Role.PRIMARY:
        async with open_primary(provider, config, expected) as primary:
            yield primary
    else:
        async with open_image(provider, config, expected) as image:
            yield image


async def replaced(life_cycle: LifeCycle, identity: str = "store-foreign") -> None:
    """Another store stands in the place from now on."""
    await life_cycle.detach(ctx(), requests.DetachHost(host="host"))
    await life_cycle.delete_store(ctx(), requests.DeleteStore())
    if identity:
        await initialized(life_cycle, identity, "silver")


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("provider", PROVIDERS)
def test_another_store_is_refused_when_it_is_opened(provider: type[Provider], role: Role) -> None:
    """Opening a place compares what it says it is with what is expected."""

    async def main() -> None:
        async with place(provider(), role) as (config, life_cycle):
            with pytest.raises(Precondition, match=r"there is no store here.*gold"):
                async with opened(provider(), config, role):
                    pass
            await initialized(life_cycle, "store-foreign", "silver")
            with pytest.raises(Precondition) as caught:
                async with opened(provider(), config, role):
                    pass
            assert all(said in caught.value.cause for said in FOREIGN)
            await replaced(life_cycle, "store-meant")
            async with opened(provider(), config, role) as driver:
                assert await driver.health(ctx(), requests.CheckHealth())

    asyncio.run(main())


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("provider", PROVIDERS)
def test_another_store_that_comes_later_is_refused_too(
    provider: type[Provider], role: Role
) -> None:
    """A driver that was opened on the right store does nothing to another that took its place, or
    that is no more.
    """

    async def main() -> None:
        async with place(provider(), role) as (config, life_cycle):
            await initialized(life_cycle, "store-meant", "gold")
            async with opened(provider(), config, role) as driver:
                calls = PRIMARY_CALLS if role is Role.PRIMARY else IMAGE_CALLS
                await replaced(life_cycle)
                if isinstance(driver, PrimaryDriver):
                    async with open_primary(provider(), config) as other:
                        made = requests.CreateVolume(key=KEY, size_bytes=1 << 20)
                        volume = await other.create_volume(ctx(), made)
                        await refused(driver, calls, *FOREIGN)
                        await knows_nothing(driver, *FOREIGN)
                        page = await other.list_volumes(ctx(), requests.ListVolumes())
                        assert page.items == (volume,)
                        await other.delete_volume(ctx(), requests.DeleteVolume(key=KEY))
                else:
                    await refused(driver, calls, *FOREIGN)
                    await knows_nothing(driver, *FOREIGN)
                await replaced(life_cycle, "")
                await refused(driver, calls, *MISSING)
                await knows_nothing(driver, *MISSING)

    asyncio.run(main())


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_life_of_another_store_is_not_touched(provider: type[Provider], role: Role) -> None:
    """A life cycle refuses to change a place that is another store, and to give it back."""

    async def main() -> None:
        async with place(provider(), role) as (config, life_cycle):
            before = await initialized(life_cycle, "store-foreign", "silver")
            async with open_life_cycle(provider(), config, role, MEANT) as meant:
                await refused(meant, LIFE_CYCLE_CALLS, *FOREIGN)
            assert await life_cycle.get(ctx()) == before

    asyncio.run(main())


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_place_is_initialized_for_one_catalogue_only(
    provider: type[Provider], role: Role
) -> None:
    """A place that is a store already is the same one only under the same name and identity."""

    async def main() -> None:
        async with place(provider(), role) as (_, life_cycle):
            mine = requests.InitializeStore(name="gold", identity="store-meant")
            first = await life_cycle.initialize(ctx(), mine)
            assert first.identity == "store-meant"
            assert await life_cycle.initialize(ctx(), mine) == first
            for theirs in ("store-foreign", ""):
                request = requests.InitializeStore(name="gold", identity=theirs)
                with pytest.raises(Conflict, match=r"another store named 'gold'.*store-meant"):
                    await life_cycle.initialize(ctx(), request)
            assert await life_cycle.get(ctx()) == first

    asyncio.run(main())


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_store_from_before_is_known_by_its_id_until_it_is_adopted(
    provider: type[Provider], role: Role
) -> None:
    """A store without an identity is compared by its driver's id; adopting it gives it one."""

    async def main() -> None:
        async with place(provider(), role) as (config, life_cycle):
            old = await initialized(life_cycle, "", "gold")
            known = ExpectedStore((old.id, "store-meant"), "gold")
            adopted = requests.AdoptStore(driver_id=old.id, identity="store-meant")
            async with opened(provider(), config, role, known) as driver:
                with pytest.raises(Precondition, match="was expected"):
                    async with opened(provider(), config, role):
                        pass
                wrong = requests.AdoptStore(driver_id="another", identity="store-meant")
                with pytest.raises(Precondition, match="another was expected"):
                    await life_cycle.adopt(ctx(), wrong)
                for _ in range(2):
                    now = await life_cycle.adopt(ctx(), adopted)
                    assert now == msgspec.structs.replace(old, identity="store-meant")
                assert await driver.stats(ctx(), requests.GetStats())
            theirs = requests.AdoptStore(driver_id=old.id, identity="store-foreign")
            with pytest.raises(Precondition, match="store-foreign was expected"):
                await life_cycle.adopt(ctx(), theirs)
            async with opened(provider(), config, role) as driver:
                assert await driver.stats(ctx(), requests.GetStats())

    asyncio.run(main())


def test_a_copied_folder_of_another_store_is_refused(tmp_path: Path) -> None:
    """A folder that was mounted or copied over a store's own while it is open is refused."""

    async def main() -> None:
        provider = LocalProvider()
        roots = [tmp_path / name for name in ("gold", "silver")]
        for root, identity in zip(roots, ("store-meant", "store-foreign"), strict=True):
            root.mkdir()
            config = msgspec.convert({"root": str(root), "namespace": "n"}, provider.config_type)
            async with open_life_cycle(provider, config, Role.PRIMARY) as life_cycle:
                await initialized(life_cycle, identity, root.name)
        config = msgspec.convert({"root": str(roots[0]), "namespace": "n"}, provider.config_type)
        async with open_primary(provider, config, MEANT) as driver:
            request = requests.CreateVolume(key=KEY, size_bytes=1 << 20)
            await driver.create_volume(ctx(), request)
            (roots[0] / "n").rename(tmp_path / "away")
            shutil.copytree(roots[1] / "n", roots[0] / "n")
            await refused(driver, PRIMARY_CALLS, *FOREIGN)
            shutil.rmtree(roots[0] / "n")
            (tmp_path / "away").rename(roots[0] / "n")
            assert await driver.get_volume(ctx(), requests.GetVolume(key=KEY))

    asyncio.run(main())
