"""The plug-in's root for image stores on an NFS export."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import ClassVar

import msgspec

from holdfast.contract.ports import ImageDriver, LifeCycle, Provider
from holdfast.contract.requests import Role, ScopeKind
from holdfast.contract.testbed import TestbedFactory, TestbedKind
from holdfast_drivers.nfs.config import NfsImageConfig
from holdfast_drivers.nfs.image_driver import NfsImageDriver
from holdfast_drivers.nfs.image_testbed import nfs_image_testbed
from holdfast_drivers.nfs.lifecycle import NfsImageLifeCycle
from holdfast_drivers.nfs.objects import Objects
from holdfast_drivers.nfs.server import BACKEND
from holdfast_drivers.nfs.session import open_session
from holdfast_drivers.nfs.store_folder import Shelves
from holdfast_drivers.nfs.uploads import Uploads
from holdfast_drivers.servers.server_specs import BackendServer, NeedsServers


class NfsImageProvider(Provider, NeedsServers):
    """Objects in a folder of an NFS export, without a kernel mount."""

    name: ClassVar[str] = "nfs-image"
    roles: ClassVar[tuple[Role, ...]] = (Role.IMAGE,)
    scopes: ClassVar[tuple[ScopeKind, ...]] = (ScopeKind.ZONE, ScopeKind.REGION)
    config_type: ClassVar[type[msgspec.Struct]] = NfsImageConfig

    @asynccontextmanager
    async def image(self, config: msgspec.Struct) -> AsyncIterator[ImageDriver]:
        checked = _checked(config)
        async with open_session(checked.address) as session:
            shelves = Shelves(checked)
            yield NfsImageDriver(session, Uploads(shelves, Objects(checked, shelves)))

    @asynccontextmanager
    async def life_cycle(self, config: msgspec.Struct, role: Role) -> AsyncIterator[LifeCycle]:
        checked = _checked(config)
        async with open_session(checked.address) as session:
            yield NfsImageLifeCycle(session, Shelves(checked))

    def testbeds(self) -> Mapping[TestbedKind, TestbedFactory]:
        return {TestbedKind.CONTAINER: nfs_image_testbed}

    def servers(self) -> tuple[BackendServer, ...]:
        return (BACKEND,)


def _checked(config: msgspec.Struct) -> NfsImageConfig:
    if not isinstance(config, NfsImageConfig):
        raise TypeError(f"a {type(config).__name__} is no configuration of driver nfs-image")
    return config
