"""The NFS server that the testbeds start: nfs-ganesha in a container, and what can befall it."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import msgspec

from holdfast.concurrency.runtime import runtime
from holdfast.contract.errors import EnvironmentUnavailable
from holdfast.contract.testbed import Fault
from holdfast_drivers.nfs.libnfs import Address, Client
from holdfast_drivers.servers.container_faults import begin_fault, end_fault
from holdfast_drivers.servers.loop_devices import loop_devices, make_loop_devices
from holdfast_drivers.servers.running_servers import (
    ReadyProbe,
    Server,
    ServerSpec,
    run_server,
    until_ready,
)
from holdfast_drivers.servers.server_specs import BackendServer, ImageRecipe, ServerFile

RECIPE: Final = ImageRecipe(name="holdfast/ganesha", folder=Path(__file__).parent / "server_image")
BACKEND: Final = BackendServer(name="nfs-ganesha", images=(RECIPE,))
EXPORT: Final = "/export"
_PORTS: Final = "111,2049,20048"
_PROBE_S: Final = 2.0
FAULTS: Final = frozenset(
    {
        Fault.DOWN,
        Fault.KILLED,
        Fault.PAUSED,
        Fault.CUT_OFF,
        Fault.SLOW,
        Fault.VOID,
        Fault.FULL,
        Fault.REVOKED,
    }
)
_SSH_PORT: Final = 22
_PORTMAPPER_PORT: Final = 111
_NFS_PORT: Final = 2049
_NFS: Final = 100003
_LAST_FRAGMENT: Final = 1 << 31
_NULL_CALL: Final = struct.Struct(">11I")
"""Length, id, call, RPC version, program, version, procedure, and no credentials."""
_NULL_ANSWER: Final = struct.Struct(">7I")
"""Length, id, answer, denied, no credentials, and whether it failed."""
_EXPORT: Final = (
    "EXPORT {{ Export_Id = 1; Path = /export; Pseudo = /export; Access_Type = {access};"
    " FSAL {{ Name = VFS; }} }}\n"
)
_FIREWALL: Final = {
    Fault.DOWN: (("INPUT", "--dports", "-j", "REJECT", "--reject-with", "tcp-reset"),),
    Fault.CUT_OFF: (("INPUT", "--dports", "-j", "DROP"), ("OUTPUT", "--sports", "-j", "DROP")),
    # An acknowledgement has 40 to 60 bytes; an answer has more.
    Fault.VOID: (("OUTPUT", "--sports", "-m", "length", "--length", "61:65535", "-j", "DROP"),),
}
# An answer has about 200 bytes, and the bucket must hold the longest packet: it is emptied first.
_SLOWED: Final = (
    "tc qdisc add dev eth0 root tbf rate 2kbit burst 1600 latency 60s && "
    "via=$(ip -4 route show default | cut -d ' ' -f 3) python3 -c 'import os, socket; "
    'socket.socket(type=socket.SOCK_DGRAM).sendto(bytes(1500), (os.environ["via"], 9))\''
)
_HASTENED: Final = "tc qdisc del dev eth0 root"


class Storage(msgspec.Struct, frozen=True, kw_only=True):
    """What the storage host's kernel gave the export.

    ``bounded``: it is a file system of its own, of the size that was asked for. ``shapes``: it can
    make the container's network slow.
    """

    file_system: str
    version: str
    bounded: bool
    shapes: bool

    def faults(self, possible: frozenset[Fault]) -> frozenset[Fault]:
        """A disk that is everybody's is never filled."""
        return possible if self.bounded else possible - {Fault.FULL}


def server_spec(backend: str, files: tuple[ServerFile, ...], size: str) -> ServerSpec:
    """The container: its file system is a loop device's, of at most ``size``."""
    make_loop_devices()
    return ServerSpec(
        backend=backend,
        image=RECIPE,
        environment={"EXPORT_SIZE": size},
        cap_add=("SYS_ADMIN", "DAC_READ_SEARCH", "NET_ADMIN"),
        security_opt=("seccomp=unconfined", "apparmor=unconfined"),
        devices=loop_devices(),
        files=files,
    )


@asynccontextmanager
async def exporting_server(run: str, size: str) -> AsyncIterator[Server]:
    """A server that exports one folder to everybody on the project's network."""
    files = (
        ServerFile(path="/state/exports/whole.conf", data=_EXPORT.format(access="RW").encode()),
    )
    spec = server_spec("nfs-image", files, size)
    async with run_server(spec, run, exports) as server:
        yield server


async def serves(server: Server) -> bool:
    """Whether the NFS server answers, and sshd listens."""
    async with asyncio.timeout(_PROBE_S):
        for port in (_SSH_PORT, _PORTMAPPER_PORT):
            _, writer = await asyncio.open_connection(server.address, port)
            writer.close()
        return await _answers_null(server.address)


async def _answers_null(address: str) -> bool:
    """Whether the NFS service answers the call that does nothing (RFC 1813, section 3.3.0)."""
    reader, writer = await asyncio.open_connection(address, _NFS_PORT)
    try:
        call = _NULL_CALL.pack(_LAST_FRAGMENT | (_NULL_CALL.size - 4), 1, 0, 2, _NFS, 3, *[0] * 5)
        writer.write(call)
        answer = _NULL_ANSWER.unpack(await reader.readexactly(_NULL_ANSWER.size))
    finally:
        writer.close()
    _, _, kind, denied, _, _, failed = answer
    return kind == 1 and not denied and not failed


async def exports(server: Server) -> bool:
    """Whether the export can be mounted; an ``OSError`` means that it cannot yet."""
    lane = runtime().open_lane()

    def mount() -> None:
        address = Address(server=server.address, export=EXPORT, uid=0, gid=0)
        Client(address, lambda: _PROBE_S).close()

    try:
        await lane.run(mount)
    finally:
        lane.close()
    return True


async def checked(server: Server, *argv: str) -> str:
    """What a command inside writes; ``EnvironmentUnavailable`` with its complaint when it fails."""
    result = await server.exec(argv)
    if result.status:
        text = result.stderr.decode(errors="replace").strip()
        raise EnvironmentUnavailable(f"{argv[0]} failed in {server.name}: {text}")
    return result.stdout.decode(errors="replace").strip()


@asynccontextmanager
async def fault_in_force(server: Server, fault: Fault, ready: ReadyProbe) -> AsyncIterator[None]:
    """Keep a fault in force; afterwards the server works again, with all data."""
    match fault:
        case Fault.DOWN | Fault.CUT_OFF | Fault.VOID:
            await _firewall(server, fault, "-I")
            ending = _firewall(server, fault, "-D")
        case Fault.SLOW:
            await checked(server, "sh", "-c", _SLOWED)
            ending = _call(server, "sh", "-c", _HASTENED)
        case Fault.FULL:
            await _fill(server)
            # Cut before it is removed: xfs gives the blocks of a removed file back only later.
            ending = _call(
                server, "sh", "-c", f": > {EXPORT}/.full && rm {EXPORT}/.full && sync -f {EXPORT}"
            )
        case Fault.REVOKED:
            await _access(server, "None")
            ending = _access(server, "RW")
        case _:
            await begin_fault(server, fault)
            ending = end_fault(server, fault)
    try:
        yield
    finally:
        await ending
        await until_ready(server, ready)


async def _call(server: Server, *argv: str) -> None:
    await checked(server, *argv)


async def _firewall(server: Server, fault: Fault, do: str) -> None:
    """Put rules into the container's own network namespace, or take them out."""
    rules = [
        f"iptables -w {do} {chain} -p tcp -m multiport {side} {_PORTS} {' '.join(rest)}"
        for chain, side, *rest in _FIREWALL[fault]
    ]
    await checked(server, "sh", "-c", " && ".join(rules))


async def _fill(server: Server) -> None:
    """Take all the space there is, in big pieces and then in small ones."""
    script = (
        "test ! -e /state/folder || exit 1; "
        f"free=$(df -B1 --output=avail {EXPORT} | tail -1); "
        f"fallocate -l $free {EXPORT}/.full || :; "
        f"dd if=/dev/zero of={EXPORT}/.full bs=4096 oflag=append conv=notrunc,fsync status=none"
        " 2>/dev/null || :"
    )
    await checked(server, "sh", "-c", script)


async def _access(server: Server, access: str) -> None:
    """Give the export another access, as its administrator would."""
    await server.put_file("/state/exports/whole.conf", _EXPORT.format(access=access).encode())
    await checked(
        server,
        *_dbus("UpdateExport", "string:/state/exports/whole.conf", "string:EXPORT(Export_Id=1)"),
    )


def _dbus(method: str, *arguments: str) -> tuple[str, ...]:
    return (
        "dbus-send",
        "--system",
        "--print-reply",
        "--dest=org.ganesha.nfsd",
        "/org/ganesha/nfsd/ExportMgr",
        f"org.ganesha.nfsd.exportmgr.{method}",
        *arguments,
    )
