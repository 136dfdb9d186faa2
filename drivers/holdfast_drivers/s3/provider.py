"""The plug-in's root: what the driver is called and how its stores are opened."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import ClassVar

import msgspec

from holdfast.contract.live_store import LiveStore
from holdfast.contract.ports import ImageDriver, LifeCycle, Provider
from holdfast.contract.requests import Role, ScopeKind
from holdfast.contract.testbed import TestbedFactory, TestbedKind
from holdfast_drivers.s3.config import S3Config
from holdfast_drivers.s3.connecting import open_bucket
from holdfast_drivers.s3.container_testbed import container_testbed
from holdfast_drivers.s3.embedded_testbed import embedded_testbed
from holdfast_drivers.s3.image_driver import S3ImageDriver
from holdfast_drivers.s3.lifecycle import S3LifeCycle
from holdfast_drivers.s3.live_testbed import live_testbed


class S3Provider(Provider):
    """Objects in a bucket of an S3 server."""

    name: ClassVar[str] = "s3"
    roles: ClassVar[tuple[Role, ...]] = (Role.IMAGE,)
    scopes: ClassVar[tuple[ScopeKind, ...]] = (ScopeKind.REGION, ScopeKind.ZONE)
    config_type: ClassVar[type[msgspec.Struct]] = S3Config
    secret_fields: ClassVar[tuple[str, ...]] = ("secret_key",)

    @asynccontextmanager
    async def image(self, config: msgspec.Struct) -> AsyncIterator[ImageDriver]:
        async with open_bucket(_s3(config)) as bucket:
            yield S3ImageDriver(bucket, _s3(config))

    def life_cycle(
        self, config: msgspec.Struct, role: Role
    ) -> AbstractAsyncContextManager[LifeCycle]:
        return _life_cycle(_s3(config))

    def testbeds(self) -> Mapping[TestbedKind, TestbedFactory]:
        return {
            TestbedKind.EMBEDDED: embedded_testbed,
            TestbedKind.CONTAINER: container_testbed,
        }

    def live_testbed(self, store: LiveStore) -> TestbedFactory:
        return live_testbed(self, store)


@asynccontextmanager
async def _life_cycle(config: S3Config) -> AsyncIterator[LifeCycle]:
    yield S3LifeCycle(config)


def _s3(config: msgspec.Struct) -> S3Config:
    if not isinstance(config, S3Config):
        raise TypeError(f"a {type(config).__name__} is no configuration of driver s3")
    return config
