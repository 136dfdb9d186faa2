"""The documentation that is made from the registry, and what the registry must have."""

from pathlib import Path

import pytest

from holdfast_conformance.doc_tables import tables, write_tables
from holdfast_conformance.judgement.catalogue_text import CATEGORIES
from holdfast_conformance.judgement.registry import Property, all_properties
from holdfast_conformance.planted_defects import planted_by_property, planted_mutants

DOCS = Path(__file__).resolve().parents[2] / "docs"
MUTANTS_MIN = 60


def test_the_generated_documentation_is_not_stale() -> None:
    """docs/ holds what the registry and the report say now; `make docs` writes it."""
    stale = [name for name, data in tables().items() if (DOCS / name).read_bytes() != data]

    assert stale == []


def test_the_tables_are_written_where_they_are_wanted(tmp_path: Path) -> None:
    """Every generated file appears in the folder."""
    write_tables(tmp_path)

    assert {path.name for path in tmp_path.iterdir()} == {"properties.md", "report.schema.json"}


def test_every_checked_property_has_a_mutant() -> None:
    """No check is taken on trust: for each there is a planted defect that it must find."""
    planted = planted_by_property()
    untested = [found.id for found in all_properties() if found.check and found.id not in planted]

    assert untested == []


def test_there_are_mutants_for_every_category() -> None:
    """At least 60 mutants with names of their own, in each category that has a check."""
    mutants = planted_mutants()
    checked = {found.category for found in all_properties() if found.check}

    assert len({mutant.name for mutant in mutants}) == len(mutants) >= MUTANTS_MIN
    assert {mutant.category for mutant in mutants} == checked
    assert [m.name for m in mutants if m.category != m.property.partition("-")[0]] == []


@pytest.mark.parametrize("found", all_properties(), ids=[each.id for each in all_properties()])
def test_a_property_says_what_it_demands(found: Property) -> None:
    """Every property has a known category and states what it demands in a sentence."""
    assert found.category in CATEGORIES
    assert found.statement.endswith(".")
