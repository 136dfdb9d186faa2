"""The testbed of image stores: one exported folder, in it a sandbox of its own for every store."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

from holdfast.contract.errors import ErrorKind
from holdfast.contract.requests import Role
from holdfast.contract.testbed import (
    BackendIdentity,
    BadConfig,
    Fault,
    Inspector,
    Testbed,
    TestbedKind,
)
from holdfast_drivers.local.names import name_of
from holdfast_drivers.nfs.config import NfsImageConfig
from holdfast_drivers.nfs.inspector import Inside, NfsInspector
from holdfast_drivers.nfs.libnfs import Address, Client
from holdfast_drivers.nfs.server import (
    EXPORT,
    FAULTS,
    Storage,
    exporting_server,
    exports,
    fault_in_force,
)
from holdfast_drivers.servers.running_servers import Server
from holdfast_drivers.servers.wrong_settings import WrongSetting, bad_configs

_SIZE: Final = "768M"
_MAKE_S: Final = 10.0
DECOYS: Final = (
    "store.json",
    "staging/decoy",
    "outer/objects/decoy",
    "outer/decoy",
    "outer/root/neighbour/image/store.json",
    "outer/root/neighbour/image/objects/decoy",
    "outer/root/neighbour/primary/store.json",
)


class NfsImageTestbed(Testbed):
    """Folders of one export, each namespace in a sandbox with files that nobody may touch."""

    kind = TestbedKind.CONTAINER
    second_path = "the storage host's own file system, read inside the container"
    data_plane = True

    def __init__(self, server: Server, storage: Storage, inside: Inside) -> None:
        self.faults = storage.faults(FAULTS if storage.shapes else FAULTS - {Fault.SLOW})
        self.server = server
        self._inside = inside
        self._made: set[str] = set()
        self.identity = BackendIdentity(
            vendor="nfs-ganesha",
            product="NFSv3",
            version=storage.version,
            detail=f"VFS on {storage.file_system}, in a container",
        )

    def _sandbox(self, role: Role, namespace: str) -> str:
        return f"{role.value}.{name_of(namespace)}"

    def config(self, role: Role, namespace: str) -> NfsImageConfig:
        """A configuration in a sandbox of its own, which is made on first use."""
        sandbox = self._sandbox(role, namespace)
        if sandbox not in self._made:
            make_sandbox(self.server.address, f"/{sandbox}")
            self._made.add(sandbox)
        return NfsImageConfig(
            server=self.server.address,
            export=EXPORT,
            folder=f"{sandbox}/outer/root",
            namespace=namespace,
        )

    def bad_configs(self, role: Role, namespace: str) -> tuple[BadConfig, ...]:
        """Addresses, exports, folders and users that cannot be."""
        good = self.config(role, namespace)
        return bad_configs(good, _wrong_settings(good.folder))

    def inspector(self, role: Role, namespace: str) -> Inspector:
        """Reads the namespace's folder inside the container."""
        sandbox = self._sandbox(role, namespace)
        folder = f"outer/root/{name_of(namespace)}/{role.value}"
        return NfsInspector(self._inside, f"{EXPORT}/{sandbox}", folder, role)

    def inject(self, fault: Fault) -> AbstractAsyncContextManager[None]:
        """Keep a fault in force in the container or its network namespace."""
        return fault_in_force(self.server, fault, exports)

    async def remove(self, role: Role, namespace: str) -> None:
        """Remove the namespace's sandbox with all that is in it."""
        self._made.discard(self._sandbox(role, namespace))
        await self._inside.ask(do="remove", folder=f"{EXPORT}/{self._sandbox(role, namespace)}")


def _wrong_settings(folder: str) -> Iterator[WrongSetting]:
    invalid, denied = (ErrorKind.INVALID,), (ErrorKind.DENIED,)
    nowhere = {"server": "127.53.255.254"}
    yield "no address", {"server": ""}, invalid
    yield "an unknown name", {"server": "storage.invalid"}, invalid
    yield "an address where no NFS server is", nowhere, (ErrorKind.UNAVAILABLE,)
    yield "another export", {"export": "/exports"}, denied
    yield "an export that is no absolute path", {"export": "export"}, invalid
    yield "a folder that is missing", {"folder": f"{folder}/missing"}, invalid
    yield "a folder outside of the export", {"folder": "../export"}, invalid
    yield "a file in place of a folder", {"folder": folder.replace("/root", "/decoy")}, invalid
    yield "a user who may not write", {"uid": 65534, "gid": 65534}, denied
    yield "a user that is no number", {"uid": -1}, invalid


def make_sandbox(server: str, sandbox: str) -> None:
    """Make a store's surroundings; what is there already stays."""
    client = Client(Address(server=server, export=EXPORT, uid=0, gid=0), lambda: _MAKE_S)
    try:
        for decoy in DECOYS:
            path = sandbox
            for part in f"{decoy}".split("/"):
                with contextlib.suppress(FileExistsError):
                    client.mkdir(path)
                path = f"{path}/{part}"
            with contextlib.suppress(FileExistsError):
                client.write_new(path, decoy.encode())
    finally:
        client.close()


@asynccontextmanager
async def nfs_image_testbed(run: str) -> AsyncIterator[NfsImageTestbed]:
    """A server in a container of its own, named after the run."""
    async with exporting_server(run, _SIZE) as server:
        inside = Inside(server)
        try:
            yield NfsImageTestbed(server, await inside.storage(), inside)
        finally:
            await inside.close()
