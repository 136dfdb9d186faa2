"""Providers that cannot even be started, each in its own way."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import cast

import msgspec
from odd_driver import OddProvider

from holdfast.contract.ports import PrimaryDriver
from holdfast.contract.requests import Role
from holdfast.contract.testbed import Testbed, TestbedFactory, TestbedKind

an_object = object()


class WrongConstructor(OddProvider):
    def __init__(self) -> None:
        raise OSError("no such array")


class NoTestbed(OddProvider):
    def testbeds(self) -> Mapping[TestbedKind, TestbedFactory]:
        return {}


@asynccontextmanager
async def _broken_testbed(run: str) -> AsyncIterator[Testbed]:
    raise ConnectionError("nobody there")
    yield


class BrokenTestbed(OddProvider):
    def testbeds(self) -> Mapping[TestbedKind, TestbedFactory]:
        return {TestbedKind.EMBEDDED: _broken_testbed}


class HalfAPair(OddProvider):
    def testbeds(self) -> Mapping[TestbedKind, TestbedFactory]:
        raise ValueError("half a pair: \udc80")


class HalfAPairAtOpening(OddProvider):
    @asynccontextmanager
    async def primary(self, config: msgspec.Struct) -> AsyncIterator[PrimaryDriver]:
        raise ValueError("half a pair: \udc80")
        yield


def _raising_factory(run: str) -> AbstractAsyncContextManager[Testbed]:
    raise ConnectionError("nobody there")


class RaisingFactory(OddProvider):
    def testbeds(self) -> Mapping[TestbedKind, TestbedFactory]:
        return {TestbedKind.EMBEDDED: _raising_factory}


@asynccontextmanager
async def _no_testbed(run: str) -> AsyncIterator[Testbed]:
    yield cast("Testbed", None)


class NothingAsTestbed(OddProvider):
    def testbeds(self) -> Mapping[TestbedKind, TestbedFactory]:
        return {TestbedKind.EMBEDDED: _no_testbed}


class NothingAsSecretFields(OddProvider):
    secret_fields = cast("tuple[str]", None)


class NumberAsName(OddProvider):
    name = cast("str", 7)


class RaisingRoles(OddProvider):
    @property
    def roles(self) -> tuple[Role, ...]:  # type: ignore[override]  # pyright: ignore[reportIncompatibleVariableOverride]
        raise RuntimeError("of all things")


class NoRole(OddProvider):
    roles = cast("tuple[Role]", ())
