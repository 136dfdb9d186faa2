"""What the ``iscsi`` driver is told, and what it declares for the storage host it finds."""

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
from holdfast.errors import Invalid
from holdfast.requests import Role
from holdfast_drivers.local.config import LocalConfig
from holdfast_drivers.local.features import Features
from holdfast_drivers.local.place import Place

BLOCK_BYTES: Final = 4096
TGT_SOCKET: Final = "/var/run/tgtd/socket.0"


class IscsiConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A store in a folder of a storage host that runs tgt.

    Args:
        portal: address and port at which hosts reach tgt, such as ``192.0.2.7:3260``.
        root: the absolute path, on the storage host, of a folder that exists.
        namespace: the part of it that belongs to this store; nothing else is ever touched.
        ssh_host: the storage host's management address; empty where Holdfast runs on it.
        ssh_port: of its SSH server.
        ssh_user: who works there; must own ``root`` and may speak to tgt.
        key_file: a private key of ours, on this machine.
        known_hosts_file: says which host key to expect, on this machine.
        python: the interpreter there that has Holdfast's packages.
        agent_socket: where an agent waits there for its clients; empty to start one each time.
        tgt_socket: where tgt takes orders there.
        mutual_user: the name with which targets prove themselves to hosts that ask (mutual CHAP).
        mutual_secret: the secret that goes with it.
        capacity_bytes: how much may be promised to volumes and snapshots together.
    """

    portal: str
    root: str
    namespace: str
    ssh_host: str = ""
    ssh_port: int = 22
    ssh_user: str = "root"
    key_file: str = ""
    known_hosts_file: str = ""
    python: str = "python3"
    agent_socket: str = ""
    tgt_socket: str = TGT_SOCKET
    mutual_user: str = ""
    mutual_secret: str = ""
    capacity_bytes: int | None = None


class HostConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The part of the configuration that the agent on the storage host needs."""

    portal: str
    root: str
    namespace: str
    tgt_socket: str
    mutual_user: str
    mutual_secret: str
    capacity_bytes: int | None


def host_config(config: IscsiConfig) -> HostConfig:
    """What the agent is told.

    Raises:
        Invalid: a setting can never work; it is named, and nobody is asked.
    """
    address, _, port = config.portal.rpartition(":")
    if not address or not port.isdecimal():
        raise Invalid(f"portal {config.portal!r} is no address and port, such as 192.0.2.7:3260")
    if bool(config.mutual_user) != bool(config.mutual_secret):
        raise Invalid("mutual_user and mutual_secret belong together; set both or none")
    check_secret("mutual_user", config.mutual_user)
    check_secret("mutual_secret", config.mutual_secret)
    if config.ssh_host and not (config.key_file and config.known_hosts_file):
        raise Invalid("with ssh_host, the settings key_file and known_hosts_file are needed")
    Place(
        LocalConfig(
            root=config.root, namespace=config.namespace, capacity_bytes=config.capacity_bytes
        ),
        Role.PRIMARY,
    )
    return HostConfig(
        portal=config.portal,
        root=config.root,
        namespace=config.namespace,
        tgt_socket=config.tgt_socket,
        mutual_user=config.mutual_user,
        mutual_secret=config.mutual_secret,
        capacity_bytes=config.capacity_bytes,
    )


def capabilities(config: IscsiConfig, features: Features) -> PrimaryCapabilities:
    """What a store in this folder can do.

    Snapshots and clones are shared blocks: without them a volume that a host writes to could only
    be copied while it changes, and so neither is declared.
    """
    return PrimaryCapabilities(
        volume=VolumeCapabilities(
            size_min_bytes=1,
            size_max_bytes=features.file_max_bytes,
            size_granularity_bytes=BLOCK_BYTES,
            thin=config.capacity_bytes is None,
        ),
        access=AccessCapabilities(
            modes=(AccessMode.EXCLUSIVE, AccessMode.READ_ONLY), enforced_at=Enforcer.STORAGE
        ),
        stats=StatsCapabilities(volume=True),
        resize=ResizeCapabilities(shrink=True),
        snapshot=SnapshotCapabilities(revert=True, native=True) if features.reflink else None,
        clone=CloneCapabilities(from_snapshot=True, from_volume=True, native=True)
        if features.reflink
        else None,
    )


def check_secret(what: str, secret: str) -> None:
    """``Invalid`` for a word that tgt's protocol cannot carry; it is not repeated."""
    if any(not 33 <= ord(letter) <= 126 or letter == "," for letter in secret):
        raise Invalid(f"{what} has characters other than printable ASCII without spaces or commas")
