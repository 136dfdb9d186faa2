"""A storage host that an agent works on: its settings.

The agent itself reads this module, so that it needs nothing but what the agent has.
"""

import msgspec

from holdfast.contract.requests import Role
from holdfast_drivers.local.config import LocalConfig
from holdfast_drivers.local.store_folder import Place


class StorageHostConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A store in a folder of a storage host.

    Args:
        root: the absolute path, on the storage host, of a folder that exists.
        namespace: the part of it that belongs to this store; nothing else is ever touched.
        capacity_bytes: how much may be promised to volumes and snapshots together.
        ssh_host: the storage host's management address; empty where Holdfast runs on it.
        ssh_port: of its SSH server.
        ssh_user: who works there; must own ``root`` and may speak to the server that serves it.
        key_file: a private key of ours, on this machine.
        known_hosts_file: says which host key to expect, on this machine.
        python: the interpreter there that has Holdfast's packages.
        agent_socket: where an agent waits there for its clients; empty to start one each time.
    """

    root: str
    namespace: str
    capacity_bytes: int | None = None
    ssh_host: str = ""
    ssh_port: int = 22
    ssh_user: str = "root"
    key_file: str = ""
    known_hosts_file: str = ""
    python: str = "python3"
    agent_socket: str = ""


class AgentConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The part of any configuration that the agent on the storage host needs."""

    root: str
    namespace: str
    capacity_bytes: int | None

    def place(self) -> Place:
        """The store's folder.

        Raises:
            Invalid: there can be none.
        """
        config = LocalConfig(
            root=self.root, namespace=self.namespace, capacity_bytes=self.capacity_bytes
        )
        return Place(config, Role.PRIMARY)
