"""Testbeds of every installed provider, kept running in one loop for the tests of a module."""

import asyncio
import os
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import msgspec
import pytest

from holdfast.contract.errors import ConfigurationError, EnvironmentUnavailable
from holdfast.contract.ports import Provider
from holdfast.contract.requests import Role
from holdfast.contract.testbed import Testbed, TestbedFactory, TestbedKind
from holdfast.contract.testbed_choice import choose_testbed, offered_testbeds
from holdfast.stores.plugins import load_provider, providers
from holdfast_drivers.servers.minio_source import find_minio_now
from sweeps import FULL

T = TypeVar("T")
KINDS = (TestbedKind.EMBEDDED, TestbedKind.CONTAINER)


class Backend(msgspec.Struct, frozen=True, kw_only=True):
    """A provider and one testbed that it can start, by the name that asks for it."""

    provider: str
    kind: str

    def __str__(self) -> str:
        return f"{self.provider}-{self.kind}"


def has_another_server() -> bool:
    """Whether an S3 container runs another server than ``embedded``: a MinIO; a full run asks both
    also where it does not.
    """
    try:
        return FULL or find_minio_now().image is not None
    except (ConfigurationError, EnvironmentUnavailable):  # told where the server is started
        return False


def backends() -> list[Backend]:
    """Every installed provider with every kind of testbed that needs nobody's real store.

    ``HOLDFAST_BACKENDS`` (names or ``name-kind``, separated by commas) chooses some; else one of
    two that run the same server is left out.
    """
    chosen = set(filter(None, os.environ.get("HOLDFAST_BACKENDS", "").split(",")))
    found = [
        Backend(provider=name, kind=kind)
        for name, provider in providers().items()
        if isinstance(provider, Provider)
        for kind in offered_testbeds(provider)
        if kind.partition(":")[0] in KINDS
    ]
    known = {name for one in found for name in (one.provider, str(one))}
    if unknown := chosen - known:
        raise ValueError(f"HOLDFAST_BACKENDS: no {sorted(unknown)} among {sorted(known)}")
    if chosen:
        return [one for one in found if {one.provider, str(one)} & chosen]
    return [one for one in found if str(one) != "s3-container" or has_another_server()]


def roles_of(backend: Backend) -> tuple[Role, ...]:
    """The roles that a backend's provider has."""
    return load_provider(backend.provider).roles


class Running:
    """A testbed that is running now, in a loop of its own."""

    def __init__(self, runner: asyncio.Runner, provider: Provider, testbed: Testbed) -> None:
        self.runner = runner
        self.provider = provider
        self.testbed = testbed

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something in the testbed's loop, to its end."""
        return self.runner.run(work)


@contextmanager
def running(backend: Backend, run: str) -> Iterator[Running]:
    """Keep a backend's testbed up; skip where this machine cannot run it, unless it is CI's."""
    provider = load_provider(backend.provider)
    with asyncio.Runner() as runner:
        keeper = _Keeper(choose_testbed(provider, backend.kind), run)
        try:
            testbed = runner.run(keeper.start())
        except (EnvironmentUnavailable, ConfigurationError) as missing:
            if os.environ.get("CI"):
                raise
            pytest.skip(f"{backend}: {missing}")
        try:
            yield Running(runner, provider, testbed)
        finally:
            runner.run(keeper.stop())


class _Keeper:
    """Holds a testbed's context open in one task, whatever else runs in the loop."""

    def __init__(self, factory: TestbedFactory, run: str) -> None:
        self._factory = factory
        self._run = run
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> Testbed:
        """Start the testbed and return it once it is up."""
        started: asyncio.Future[Testbed] = asyncio.get_running_loop().create_future()
        self._ended = asyncio.Event()
        self._task = asyncio.create_task(self._keep(started))
        await asyncio.wait((started, self._task), return_when=asyncio.FIRST_COMPLETED)
        if not started.done():
            await self._task
        return started.result()

    async def _keep(self, started: asyncio.Future[Testbed]) -> None:
        async with self._factory(self._run) as testbed:
            started.set_result(testbed)
            await self._ended.wait()

    async def stop(self) -> None:
        """Leave the testbed's context."""
        self._ended.set()
        if self._task is not None:
            await self._task
