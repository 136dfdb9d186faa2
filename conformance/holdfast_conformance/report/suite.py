"""What suite this is: versions and digests that a report carries."""

from functools import cache
from importlib.metadata import version

from holdfast_conformance.judgement.catalogue_text import gate_text
from holdfast_conformance.judgement.registry import Property, all_properties
from holdfast_conformance.report.document import (
    PropertyText,
    SuiteFacts,
    canonical_json,
    sha256_of,
)
from holdfast_conformance.report.sources import digest_of_package

INTERFACE = "1"
"""The version of the driver interface: ``holdfast.ports`` and what it refers to."""


@cache
def suite_facts() -> SuiteFacts:
    """The suite that is installed here."""
    return SuiteFacts(
        version=version("holdfast"),
        source_sha256=digest_of_package("holdfast_conformance"),
        catalogue_sha256=catalogue_digest(all_properties()),
    )


def catalogue_digest(properties: tuple[Property, ...]) -> str:
    """The digest over what the catalogue says, the checks themselves excepted."""
    rows = [
        (
            found.id,
            found.level.value,
            found.statement,
            [role.value for role in found.roles],
            found.min_exercise,
            gate_text(found),
        )
        for found in properties
    ]
    return sha256_of(canonical_json(rows))


def property_texts() -> tuple[PropertyText, ...]:
    """What each property says and when it applies."""
    return tuple(
        PropertyText(id=found.id, statement=found.statement, gate=gate_text(found))
        for found in all_properties()
    )
