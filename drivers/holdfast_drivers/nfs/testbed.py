"""The testbed of volumes: a storage host in a container, managed over SSH through a fault proxy,
and hosts that are network namespaces with an address of their own.
"""

import shutil
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Final

import msgspec

from holdfast.concurrency.runtime import runtime
from holdfast.contract.errors import ErrorKind
from holdfast.contract.requests import Role
from holdfast.contract.testbed import BackendIdentity, Fault, HostPlace, Inspector
from holdfast.data.disk_images import ImageFormat
from holdfast_drivers.local.names import name_of
from holdfast_drivers.nfs.inspector import Inside, NfsInspector
from holdfast_drivers.nfs.primary_config import NfsConfig
from holdfast_drivers.nfs.server import (
    EXPORT,
    Storage,
    fault_in_force,
    server_spec,
    serves,
)
from holdfast_drivers.servers.fault_proxy import PROXY_FAULTS, FaultProxy
from holdfast_drivers.servers.network import host_places
from holdfast_drivers.servers.run_folders import make_run_folder
from holdfast_drivers.servers.running_servers import Server, run_server
from holdfast_drivers.servers.server_specs import ServerSpec
from holdfast_drivers.servers.wrong_settings import WrongSetting
from holdfast_drivers.storage_host.keys import Keys
from holdfast_drivers.storage_host.testbed import (
    AUTHORIZED_KEYS,
    SSH_PORT,
    StorageHostTestbed,
    has_agent,
    package_mounts,
    ssh_files,
)

_SIZE: Final = "1G"
_FAULTS: Final = PROXY_FAULTS | {Fault.KILLED, Fault.PAUSED, Fault.FULL, Fault.REVOKED}
_SANDBOX: Final = f"{EXPORT}/around"
_ROOT: Final = f"{_SANDBOX}/outer/root"


class NfsTestbed(StorageHostTestbed):
    """A storage host that serves volumes with nfs-ganesha."""

    second_path = "the storage host's own files and ganesha's D-Bus, read inside the container"
    root = _ROOT

    def __init__(
        self,
        *,
        server: Server,
        proxy: FaultProxy,
        inside: Inside,
        keys: Keys,
        places: Mapping[str, HostPlace],
        storage: Storage,
        form: ImageFormat = ImageFormat.RAW,
    ) -> None:
        super().__init__(server, proxy, keys)
        self.identity = BackendIdentity(
            vendor="nfs-ganesha",
            product="NFSv3",
            version=storage.version,
            detail=f"dynamic exports of {form} files on {storage.file_system}, in a container",
        )
        self._form = form
        self.faults = storage.faults(_FAULTS)
        self._inside = inside
        self._places = places

    def place_of(self, host: str) -> HostPlace:
        """A network namespace with an address of its own."""
        return self._places[host]

    def config(self, role: Role, namespace: str) -> NfsConfig:
        """A configuration that reaches the storage host through the proxy."""
        return NfsConfig(
            server=self.server.address,
            hosts={host: place.address for host, place in self._places.items()},
            exports_folder="/state/exports",
            format=self._form,
            **self.reached(namespace),
        )

    def wrong_settings(self) -> Iterator[WrongSetting]:
        """Roots that cannot be exported, addresses that are none, and servers that do not run."""
        invalid = (ErrorKind.INVALID,)
        yield "a root that cannot be quoted", {"root": f'{_ROOT}"'}, invalid
        yield "a file as root", {"root": f"{_SANDBOX}/outer/decoy"}, invalid
        yield "a root that cannot be written", {"root": "/proc/self"}, invalid
        yield "no server", {"server": ""}, invalid
        yield "a host whose address is none", {"hosts": {"host-a": "nowhere"}}, invalid
        yield "a missing folder of exports", {"exports_folder": "/state/none"}, invalid
        yield "a server that does not run", {"pid_file": "/run/none.pid"}, (ErrorKind.UNAVAILABLE,)

    def inspector(self, role: Role, namespace: str) -> Inspector:
        """Looks at the namespace from inside the container."""
        return NfsInspector(
            self._inside, _SANDBOX, f"outer/root/{name_of(namespace)}/{role.value}", role
        )

    @asynccontextmanager
    async def inject(self, fault: Fault) -> AsyncIterator[None]:
        """Keep a fault in force; afterwards the storage host works again."""
        ours = fault in PROXY_FAULTS or fault is Fault.REVOKED
        spoilt = super().inject(fault) if ours else fault_in_force(self.server, fault, is_ready)
        async with spoilt:
            yield

    async def begin(self, fault: Fault) -> None:
        """Keep our key out."""
        await self._inside.ask(do="move", old=AUTHORIZED_KEYS, new=f"{AUTHORIZED_KEYS}.off")
        self.proxy.reset_now()

    async def end(self, fault: Fault) -> None:
        await self._inside.ask(do="move", old=f"{AUTHORIZED_KEYS}.off", new=AUTHORIZED_KEYS)

    async def remove(self, role: Role, namespace: str) -> None:
        """Remove the namespace's folder and whatever ganesha serves of it."""
        await self._inside.ask(do="remove", folder=f"{_ROOT}/{name_of(namespace)}")


@asynccontextmanager
async def nfs_testbed(run: str, form: ImageFormat = ImageFormat.RAW) -> AsyncIterator[NfsTestbed]:
    """A storage host of its own for each run; a run that goes on adopts the one it has.

    Args:
        run: the run's id.
        form: what volumes are made of.

    Raises:
        EnvironmentUnavailable: no engine, no image yet, or not root.
    """
    state = await runtime().run_blocking(make_run_folder, "nfs", run)
    keys = Keys(folder=state)
    await runtime().run_blocking(keys.make)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(runtime().run_blocking, shutil.rmtree, state, ignore_errors=True)
        server = await stack.enter_async_context(run_server(_spec(keys), run, is_ready))
        proxy = await stack.enter_async_context(FaultProxy(upstream=(server.address, SSH_PORT)))
        inside = Inside(server)
        stack.push_async_callback(inside.close)
        await inside.ask(do="make", sandbox=_SANDBOX)
        storage = await inside.storage()
        places = await stack.enter_async_context(host_places(NfsTestbed.hosts, run))
        yield NfsTestbed(
            server=server,
            proxy=proxy,
            inside=inside,
            keys=keys,
            places=places,
            storage=storage,
            form=form,
        )


def qcow2_testbed(run: str) -> AbstractAsyncContextManager[NfsTestbed]:
    """As ``nfs_testbed``, with volumes that are qcow2 images."""
    return nfs_testbed(run, ImageFormat.QCOW2)


async def is_ready(server: Server) -> bool:
    """Whether NFS is served, and an agent waits for its clients."""
    return await serves(server) and await has_agent(server)


def _spec(keys: Keys) -> ServerSpec:
    return msgspec.structs.replace(
        server_spec("nfs", ssh_files(keys), _SIZE), mounts=package_mounts()
    )
