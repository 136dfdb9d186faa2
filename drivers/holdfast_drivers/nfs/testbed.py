"""The testbed of volumes: a storage host in a container, managed over SSH through a fault proxy,
and hosts that are network namespaces with an address of their own.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import msgspec

import holdfast
import holdfast_drivers
from holdfast.backends.fault_proxy import PROXY_FAULTS, FaultProxy
from holdfast.backends.network import host_places
from holdfast.backends.run_folders import make_run_folder
from holdfast.backends.servers import Server, run_server
from holdfast.backends.specs import Mount, ServerFile, ServerSpec
from holdfast.data.images import ImageFormat
from holdfast.errors import ErrorKind
from holdfast.requests import Role
from holdfast.runtime import runtime
from holdfast.testbed import (
    BackendIdentity,
    BadConfig,
    Fault,
    HostPlace,
    Inspector,
    Testbed,
    TestbedKind,
)
from holdfast_drivers.iscsi.testbed import Keys
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

_SIZE: Final = "1G"
_FAULTS: Final = PROXY_FAULTS | {Fault.KILLED, Fault.PAUSED, Fault.FULL, Fault.REVOKED}
_SSH_PORT: Final = 22
_AUTHORIZED: Final = "/etc/ssh/authorized_keys"
_HOST_KEY: Final = "/etc/ssh/ssh_host_ed25519_key"
_SANDBOX: Final = f"{EXPORT}/around"
_ROOT: Final = f"{_SANDBOX}/outer/root"
_AGENT = "/run/holdfast-agent.socket"
_DECOYS: Final = (
    "store.json",
    "lock",
    "staging/decoy",
    "outer/volumes/decoy/data",
    "outer/decoy",
    "outer/root/neighbour/primary/store.json",
    "outer/root/neighbour/primary/volumes/decoy/row.json",
)


class NfsTestbed(Testbed):
    """One storage host; all namespaces are beside each other in one folder of it."""

    kind = TestbedKind.CONTAINER
    second_path = "the storage host's own files and ganesha's D-Bus, read inside the container"
    data_plane = True

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
        self.identity = BackendIdentity(
            vendor="nfs-ganesha",
            product="NFSv3",
            version=storage.version,
            detail=f"dynamic exports of {form} files on {storage.file_system}, in a container",
        )
        self._form = form
        self.faults = storage.faults(_FAULTS)
        self.server = server
        self.proxy = proxy
        self._inside = inside
        self._keys = keys
        self._places = places
        self._known_hosts = keys.known_hosts(proxy.address, "known_hosts", keys.host)

    @property
    def tasks(self) -> frozenset[asyncio.Task[None]]:
        """What the proxy runs."""
        return self.proxy.tasks

    def place_of(self, host: str) -> HostPlace:
        """A network namespace with an address of its own."""
        return self._places[host]

    def config(self, role: Role, namespace: str) -> NfsConfig:
        """A configuration that reaches the storage host through the proxy."""
        address, port = self.proxy.address
        return NfsConfig(
            server=self.server.address,
            root=_ROOT,
            namespace=namespace,
            hosts={host: place.address for host, place in self._places.items()},
            ssh_host=address,
            ssh_port=port,
            key_file=str(self._keys.ours),
            known_hosts_file=str(self._known_hosts),
            agent_socket=_AGENT,
            exports_folder="/state/exports",
            format=self._form,
        )

    def bad_configs(self, role: Role, namespace: str) -> tuple[BadConfig, ...]:
        """Wrong addresses, credentials, host keys and folders, each wrong in one setting."""
        good = self.config(role, namespace)
        stranger = self._keys.known_hosts(self.proxy.address, "strangers", self._keys.stranger)
        away, invalid = (ErrorKind.UNAVAILABLE,), (ErrorKind.INVALID,)
        unknown = (ErrorKind.UNAUTHENTICATED,)
        rows: tuple[tuple[str, dict[str, object], tuple[ErrorKind, ...]], ...] = (
            ("wrong address", {"ssh_host": "127.53.255.254"}, away),
            ("wrong port", {"ssh_port": 1}, away),
            ("wrong user", {"ssh_user": "nobody"}, unknown),
            ("wrong key", {"key_file": str(self._keys.stranger)}, unknown),
            ("missing key", {"key_file": str(self._keys.folder / "no")}, invalid),
            ("no key", {"key_file": ""}, invalid),
            ("wrong host key", {"known_hosts_file": str(stranger)}, (ErrorKind.DENIED,)),
            ("missing python", {"agent_socket": "", "python": "/nowhere/python3"}, invalid),
            ("wrong socket of the agent", {"agent_socket": "/run/no-agent"}, away),
            ("missing root", {"root": f"{_ROOT}/missing"}, invalid),
            ("a relative root", {"root": "relative"}, invalid),
            ("a root that cannot be quoted", {"root": f'{_ROOT}"'}, invalid),
            ("a file as root", {"root": f"{_SANDBOX}/outer/decoy"}, invalid),
            ("a root that cannot be written", {"root": "/proc/self"}, invalid),
            ("no capacity", {"capacity_bytes": 0}, invalid),
            ("no server", {"server": ""}, invalid),
            ("a host whose address is none", {"hosts": {"host-a": "nowhere"}}, invalid),
            ("a missing folder of exports", {"exports_folder": "/state/none"}, invalid),
            ("a server that does not run", {"pid_file": "/run/none.pid"}, away),
        )
        return tuple(
            BadConfig(name=name, config=msgspec.structs.replace(good, **changes), expected=expected)
            for name, changes, expected in rows
        )

    def inspector(self, role: Role, namespace: str) -> Inspector:
        """Looks at the namespace from inside the container."""
        return NfsInspector(
            self._inside, _SANDBOX, f"outer/root/{name_of(namespace)}/{role.value}", role
        )

    @asynccontextmanager
    async def inject(self, fault: Fault) -> AsyncIterator[None]:
        """Keep a fault in force; afterwards the storage host works again."""
        if fault in PROXY_FAULTS:
            async with self.proxy.inject(fault):
                yield
        elif fault is Fault.REVOKED:
            await self._inside.ask(do="move", old=_AUTHORIZED, new=f"{_AUTHORIZED}.off")
            self.proxy.reset_now()
            try:
                yield
            finally:
                await self._inside.ask(do="move", old=f"{_AUTHORIZED}.off", new=_AUTHORIZED)
        else:
            async with fault_in_force(self.server, fault, is_ready):
                yield

    def request_seen(self, count: int = 1) -> Awaitable[None] | None:
        """The proxy sees every request, each in one piece."""
        return self.proxy.next_request(count)

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
        proxy = await stack.enter_async_context(FaultProxy(upstream=(server.address, _SSH_PORT)))
        inside = Inside(server)
        stack.push_async_callback(inside.close)
        await inside.ask(do="make", sandbox=_SANDBOX, files=_DECOYS)
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
    return await serves(server) and not (await server.exec(("test", "-S", _AGENT))).status


def _spec(keys: Keys) -> ServerSpec:
    authorized = keys.ours.with_suffix(".pub").read_bytes()
    spec = server_spec(
        "nfs",
        (
            ServerFile(path=_AUTHORIZED, data=authorized, mode=0o600),
            ServerFile(path=_HOST_KEY, data=keys.host.read_bytes(), mode=0o600),
        ),
        _SIZE,
    )
    packages = (
        Mount(source=_package(holdfast), target="/opt/holdfast/holdfast"),
        Mount(source=_package(holdfast_drivers), target="/opt/holdfast/holdfast_drivers"),
    )
    return msgspec.structs.replace(spec, mounts=packages)


def _package(module: object) -> Path:
    return Path(str(getattr(module, "__file__", ""))).resolve().parent
