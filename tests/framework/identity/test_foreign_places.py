"""A place that is another store than the one that is meant is refused by every call to it.

``tests/backends`` tells the same stories on every server.
"""

import asyncio
import shutil
from pathlib import Path

import msgspec
import pytest

from foreign_stores import (
    FOREIGN,
    KEY,
    MEANT,
    PRIMARY_CALLS,
    STORIES,
    EmptyPlace,
    Story,
    ctx,
    refused,
)
from holdfast.concurrency.runtime import RealRuntime
from holdfast.contract import requests
from holdfast.contract.ports import Provider
from holdfast.contract.requests import Role
from holdfast.contract.testbed import TestbedKind
from holdfast.stores.open_store import open_life_cycle, open_primary
from holdfast_drivers.local import LocalProvider
from holdfast_drivers.memory import MemoryProvider

NAMES = {"store-meant": "gold", "store-foreign": "silver"}


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("provider", [MemoryProvider(), LocalProvider()], ids=lambda one: one.name)
def test_a_place_is_never_taken_for_another_store(
    provider: Provider, role: Role, story: Story
) -> None:
    """Each story of a place that is another store, or none, or one from before, holds."""

    async def main() -> None:
        run = RealRuntime().new_id("run")
        async with provider.testbeds()[TestbedKind.EMBEDDED](run) as testbed:
            config = testbed.config(role, "space")
            async with open_life_cycle(provider, config, role) as life_cycle:
                await story(EmptyPlace(provider, config, role, life_cycle, "host"))
            await testbed.remove(role, "space")

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
                await life_cycle.initialize(
                    ctx(), requests.InitializeStore(name=NAMES[identity], identity=identity)
                )
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
