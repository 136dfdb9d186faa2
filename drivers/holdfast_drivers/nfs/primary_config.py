"""What the ``nfs`` driver is told, and what it declares for the storage host it finds."""

import ipaddress
from typing import Final

import msgspec

from holdfast.contract.errors import Invalid
from holdfast.data.disk_images import ImageFormat
from holdfast_drivers.storage_host.config import AgentConfig, StorageHostConfig

_UNQUOTABLE: Final = frozenset('"\\')
EXPORTS_FOLDER: Final = "/etc/ganesha/holdfast"
PID_FILE: Final = "/var/run/ganesha/ganesha.pid"


class NfsConfig(StorageHostConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A store in a folder of a storage host that runs nfs-ganesha.

    Args:
        server: the address at which hosts reach the NFS server.
        hosts: the address from which each host uses NFS; not needed for hosts that are called by
            their address.
        exports_folder: where exports are written there, which ganesha reads when it starts.
        pid_file: where ganesha's process number is there.
        format: of new volumes; those that are there keep theirs. ``qcow2`` needs qemu-img on the
            storage host.
    """

    server: str
    hosts: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    exports_folder: str = EXPORTS_FOLDER
    pid_file: str = PID_FILE
    format: ImageFormat = ImageFormat.RAW


class HostConfig(AgentConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The part of the configuration that the agent on the storage host needs."""

    server: str
    hosts: dict[str, str]
    exports_folder: str
    pid_file: str
    format: ImageFormat


def host_config(config: NfsConfig) -> HostConfig:
    """What the agent is told.

    Raises:
        Invalid: a setting can never work; it is named, and nobody is asked.
    """
    check_root(config)
    for host in config.hosts:
        address_of(config.hosts, host)
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
