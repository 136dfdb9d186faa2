"""What a shelf is told and what it declares."""

import msgspec

from holdfast.contract.capabilities import (
    AccessCapabilities,
    Enforcer,
    PrimaryCapabilities,
    VolumeCapabilities,
)

HOSTS_MAX = 2


class ShelfConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A shelf: the folder ``namespace`` (letters, digits, ``-``, ``_``) inside ``folder``."""

    folder: str
    namespace: str


CAPABILITIES = PrimaryCapabilities(
    volume=VolumeCapabilities(
        size_min_bytes=1,
        size_max_bytes=1 << 40,
        size_granularity_bytes=4096,
        volumes_max=100,
        thin=True,
    ),
    access=AccessCapabilities(enforced_at=Enforcer.CONSUMER, hosts_max=HOSTS_MAX),
)
