"""What goes wrong in the folder of a storage host, and what a store there still does."""

import msgspec
import pytest

from holdfast.concurrency.runtime import runtime
from holdfast.contract import answers, requests
from holdfast.contract.answers import HealthState, OwnedKind, StoreState
from holdfast.contract.errors import Exhausted
from holdfast.contract.ports import PrimaryDriver, Provider
from holdfast.contract.requests import CallContext, Role
from holdfast.contract.testbed import Fault, Testbed
from holdfast_drivers.servers.running_servers import Server

MIB = 1 << 20
NAMESPACE = "trouble"
_FIND = f"cd $(find /srv /export -type d -path '*{NAMESPACE}/primary' 2>/dev/null | head -n 1)"
_STRANGERS = (
    "mkfifo volumes/pipe",
    "touch volumes/stray",
    "ln -s /etc volumes/link",
    "mkdir volumes/cut && printf '{' > volumes/cut/row.json",
    "mkdir volumes/fifo && mkfifo volumes/fifo/row.json",
)


def context() -> CallContext:
    """A call with some time."""
    return CallContext(operation="operation", deadline=runtime().now() + 60.0)


async def in_store(server: Server, command: str) -> None:
    """Run a command in the folder of the store."""
    done = await server.exec(("sh", "-ec", f"{_FIND}; {command}"))
    assert not done.status, done.stderr


async def made(provider: Provider, config: msgspec.Struct, host: str) -> None:
    """A store with one volume, which a host is granted."""
    async with provider.life_cycle(config, Role.PRIMARY) as life_cycle:
        await life_cycle.initialize(context(), requests.InitializeStore(name="store"))
        await life_cycle.attach(context(), requests.AttachHost(host=host))
    async with provider.primary(config) as driver:
        await create(driver, "good")
        await driver.grant(context(), requests.Grant(volume="good", host=host))


async def create(driver: PrimaryDriver, key: str) -> None:
    """A small volume."""
    await driver.create_volume(context(), requests.CreateVolume(key=key, size_bytes=MIB))


async def kinds(driver: PrimaryDriver, testbed: Testbed) -> tuple[list[str], list[str]]:
    """What driver and inspector see, but the store itself."""
    stream = driver.enumerate(context(), requests.EnumerateOwned())
    owned = [thing.kind async for thing in stream]
    found = (await testbed.inspector(Role.PRIMARY, NAMESPACE).inventory()).things
    seen = [thing.kind for thing in found]
    return sorted(owned), sorted(seen)


async def strangers_are_set_apart(provider: Provider, testbed: Testbed, server: Server) -> None:
    """Each is named by driver and inspector, nothing else suffers, and each can be deleted."""
    config, host = testbed.config(Role.PRIMARY, NAMESPACE), testbed.hosts[0]
    await made(provider, config, host)
    for command in _STRANGERS:
        await in_store(server, command)
    async with provider.primary(config) as driver:
        await create(driver, "new")
        listed = await driver.list_volumes(context(), requests.ListVolumes())
        assert [volume.key for volume in listed.items] == ["good", "new"]
        assert (await driver.stats(context(), requests.GetStats())).objects == 2
        await driver.delete_volume(context(), requests.DeleteVolume(key="new"))
        expected = sorted(
            [OwnedKind.STORE, OwnedKind.VOLUME, OwnedKind.GRANT]
            + [OwnedKind.UNREADABLE] * len(_STRANGERS)
        )
        assert await kinds(driver, testbed) == (expected, expected)
        for key in ("pipe", "stray", "link", "cut", "fifo"):
            await driver.delete_volume(context(), requests.DeleteVolume(key=key))
        left = sorted([OwnedKind.STORE, OwnedKind.VOLUME, OwnedKind.GRANT])
        assert await kinds(driver, testbed) == (left, left)


async def a_damaged_grant_is_taken_back(
    provider: Provider, testbed: Testbed, server: Server
) -> None:
    """Whatever stands in the place of its record, revoking leaves nothing, with the server too."""
    config, host = testbed.config(Role.PRIMARY, NAMESPACE), testbed.hosts[0]
    await made(provider, config, host)
    for damage in ("printf '{' > $f", "rm $f; mkfifo $f", "rm $f; mkdir $f"):
        await in_store(server, f"f=$(ls -d grants/*); {damage}")
        async with provider.primary(config) as driver:
            await driver.revoke(context(), requests.Revoke(volume="good", host=host))
            left = sorted([OwnedKind.STORE, OwnedKind.VOLUME])
            assert await kinds(driver, testbed) == (left, left)
            await driver.grant(context(), requests.Grant(volume="good", host=host))


async def a_full_host_can_be_emptied(provider: Provider, testbed: Testbed) -> None:
    """Everything that reads or frees works, in a driver opened anew each time."""
    config, host = testbed.config(Role.PRIMARY, NAMESPACE), testbed.hosts[0]
    await made(provider, config, host)
    async with testbed.inject(Fault.FULL):
        async with provider.life_cycle(config, Role.PRIMARY) as life_cycle:
            for change, state in (
                (life_cycle.maintain(context(), requests.MaintainStore()), StoreState.MAINTENANCE),
                (
                    life_cycle.cancel_maintenance(context(), requests.CancelMaintenance()),
                    StoreState.UP,
                ),
            ):
                assert (await change).state is state
        async with provider.primary(config) as driver:
            with pytest.raises(Exhausted):
                await create(driver, "new")
            health = await driver.health(context(), requests.CheckHealth())
            assert health.state is HealthState.UP
            await driver.open(context(), requests.Open(volume="good", host=host))
            await driver.stats(context(), requests.GetStats())
            await driver.list_volumes(context(), requests.ListVolumes())
            await driver.revoke(context(), requests.Revoke(volume="good", host=host))
            await driver.delete_volume(context(), requests.DeleteVolume(key="good"))
            assert await kinds(driver, testbed) == ([OwnedKind.STORE], [OwnedKind.STORE])
        async with provider.life_cycle(config, Role.PRIMARY) as life_cycle:
            await life_cycle.detach(context(), requests.DetachHost(host=host))
            gone = await life_cycle.delete_store(context(), requests.DeleteStore())
            assert gone == answers.Gone(key="")
