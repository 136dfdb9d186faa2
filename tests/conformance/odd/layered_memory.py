"""The reference driver with layers around each of its ports; a lower one stands first."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from holdfast.contract.errors import Unavailable
from holdfast.contract.ports import ImageDriver, LifeCycle, PrimaryDriver
from holdfast.contract.requests import CallContext, Request, Role
from holdfast.layers import (
    BackOff,
    Deadline,
    Fault,
    Faults,
    Layer,
    LayeredImage,
    LayeredLifeCycle,
    LayeredPrimary,
    Recorder,
    Retries,
    Throttle,
)
from holdfast.layers.layer import Call
from holdfast_drivers.memory.provider import MemoryProvider


class _Layered(MemoryProvider):
    """Opens every port below layers of its own."""

    def layers(self) -> tuple[Layer, ...]:
        raise NotImplementedError

    @asynccontextmanager
    async def primary(self, config: msgspec.Struct) -> AsyncIterator[PrimaryDriver]:
        async with super().primary(config) as driver:
            for layer in self.layers():
                driver = LayeredPrimary(driver, layer)  # noqa: PLW2901 - one around the other
            yield driver

    @asynccontextmanager
    async def image(self, config: msgspec.Struct) -> AsyncIterator[ImageDriver]:
        async with super().image(config) as driver:
            for layer in self.layers():
                driver = LayeredImage(driver, layer)  # noqa: PLW2901 - one around the other
            yield driver

    @asynccontextmanager
    async def life_cycle(self, config: msgspec.Struct, role: Role) -> AsyncIterator[LifeCycle]:
        async with super().life_cycle(config, role) as life_cycle:
            for layer in self.layers():
                life_cycle = LayeredLifeCycle(life_cycle, layer)  # noqa: PLW2901 - one around the other
            yield life_cycle


class UnderDeadline(_Layered):
    def layers(self) -> tuple[Layer, ...]:
        return (Deadline(),)


class UnderThrottle(_Layered):
    def layers(self) -> tuple[Layer, ...]:
        return (Throttle(1),)


class UnderRecorder(_Layered):
    def layers(self) -> tuple[Layer, ...]:
        records: list[object] = []
        return (Recorder(records.append),)


class UnderFaultsAndRetries(_Layered):
    """Every second call is refused at first, and nobody above notices."""

    def layers(self) -> tuple[Layer, ...]:
        return (Faults(_EveryOther()), Retries(BackOff(first_s=0.001, longest_s=0.01)))


class _EveryOther:
    def __init__(self) -> None:
        self._calls = 0

    def __call__(self, ctx: CallContext, request: Request, call: Call) -> Fault | None:
        del ctx, request
        self._calls += call.verb != "enumerate"  # a stream is not begun again
        return Fault(before=Unavailable("not now")) if self._calls % 2 else None
