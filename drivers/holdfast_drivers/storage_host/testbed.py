"""What testbeds of stores on a storage host share: its SSH behind a fault proxy, and its agent."""

from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Final

import holdfast
import holdfast_drivers
from holdfast.contract.errors import ErrorKind
from holdfast.contract.requests import Role
from holdfast.contract.testbed import BadConfig, TestbedKind
from holdfast_drivers.servers.fault_proxy import FaultProxy
from holdfast_drivers.servers.proxied_testbed import ProxiedTestbed
from holdfast_drivers.servers.running_servers import Server
from holdfast_drivers.servers.server_specs import Mount, ServerFile
from holdfast_drivers.servers.wrong_settings import WrongSetting, bad_configs
from holdfast_drivers.storage_host.keys import Keys

SSH_PORT: Final = 22
AGENT_SOCKET: Final = "/run/holdfast-agent.socket"
AUTHORIZED_KEYS: Final = "/etc/ssh/authorized_keys"
_HOST_KEY: Final = "/etc/ssh/ssh_host_ed25519_key"
_PACKAGES: Final = "/opt/holdfast"


class StorageHostTestbed(ProxiedTestbed):
    """One storage host; all namespaces are beside each other in one folder of it.

    Args:
        server: the storage host.
        proxy: before its SSH server.
        keys: whom it knows.
    """

    kind = TestbedKind.CONTAINER
    data_plane = True
    root: ClassVar[str]
    """The folder, on the storage host, in which stores are made."""

    def __init__(self, server: Server, proxy: FaultProxy, keys: Keys) -> None:
        super().__init__(proxy)
        self.server = server
        self._keys = keys
        self._known_hosts = keys.known_hosts(proxy.address, "known_hosts", keys.host)

    def reached(self, namespace: str) -> dict[str, Any]:
        """The settings by which a store's agent is reached through the proxy."""
        host, port = self.proxy.address
        return {
            "root": self.root,
            "namespace": namespace,
            "ssh_host": host,
            "ssh_port": port,
            "key_file": str(self._keys.ours),
            "known_hosts_file": str(self._known_hosts),
            "agent_socket": AGENT_SOCKET,
        }

    def bad_configs(self, role: Role, namespace: str) -> tuple[BadConfig, ...]:
        """Wrong addresses, credentials, host keys and folders, each wrong in one setting."""
        wrong = (*self._wrong_channel(), *self.wrong_settings())
        return bad_configs(self.config(role, namespace), wrong)

    @abstractmethod
    def wrong_settings(self) -> Iterator[WrongSetting]:
        """Settings of this kind of server alone that are wrong."""

    def _wrong_channel(self) -> Iterator[WrongSetting]:
        stranger = self._keys.known_hosts(self.proxy.address, "strangers", self._keys.stranger)
        away, invalid = (ErrorKind.UNAVAILABLE,), (ErrorKind.INVALID,)
        unknown = (ErrorKind.UNAUTHENTICATED,)
        yield "wrong address", {"ssh_host": "127.53.255.254"}, away
        yield "wrong port", {"ssh_port": 1}, away
        yield "wrong user", {"ssh_user": "nobody"}, unknown
        yield "wrong key", {"key_file": str(self._keys.stranger)}, unknown
        yield "missing key", {"key_file": str(self._keys.folder / "no")}, invalid
        yield "no key", {"key_file": ""}, invalid
        yield "wrong host key", {"known_hosts_file": str(stranger)}, (ErrorKind.DENIED,)
        yield "missing python", {"agent_socket": "", "python": "/nowhere/python3"}, invalid
        yield "wrong socket of the agent", {"agent_socket": "/run/no-agent"}, away
        yield "missing root", {"root": f"{self.root}/missing"}, invalid
        yield "a relative root", {"root": "relative"}, invalid
        yield "no capacity", {"capacity_bytes": 0}, invalid


def ssh_files(keys: Keys) -> tuple[ServerFile, ...]:
    """What makes a storage host let our key in and be known by its own."""
    authorized = keys.ours.with_suffix(".pub").read_bytes()
    return (
        ServerFile(path=AUTHORIZED_KEYS, data=authorized, mode=0o600),
        ServerFile(path=_HOST_KEY, data=keys.host.read_bytes(), mode=0o600),
    )


def package_mounts() -> tuple[Mount, ...]:
    """What a storage host's agent imports: the framework and the drivers, as they are here."""
    return tuple(
        Mount(source=_folder_of(package), target=f"{_PACKAGES}/{package.__name__}")
        for package in (holdfast, holdfast_drivers)
    )


def _folder_of(package: object) -> Path:
    return Path(str(getattr(package, "__file__", ""))).resolve().parent


async def has_agent(server: Server) -> bool:
    """Whether an agent waits for its clients on a storage host."""
    return not (await server.exec(("test", "-S", AGENT_SOCKET))).status
