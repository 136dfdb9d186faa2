"""Documentation made from the registry, so that it says what the suite does.

``write_tables`` is what ``tools/docs`` calls; a test fails when a file is stale.
"""

from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path

from holdfast_conformance.judgement.catalogue_text import CATEGORIES, gate_text
from holdfast_conformance.judgement.registry import Property, all_properties
from holdfast_conformance.planted_defects import planted_by_property
from holdfast_conformance.report.schema import SCHEMA_NAME, encode_schema

PROPERTIES_NAME = "properties.md"

_INTRODUCTION = """\
# Properties

<!-- Made from the registry by tools/docs; do not edit. -->

What the conformance suite asks of a driver.
A driver reaches a level when every property up to that level which applies to it passes.
A property applies to every store of its roles, unless the last column says otherwise;
there the report says `NOT_APPLICABLE`, and why.
Mutants are copies of the reference driver with one planted defect each;
they measure the suite itself, and `holdfast explain ID` tells what they do wrong.
"""


def properties_table(properties: Iterable[Property], planted: Mapping[str, tuple[str, ...]]) -> str:
    """The text of ``properties.md``; ``planted`` are the mutants' names by property."""
    lines = [_INTRODUCTION]
    order = list(CATEGORIES)
    ordered = sorted(properties, key=lambda found: (order.index(found.category), found.id))
    for category, members in groupby(ordered, key=lambda found: found.category):
        lines += [
            f"## {category}: {CATEGORIES[category]}",
            "",
            "| id | level | roles | statement | mutants | does not apply where |",
            "|---|---|---|---|---|---|",
            *(_row(found, planted.get(found.id, ())) for found in members),
            "",
        ]
    return "\n".join(lines).rstrip() + "\n"


def _row(found: Property, mutants: tuple[str, ...]) -> str:
    cells = (
        found.id,
        found.level.value,
        ", ".join(role.value for role in found.roles),
        found.statement,
        ", ".join(f"`{name}`" for name in mutants) or "-",
        gate_text(found),
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def tables() -> dict[str, bytes]:
    """Every generated file of the documentation, by name."""
    text = properties_table(all_properties(), planted_by_property())
    return {PROPERTIES_NAME: text.encode(), SCHEMA_NAME: encode_schema()}


def write_tables(docs_dir: Path) -> None:
    """Write every generated file into the documentation's folder."""
    for name, data in tables().items():
        (docs_dir / name).write_bytes(data)
