"""The driver ``local``, which takes its process along, on a testbed in a process of its own."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import cast

import msgspec

from holdfast.contract import answers, requests
from holdfast.contract.ports import PrimaryDriver
from holdfast.contract.requests import CallContext, Role
from holdfast.contract.testbed import Testbed, TestbedFactory, TestbedKind
from holdfast_conformance.processes import RUN_VARIABLE, backend_mark, processes_of
from holdfast_drivers.local.provider import LocalProvider


class _Mortal:
    """The local driver, killed by the keys of some volumes."""

    def __init__(self, driver: PrimaryDriver) -> None:
        self._driver = driver

    def __getattr__(self, name: str) -> object:
        return getattr(self._driver, name)

    async def create_volume(
        self, ctx: CallContext, request: requests.CreateVolume
    ) -> answers.VolumeInfo:
        if request.key == "is-killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if request.key == "kills-its-testbed":
            _kill_testbed()
        return await self._driver.create_volume(ctx, request)


def _kill_testbed() -> None:
    for pid in processes_of(backend_mark(os.environ[RUN_VARIABLE])):
        os.kill(pid, signal.SIGKILL)


class MortalProvider(LocalProvider):
    roles = (Role.PRIMARY,)

    @asynccontextmanager
    async def primary(self, config: msgspec.Struct) -> AsyncIterator[PrimaryDriver]:
        async with super().primary(config) as driver:
            yield _Mortal(driver)  # type: ignore[misc]


@asynccontextmanager
async def _dying_testbed(run: str) -> AsyncIterator[Testbed]:
    print("out of luck", file=sys.stderr)
    os._exit(9)
    yield


@asynccontextmanager
async def _endless_testbed(run: str) -> AsyncIterator[Testbed]:
    await asyncio.get_running_loop().create_future()
    yield cast("Testbed", None)


@asynccontextmanager
async def _no_testbed(run: str) -> AsyncIterator[Testbed]:
    yield cast("Testbed", None)


class NothingAsTestbed(MortalProvider):
    def testbeds(self) -> Mapping[TestbedKind, TestbedFactory]:
        return {TestbedKind.EMBEDDED: _no_testbed}


class DyingTestbed(MortalProvider):
    def testbeds(self) -> Mapping[TestbedKind, TestbedFactory]:
        return {TestbedKind.EMBEDDED: _dying_testbed}


class EndlessTestbed(MortalProvider):
    def testbeds(self) -> Mapping[TestbedKind, TestbedFactory]:
        return {TestbedKind.EMBEDDED: _endless_testbed}
