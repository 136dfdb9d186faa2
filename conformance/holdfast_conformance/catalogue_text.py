"""The catalogue of properties in words: when each applies."""

from holdfast.capabilities import (
    AccessCapabilities,
    ImageCapabilities,
    ListCapabilities,
    PrimaryCapabilities,
    UploadCapabilities,
    VolumeCapabilities,
)
from holdfast.requests import Role
from holdfast_conformance.evidence import Capabilities
from holdfast_conformance.registry import Property

_BARE: dict[Role, Capabilities] = {
    Role.PRIMARY: PrimaryCapabilities(
        volume=VolumeCapabilities(
            size_min_bytes=1, size_max_bytes=1, size_granularity_bytes=1, zeroes_new=False
        ),
        access=AccessCapabilities(modes=()),
    ),
    Role.IMAGE: ImageCapabilities(
        upload=UploadCapabilities(
            object_max_bytes=1, part_min_bytes=1, part_max_bytes=1, parts_max=1, kinds=()
        ),
        list=ListCapabilities(page_max=1, delimiter=False),
    ),
}
"""Documents that declare as little as possible: what a gate says of them is its text."""


def gate_text(found: Property) -> str:
    """Where a property does not apply, in words; empty when it applies to every store."""
    reasons = (found.gate(_BARE[role]) for role in found.roles)
    return "; ".join(dict.fromkeys(reason for reason in reasons if reason))
