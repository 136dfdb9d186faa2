"""The testbed: a storage host in a container with tgt, managed over SSH through a fault proxy."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import asyncssh
import msgspec

import holdfast
import holdfast_drivers
from holdfast.backends.fault_proxy import PROXY_FAULTS, FaultProxy
from holdfast.backends.loops import loop_devices, make_loop_devices
from holdfast.backends.run_folders import make_run_folder
from holdfast.backends.servers import Server, run_server
from holdfast.backends.specs import ImageRecipe, Mount, ServerFile, ServerSpec
from holdfast.errors import EnvironmentUnavailable, ErrorKind
from holdfast.requests import Role
from holdfast.runtime import runtime
from holdfast.testbed import BackendIdentity, BadConfig, Fault, Inspector, Testbed, TestbedKind
from holdfast_drivers.iscsi.config import IscsiConfig
from holdfast_drivers.iscsi.inspector import Inside, IscsiInspector

TGT: Final = ImageRecipe(name="holdfast/tgt", folder=Path(__file__).parent / "container")
ISCSI_PORT: Final = 3260
SSH_PORT: Final = 22
_VOLUMES: Final = "/srv/volumes"
ROOT: Final = f"{_VOLUMES}/outer/root"
_SIZE: Final = "1G"
_OWN: Final = "xfs"
_AUTHORIZED: Final = "/etc/ssh/authorized_keys"
_HOST_KEY: Final = "/etc/ssh/ssh_host_ed25519_key"
_AGENT: Final = "/run/holdfast-agent.socket"
_READY_S: Final = 60.0


class Keys(msgspec.Struct, frozen=True, kw_only=True):
    """Throw-away keys in a folder of this machine: ours, the storage host's, and strangers'."""

    folder: Path

    @property
    def ours(self) -> Path:
        """The key that the storage host lets in."""
        return self.folder / "ours"

    @property
    def stranger(self) -> Path:
        """A key that it does not know."""
        return self.folder / "stranger"

    @property
    def host(self) -> Path:
        """The storage host's own key."""
        return self.folder / "host"

    def make(self) -> None:
        """Make those that are not there. Blocking."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in (self.ours, self.stranger, self.host):
            if not path.exists():
                made = _new_key()
                path.with_suffix(".pub").write_bytes(made.export_public_key())
                path.touch(mode=0o600)
                path.write_bytes(made.export_private_key())

    def known_hosts(self, address: tuple[str, int], name: str, key: Path) -> Path:
        """A file that expects ``key`` of the storage host at an address."""
        path = self.folder / name
        public = key.with_suffix(".pub").read_text(encoding="ascii")
        path.write_text(f"[{address[0]}]:{address[1]} {public}", encoding="ascii")
        return path


def _new_key() -> asyncssh.SSHKey:
    return asyncssh.generate_private_key("ssh-ed25519")  # pyright: ignore[reportUnknownMemberType] - typed in parts only


class IscsiTestbed(Testbed):
    """One storage host; all namespaces are beside each other in one folder of it."""

    kind = TestbedKind.CONTAINER
    second_path = "tgtadm and the files themselves, in a process inside the container"
    data_plane = True
    faults = PROXY_FAULTS | {Fault.KILLED, Fault.PAUSED, Fault.FULL, Fault.REVOKED}

    def __init__(
        self,
        server: Server,
        proxy: FaultProxy,
        inside: Inside,
        keys: Keys,
        identity: BackendIdentity,
    ) -> None:
        self.server = server
        self.proxy = proxy
        self.identity = identity
        if not identity.detail.endswith(_OWN):
            self.faults -= {Fault.FULL}  # a disk that is everybody's is never filled
        self._inside = inside
        self._keys = keys
        self._known_hosts = keys.known_hosts(proxy.address, "known_hosts", keys.host)

    @property
    def tasks(self) -> frozenset[asyncio.Task[None]]:
        """Those of the proxy."""
        return self.proxy.tasks

    def config(self, role: Role, namespace: str) -> IscsiConfig:
        """A configuration that reaches the storage host through the proxy."""
        host, port = self.proxy.address
        return IscsiConfig(
            portal=f"{self.server.address}:{ISCSI_PORT}",
            root=ROOT,
            namespace=namespace,
            ssh_host=host,
            ssh_port=port,
            key_file=str(self._keys.ours),
            known_hosts_file=str(self._known_hosts),
            agent_socket=_AGENT,
            mutual_user="target",
            mutual_secret="a-secret-of-the-target",  # noqa: S106 - of a server that lives for one run
        )

    def bad_configs(self, role: Role, namespace: str) -> tuple[BadConfig, ...]:
        """Wrong addresses, credentials, host keys and folders, each wrong in one setting."""
        good = self.config(role, namespace)
        stranger = self._keys.known_hosts(self.proxy.address, "strangers", self._keys.stranger)
        away = (ErrorKind.UNAVAILABLE,)
        invalid = (ErrorKind.INVALID,)
        rows: tuple[tuple[str, dict[str, object], tuple[ErrorKind, ...]], ...] = (
            ("wrong address", {"ssh_host": "127.0.0.2"}, away),
            ("wrong port", {"ssh_port": 1}, away),
            ("wrong user", {"ssh_user": "nobody"}, (ErrorKind.UNAUTHENTICATED,)),
            ("wrong key", {"key_file": str(self._keys.stranger)}, (ErrorKind.UNAUTHENTICATED,)),
            ("missing key", {"key_file": str(self._keys.folder / "no")}, invalid),
            ("no key", {"key_file": ""}, invalid),
            ("wrong host key", {"known_hosts_file": str(stranger)}, (ErrorKind.DENIED,)),
            ("missing python", {"agent_socket": "", "python": "/nowhere/python3"}, invalid),
            ("wrong socket of the agent", {"agent_socket": "/run/no-agent"}, away),
            ("missing root", {"root": f"{ROOT}/missing"}, invalid),
            ("a relative root", {"root": "relative"}, invalid),
            ("no capacity", {"capacity_bytes": 0}, invalid),
            ("no portal", {"portal": "nowhere"}, invalid),
            ("wrong socket of tgt", {"tgt_socket": "/run/no-tgt"}, away),
            ("half a mutual account", {"mutual_secret": ""}, invalid),
        )
        return tuple(
            BadConfig(name=name, config=msgspec.structs.replace(good, **changes), expected=expected)
            for name, changes, expected in rows
        )

    def inspector(self, role: Role, namespace: str) -> Inspector:
        """Looks at the namespace from inside the container."""
        return IscsiInspector(self._inside, namespace)

    @asynccontextmanager
    async def inject(self, fault: Fault) -> AsyncIterator[None]:
        """Keep a fault in force; afterwards the storage host works again."""
        if fault in PROXY_FAULTS:
            async with self.proxy.inject(fault):
                yield
            return
        server = self.server
        match fault:
            case Fault.KILLED:
                await server.kill()
                ending = self._restart()
            case Fault.PAUSED:
                await server.pause()
                ending = server.unpause()
            case Fault.FULL:
                await self._inside.ask("fill")
                ending = self._inside.ask("unfill")
            case Fault.REVOKED:
                await self._inside.ask("lock_out")
                self.proxy.reset_now()
                ending = self._inside.ask("let_in")
            case _:
                raise ValueError(f"a storage host has no fault {fault}")
        try:
            yield
        finally:
            await ending

    async def _restart(self) -> None:
        await self.server.start()
        deadline = runtime().now() + _READY_S
        while not await is_ready(self.server):
            if runtime().now() > deadline:
                raise EnvironmentUnavailable(f"{self.server.name} does not come back")

    def request_seen(self, count: int = 1) -> Awaitable[None] | None:
        """The proxy sees every request, each in one piece."""
        return self.proxy.next_request(count)

    async def remove(self, role: Role, namespace: str) -> None:
        """Remove the namespace's folder and whatever tgt serves of it."""
        await self._inside.ask("remove", namespace)


async def is_ready(server: Server) -> bool:
    """Whether tgt answers and sshd listens."""
    shown = await server.exec(("tgtadm", "--op", "show", "--mode", "sys"))
    if shown.status or b"State: ready" not in shown.stdout:
        return False
    if (await server.exec(("test", "-S", _AGENT))).status:
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
        inside = Inside(server)
        stack.push_async_callback(inside.close)
        identity = msgspec.convert(await inside.ask("identity"), BackendIdentity)
        yield IscsiTestbed(server, proxy, inside, keys, identity)


def _spec(state: Path, keys: Keys) -> ServerSpec:
    authorized = keys.ours.with_suffix(".pub").read_bytes()
    return ServerSpec(
        backend="iscsi",
        image=TGT,
        environment={"VOLUMES_SIZE": _SIZE},
        cap_add=("SYS_ADMIN",),
        security_opt=("seccomp=unconfined", "apparmor=unconfined"),
        devices=loop_devices(),
        mounts=(
            Mount(source=state / "volumes", target="/state", writable=True),
            Mount(source=_package(holdfast), target="/opt/holdfast/holdfast"),
            Mount(source=_package(holdfast_drivers), target="/opt/holdfast/holdfast_drivers"),
        ),
        files=(
            ServerFile(path=_AUTHORIZED, data=authorized, mode=0o600),
            ServerFile(path=_HOST_KEY, data=keys.host.read_bytes(), mode=0o600),
        ),
    )


def _package(module: object) -> Path:
    return Path(str(getattr(module, "__file__", ""))).resolve().parent
