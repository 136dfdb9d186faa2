"""What suite this is: versions and digests that a report carries."""

from functools import cache
from importlib.metadata import version

from holdfast_conformance.generate import SUITE_VERSION
from holdfast_conformance.generate.corpus import corpus_digest
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
"""The version of the driver interface: ``holdfast.contract.ports`` and what it refers to."""


@cache
def suite_facts() -> SuiteFacts:
    """The suite that is installed here."""
    return SuiteFacts(
        version=version("holdfast"),
        plans_version=f"{SUITE_VERSION}+{corpus_digest()}",
        source_sha256=digest_of_package("holdfast_conformance"),
        catalogue_sha256=catalogue_digest(all_properties()),
    )


def catalogue_digest(properties: tuple[Property, ...]) -> str:
    """The digest over what the catalogue says, the checks themselves excepted."""
    rows = [
        (
            entry.id,
            entry.level.value,
            entry.statement,
            [role.value for role in entry.roles],
            entry.min_exercise,
            gate_text(entry),
        )
        for entry in properties
    ]
    return sha256_of(canonical_json(rows))


def property_texts() -> tuple[PropertyText, ...]:
    """What each property says and when it applies."""
    return tuple(
        PropertyText(id=each.id, statement=each.statement, gate=gate_text(each))
        for each in all_properties()
    )
