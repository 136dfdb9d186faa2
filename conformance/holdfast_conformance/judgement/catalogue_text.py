"""The catalogue of properties in words: its categories, and where each property applies."""

from holdfast.contract.capabilities import (
    AccessCapabilities,
    ImageCapabilities,
    ListCapabilities,
    PrimaryCapabilities,
    UploadCapabilities,
    VolumeCapabilities,
)
from holdfast.contract.requests import Role
from holdfast_conformance.judgement.evidence import Capabilities
from holdfast_conformance.judgement.registry import Property

CATEGORIES = {
    "CAP": "Capability and identity",
    "LIF": "Store life cycle",
    "VOL": "Volumes",
    "SIZ": "Size",
    "ACC": "Access",
    "SNP": "Snapshot, revert, clone",
    "CPY": "Copy",
    "CST": "Capacity and statistics",
    "QOS": "Quality of service",
    "IMG": "Image store",
    "IDM": "Idempotency",
    "PRB": "Probe and enumerate",
    "FEN": "Fences",
    "LST": "Lists",
    "DAT": "Data integrity",
    "ERR": "Errors",
    "SEC": "Security",
    "PRF": "Performance",
    "CON": "Concurrency",
    "CRS": "Crash and recovery",
}
"""The categories of properties, in the order in which they are shown."""

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


def gate_text(entry: Property) -> str:
    """Where a property does not apply, in words; empty when it applies to every store."""
    reasons = (entry.gate(_BARE[role]) for role in entry.roles)
    return "; ".join(dict.fromkeys(reason for reason in reasons if reason))
