"""What the ``nfs`` driver is told, and what it declares for the storage host it finds."""

import ipaddress
from typing import Final

import msgspec

from holdfast.capabilities import (
    AccessCapabilities,
    AccessMode,
    CloneCapabilities,
    Enforcer,
    PrimaryCapabilities,
    ResizeCapabilities,
    SnapshotCapabilities,
    StatsCapabilities,
    VolumeCapabilities,
)
from holdfast.data.images import ImageFormat
from holdfast.errors import Invalid
from holdfast_drivers.local.features import Features

BLOCK_BYTES: Final = 4096
QCOW2_MAX_BYTES: Final = 1 << 44
"""The tables of a qcow2 image grow with its disk; these still fit into every cache."""
_UNQUOTABLE: Final = frozenset('"\\')
EXPORTS_FOLDER: Final = "/etc/ganesha/holdfast"
PID_FILE: Final = "/var/run/ganesha/ganesha.pid"


class NfsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A store in a folder of a storage host that runs nfs-ganesha.

    Args:
        server: the address at which hosts reach the NFS server.
        root: the absolute path, on the storage host, of a folder that exists.
        namespace: the part of it that belongs to this store; nothing else is ever touched.
        hosts: the address from which each host uses NFS; not needed for hosts that are called by
            their address.
        ssh_host: the storage host's management address; empty where Holdfast runs on it.
        ssh_port: of its SSH server.
        ssh_user: who works there; must own ``root`` and may speak to ganesha on the system's D-Bus.
        key_file: a private key of ours, on this machine.
        known_hosts_file: says which host key to expect, on this machine.
        python: the interpreter there that has Holdfast's packages.
        agent_socket: where an agent waits there for its clients; empty to start one each time.
        exports_folder: where exports are written there, which ganesha reads when it starts.
        pid_file: where ganesha's process number is there.
        capacity_bytes: how much may be promised to volumes and snapshots together.
        format: of new volumes; those that are there keep theirs. ``qcow2`` needs qemu-img on the
            storage host.
    """

    server: str
    root: str
    namespace: str
    hosts: dict[str, str] = {}
    ssh_host: str = ""
    ssh_port: int = 22
    ssh_user: str = "root"
    key_file: str = ""
    known_hosts_file: str = ""
    python: str = "python3"
    agent_socket: str = ""
    exports_folder: str = EXPORTS_FOLDER
    pid_file: str = PID_FILE
    capacity_bytes: int | None = None
    format: ImageFormat = ImageFormat.RAW


class HostConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The part of the configuration that the agent on the storage host needs."""

    server: str
    root: str
    namespace: str
    hosts: dict[str, str]
    exports_folder: str
    pid_file: str
    capacity_bytes: int | None
    format: ImageFormat


def host_config(config: NfsConfig) -> HostConfig:
    """What the agent is told."""
    return HostConfig(
        server=config.server,
        root=config.root,
        namespace=config.namespace,
        hosts=config.hosts,
        exports_folder=config.exports_folder,
        pid_file=config.pid_file,
        capacity_bytes=config.capacity_bytes,
        format=config.format,
    )


def check_root(config: NfsConfig) -> None:
    """Refuse what can be no store, before the storage host is asked.

    Raises:
        Invalid: says which setting is wrong.
    """
    if not config.root.startswith("/"):
        raise Invalid(f"setting `root` is {config.root!r}, not an absolute path")
    if any(ord(letter) < 32 or letter in _UNQUOTABLE for letter in config.root):
        raise Invalid("setting `root` has characters that ganesha's configuration cannot hold")
    if config.capacity_bytes is not None and config.capacity_bytes <= 0:
        raise Invalid(f"setting `capacity_bytes`: {config.capacity_bytes} bytes hold nothing")


def address_of(hosts: dict[str, str], host: str) -> str:
    """The address from which a host uses NFS.

    Raises:
        Invalid: it is not known, so that the server could not tell the host from others.
    """
    try:
        return str(ipaddress.ip_address(hosts.get(host, host)))
    except ValueError:
        raise Invalid(
            f"the address of host {host} is not known, by which the NFS server tells hosts apart; "
            f"add it to the setting `hosts`, or call the host by its address",
            object=host,
        ) from None


def capabilities(config: NfsConfig, features: Features) -> PrimaryCapabilities:
    """What a store in this folder can do.

    Snapshots and clones are shared blocks: without them a volume that a host writes to could only
    be copied while it changes, and so neither is declared. A qcow2 volume grows as a copy too, so
    that it has the old size or the new one whatever happens; to shrink one, QEMU walks all of it.
    """
    raw = config.format is ImageFormat.RAW
    largest = features.file_max_bytes
    return PrimaryCapabilities(
        volume=VolumeCapabilities(
            size_min_bytes=1,
            size_max_bytes=largest if raw else min(largest // 2, QCOW2_MAX_BYTES),
            size_granularity_bytes=BLOCK_BYTES,
            thin=config.capacity_bytes is None,
        ),
        access=AccessCapabilities(
            modes=(AccessMode.EXCLUSIVE, AccessMode.READ_ONLY), enforced_at=Enforcer.STORAGE
        ),
        stats=StatsCapabilities(volume=True),
        resize=ResizeCapabilities(shrink=raw) if raw or features.reflink else None,
        snapshot=SnapshotCapabilities(revert=True, native=True) if features.reflink else None,
        clone=CloneCapabilities(from_snapshot=True, from_volume=True, native=True)
        if features.reflink
        else None,
    )
