"""The testbed: a storage host in a container with tgt, managed over SSH through a fault proxy."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import msgspec

from holdfast.concurrency.runtime import runtime
from holdfast.contract.errors import ErrorKind
from holdfast.contract.requests import Role
from holdfast.contract.testbed import BackendIdentity, Fault, Inspector
from holdfast_drivers.inspection.inside_process import InsideProcess
from holdfast_drivers.iscsi.config import IscsiConfig
from holdfast_drivers.iscsi.inspector import IscsiInspector, inside_process
from holdfast_drivers.servers.container_faults import begin_fault, end_fault
from holdfast_drivers.servers.fault_proxy import PROXY_FAULTS, FaultProxy
from holdfast_drivers.servers.loop_devices import loop_devices, make_loop_devices
from holdfast_drivers.servers.run_folders import make_run_folder
from holdfast_drivers.servers.running_servers import Server, run_server, until_ready
from holdfast_drivers.servers.server_specs import ImageRecipe, Mount, ServerSpec
from holdfast_drivers.servers.wrong_settings import WrongSetting
from holdfast_drivers.storage_host.keys import Keys
from holdfast_drivers.storage_host.testbed import (
    SSH_PORT,
    StorageHostTestbed,
    has_agent,
    package_mounts,
    ssh_files,
)

TGT: Final = ImageRecipe(name="holdfast/tgt", folder=Path(__file__).parent / "server_image")
ISCSI_PORT: Final = 3260
_VOLUMES: Final = "/srv/volumes"
ROOT: Final = f"{_VOLUMES}/outer/root"
_SIZE: Final = "1G"
_OWN: Final = "xfs"


class IscsiTestbed(StorageHostTestbed):
    """A storage host that serves volumes with tgt."""

    second_path = "tgtadm and the files themselves, in a process inside the container"
    faults = PROXY_FAULTS | {Fault.KILLED, Fault.PAUSED, Fault.FULL, Fault.REVOKED}
    root = ROOT

    def __init__(
        self,
        server: Server,
        proxy: FaultProxy,
        inside: InsideProcess,
        keys: Keys,
        identity: BackendIdentity,
    ) -> None:
        super().__init__(server, proxy, keys)
        self.identity = identity
        if not identity.detail.endswith(_OWN):
            self.faults -= {Fault.FULL}  # a disk that is everybody's is never filled
        self._inside = inside

    def config(self, role: Role, namespace: str) -> IscsiConfig:
        """A configuration that reaches the storage host through the proxy."""
        return IscsiConfig(
            portal=f"{self.server.address}:{ISCSI_PORT}",
            mutual_user="target",
            mutual_secret="a-secret-of-the-target",  # noqa: S106 - of a server that lives for one run
            **self.reached(namespace),
        )

    def wrong_settings(self) -> Iterator[WrongSetting]:
        """Portals and sockets that are none, and a mutual account without its secret."""
        yield "no portal", {"portal": "nowhere"}, (ErrorKind.INVALID,)
        yield "wrong socket of tgt", {"tgt_socket": "/run/no-tgt"}, (ErrorKind.UNAVAILABLE,)
        yield "half a mutual account", {"mutual_secret": ""}, (ErrorKind.INVALID,)

    def inspector(self, role: Role, namespace: str) -> Inspector:
        """Looks at the namespace from inside the container."""
        return IscsiInspector(self._inside, namespace)

    async def begin(self, fault: Fault) -> None:
        """Kill or freeze the container, fill its disk, or keep our key out."""
        match fault:
            case Fault.FULL:
                await self._inside.ask(("fill",))
            case Fault.REVOKED:
                await self._inside.ask(("lock_out",))
                self.proxy.reset_now()
            case _:
                await begin_fault(self.server, fault)

    async def end(self, fault: Fault) -> None:
        match fault:
            case Fault.FULL:
                await self._inside.ask(("unfill",))
            case Fault.REVOKED:
                await self._inside.ask(("let_in",))
            case _:
                await end_fault(self.server, fault)
                await until_ready(self.server, is_ready)

    async def remove(self, role: Role, namespace: str) -> None:
        """Remove the namespace's folder and whatever tgt serves of it."""
        await self._inside.ask(("remove", namespace))


async def is_ready(server: Server) -> bool:
    """Whether tgt answers and sshd listens."""
    shown = await server.exec(("tgtadm", "--op", "show", "--mode", "sys"))
    if shown.status or b"State: ready" not in shown.stdout:
        return False
    if not await has_agent(server):
        return False
    async with asyncio.timeout(5):
        _, writer = await asyncio.open_connection(server.address, SSH_PORT)
    writer.close()
    return True


@asynccontextmanager
async def iscsi_testbed(run: str) -> AsyncIterator[IscsiTestbed]:
    """A storage host of its own for each run; a run that goes on adopts the one it has.

    Raises:
        EnvironmentUnavailable: no engine, or no image yet.
    """
    state = await runtime().run_blocking(make_run_folder, "iscsi", run)
    keys = Keys(folder=state / "keys")
    await runtime().run_blocking(keys.make)
    (state / "volumes").mkdir(exist_ok=True)
    await runtime().run_blocking(make_loop_devices)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(runtime().run_blocking, shutil.rmtree, state, ignore_errors=True)
        server = await stack.enter_async_context(run_server(_spec(state, keys), run, is_ready))
        proxy = await stack.enter_async_context(FaultProxy(upstream=(server.address, SSH_PORT)))
        inside = inside_process(server)
        stack.push_async_callback(inside.close)
        identity = msgspec.convert(await inside.ask(("identity",)), BackendIdentity)
        yield IscsiTestbed(server, proxy, inside, keys, identity)


def _spec(state: Path, keys: Keys) -> ServerSpec:
    return ServerSpec(
        backend="iscsi",
        image=TGT,
        environment={"VOLUMES_SIZE": _SIZE},
        cap_add=("SYS_ADMIN",),
        security_opt=("seccomp=unconfined", "apparmor=unconfined"),
        devices=loop_devices(),
        mounts=(
            Mount(source=state / "volumes", target="/state", writable=True),
            *package_mounts(),
        ),
        files=ssh_files(keys),
    )
