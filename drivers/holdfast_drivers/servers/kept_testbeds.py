"""Keeps testbeds running behind ``holdfast backends up``, until ``holdfast backends down``."""

import asyncio
import os
import signal
import subprocess
from pathlib import Path

import msgspec

from holdfast.concurrency.interpreter import python_command, python_environment
from holdfast.concurrency.runtime import runtime
from holdfast.contract.errors import EnvironmentUnavailable, HoldfastError
from holdfast.contract.ports import Provider
from holdfast.contract.testbed import Testbed, TestbedFactory, TestbedKind
from holdfast.stores.plugins import load_provider
from holdfast_drivers.servers.logged_command import log_path
from holdfast_drivers.servers.owner_process import is_dead, state_folder, this_owner

RUN = "up"
_NAMESPACE = "up"
_POLL_S = 0.2
_END_S = 60.0
_STARTED: list["subprocess.Popen[bytes]"] = []
"""Keepers that were started here; they go on when this process ends."""


class HeldTestbed(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One testbed that is kept: what really answers, or why it could not be started.

    ``configs`` are files, for their owner's eyes only, with a good configuration for each role.
    """

    provider: str
    kind: str
    state: str = "starting"
    detail: str = ""
    configs: tuple[str, ...] = ()


class Holding(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What the keeper keeps; ``owner`` is the keeper itself."""

    owner: str
    pid: int
    testbeds: list[HeldTestbed]


def current_holding() -> Holding | None:
    """What is kept now; nothing where no keeper lives."""
    try:
        holding = msgspec.json.decode(_path().read_bytes(), type=Holding)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    return None if is_dead(holding.owner) else holding


def held_kinds(provider: Provider) -> dict[TestbedKind, TestbedFactory]:
    """The provider's testbeds that run servers in containers."""
    return {
        kind: factory
        for kind, factory in provider.testbeds().items()
        if kind is TestbedKind.CONTAINER
    }


def start_keeper(names: tuple[str, ...]) -> None:
    """Start a process of its own that keeps the testbeds of these providers."""
    # What an earlier keeper wrote must not be taken for this one's answer.
    _path().unlink(missing_ok=True)
    command = python_command("-m", "holdfast", "backends", "keep", *names)
    with log_path("up").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - this program itself
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=python_environment(),
        )
    _STARTED.append(process)


async def await_keeper() -> Holding:
    """What is kept, once every testbed is ready or has failed.

    Raises:
        EnvironmentUnavailable: the keeper ended early; says where its log is.
    """
    while True:
        holding = current_holding()
        if holding and all(one.state != "starting" for one in holding.testbeds):
            return holding
        if _STARTED and _STARTED[-1].poll() is not None:
            raise EnvironmentUnavailable(
                f"the servers' keeper ended early; its log is {log_path('up')}"
            )
        await asyncio.sleep(_POLL_S)


async def end_keeper() -> bool:
    """End the keeper and with it its servers; whether there was one."""
    holding = current_holding()
    if holding is None:
        return False
    os.kill(holding.pid, signal.SIGTERM)
    deadline = runtime().now() + _END_S
    while not is_dead(holding.owner):
        if runtime().now() > deadline:
            os.kill(holding.pid, signal.SIGKILL)
            deadline += _END_S
        await asyncio.sleep(_POLL_S)
    return True


async def keep(names: tuple[str, ...]) -> None:
    """Keep the testbeds of these providers until this process is told to end."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    providers = [load_provider(name) for name in names]
    testbeds = [
        (provider, factory, HeldTestbed(provider=provider.name, kind=kind.value))
        for provider in providers
        for kind, factory in held_kinds(provider).items()
    ]
    holding = Holding(
        owner=this_owner(), pid=os.getpid(), testbeds=[testbed for _, _, testbed in testbeds]
    )
    _write(holding)
    try:
        await asyncio.gather(*(_keep_one(*one, holding, stopping) for one in testbeds))
    finally:
        _path().unlink(missing_ok=True)


async def _keep_one(
    provider: Provider,
    factory: TestbedFactory,
    held: HeldTestbed,
    holding: Holding,
    stopping: asyncio.Event,
) -> None:
    try:
        async with factory(RUN) as testbed:
            identity = testbed.identity
            held.detail = f"{identity.vendor} {identity.product} {identity.version}"
            held.configs = _write_configs(provider, testbed)
            held.state = "ready"
            _write(holding)
            await stopping.wait()
    except (HoldfastError, OSError) as error:
        held.state, held.detail = "failed", str(error)
        _write(holding)
        await stopping.wait()


def _write_configs(provider: Provider, testbed: Testbed) -> tuple[str, ...]:
    written: list[str] = []
    for role in provider.roles:
        path = state_folder("up") / f"{provider.name}-{role.value}.json"
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.write_bytes(msgspec.json.encode(testbed.config(role, _NAMESPACE)))
        written.append(str(path))
    return tuple(written)


def _write(holding: Holding) -> None:
    fresh = _path().with_suffix(".new")
    fresh.write_bytes(msgspec.json.encode(holding))
    fresh.replace(_path())


def _path() -> Path:
    return state_folder("up") / "holding.json"
