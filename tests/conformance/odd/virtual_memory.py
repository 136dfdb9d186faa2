"""The reference driver's volumes in virtual time, and testbeds whose runtime is none."""

import asyncio
from collections.abc import Mapping

from holdfast.contract import answers, requests
from holdfast.contract.requests import CallContext, Role
from holdfast.contract.testbed import InsideTestbed, TestbedFactory, TestbedKind
from holdfast_drivers.memory.primary_driver import MemoryPrimaryDriver
from holdfast_drivers.memory.provider import MemoryProvider


class PatientDriver(MemoryPrimaryDriver):
    """Needs a second for each volume, and for one of them for ever."""

    async def create_volume(
        self, ctx: CallContext, request: requests.CreateVolume
    ) -> answers.VolumeInfo:
        await asyncio.sleep(1.0)
        if request.key == "never":
            await asyncio.get_running_loop().create_future()
        return await super().create_volume(ctx, request)


class VirtualProvider(MemoryProvider):
    roles = (Role.PRIMARY,)
    primary_type = PatientDriver
    runtime = "holdfast_simulator.loop:VirtualRuntime"

    def testbeds(self) -> Mapping[TestbedKind, TestbedFactory]:
        return {TestbedKind.EMBEDDED: InsideTestbed(self._testbed, self.runtime)}


def no_runtime(*, seed: int) -> str:
    """What a mistaken name may lead to."""
    return f"time {seed}"


class NoRuntime(VirtualProvider):
    runtime = "virtual_memory:no_runtime"


class NowhereInTime(VirtualProvider):
    runtime = "no_such_module:time"
