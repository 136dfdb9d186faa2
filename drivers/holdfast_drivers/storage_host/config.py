"""A storage host that an agent works on: its settings, and what every store there can do.

The agent itself reads this module, so that it needs nothing but what the agent has.
"""

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
from holdfast_drivers.local.config import BLOCK_BYTES
from holdfast_drivers.local.features import Features

QCOW2_MAX_BYTES: Final = 1 << 44
"""The tables of a qcow2 image grow with its disk; these still fit into every cache."""


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


def storage_host_capabilities(
    config: StorageHostConfig, features: Features, form: ImageFormat = ImageFormat.RAW
) -> PrimaryCapabilities:
    """What a store can do whose volumes a server lets hosts use.

    Snapshots and clones are shared blocks: without them a volume that a host writes to could only
    be copied while it changes, and so neither is declared. A qcow2 volume grows as a copy too, so
    that it has the old size or the new one whatever happens; to shrink one, QEMU walks all of it.
    """
    raw, shares = form is ImageFormat.RAW, features.reflink
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
        resize=ResizeCapabilities(shrink=raw) if raw or shares else None,
        snapshot=SnapshotCapabilities(revert=True, native=True) if shares else None,
        clone=(
            CloneCapabilities(from_snapshot=True, from_volume=True, native=True) if shares else None
        ),
    )
