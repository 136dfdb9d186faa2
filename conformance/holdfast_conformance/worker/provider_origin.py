"""Where a provider comes from: its distribution, and a digest of its sources."""

import hashlib
import sys
from importlib.metadata import Distribution, distribution, entry_points, packages_distributions
from pathlib import Path

import msgspec

from holdfast.contract.ports import Provider
from holdfast.stores.plugins import GROUP
from holdfast_conformance.report.sources import digest_of_package


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """A provider's distribution and version, empty where there is none, and its digest."""

    distribution: str
    version: str
    source_sha256: str


def origin_of(provider: Provider) -> Origin:
    """The origin of a loaded provider."""
    module_name = type(provider).__module__
    found = _distribution(module_name.partition(".")[0])
    return Origin(
        distribution=found.name if found else "",
        version=found.version if found else "",
        source_sha256=_digest(module_name),
    )


def _distribution(top: str) -> Distribution | None:
    """The distribution of a top-level package: as a rule the one that names a provider in it."""
    for entry in entry_points(group=GROUP):
        if entry.module.partition(".")[0] == top and entry.dist:
            return entry.dist
    # All files of all distributions are read for this, which costs a tenth of a second.
    names = packages_distributions().get(top, ())
    return distribution(names[0]) if names else None


def _digest(module_name: str) -> str:
    """Over the package that holds the module, or over the module's file where there is none."""
    module = sys.modules[module_name]
    if hasattr(module, "__path__"):
        return digest_of_package(module_name)
    package = module_name.rpartition(".")[0]
    if package and hasattr(sys.modules[package], "__path__"):
        return digest_of_package(package)
    file = getattr(module, "__file__", None)
    return hashlib.sha256(Path(file).read_bytes() if file else b"").hexdigest()
