"""``holdfast explain``: what one property demands, where it applies, and what proves its check."""

from typing import Annotated

import msgspec
import typer

from holdfast.foreign_text import tell, tell_json
from holdfast_conformance.judgement.catalogue_text import CATEGORIES, gate_text
from holdfast_conformance.judgement.registry import Property, find_property
from holdfast_conformance.planted import planted_mutants


class PlantedDefect(msgspec.Struct, frozen=True, kw_only=True):
    """A mutant of the property; its statement names the public report of such a defect, if any."""

    name: str
    statement: str


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the catalogue knows of one property."""

    id: str
    category: str
    level: str
    roles: tuple[str, ...]
    statement: str
    not_applicable: str
    min_exercise: int
    mutants: tuple[PlantedDefect, ...]
    unchecked: str


def register(app: typer.Typer) -> None:
    """Add ``holdfast explain``."""
    app.command("explain")(explain)


def explain(
    identifier: Annotated[str, typer.Argument(help="A property's id.", metavar="PROPERTY")],
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Explain a property: its statement, level and gate, and the defects that it must find."""
    found = explanation_of(find_property(identifier))
    if as_json:
        tell_json(found)
        return
    tell(f"{found.id}  {found.category}, level {found.level}")
    tell(f"  {found.statement}")
    tell(f"applies to  {' and '.join(found.roles)} stores{_exception(found)}")
    if found.unchecked:
        tell(f"no check    {found.unchecked}")
    else:
        tell(f"passes when never violated in at least {found.min_exercise} occasions")
    for mutant in found.mutants:
        tell(f"mutant      {mutant.name}: {mutant.statement}")


def explanation_of(found: Property) -> Explanation:
    """The explanation of a property."""
    return Explanation(
        id=found.id,
        category=CATEGORIES.get(found.category, found.category),
        level=found.level.value,
        roles=tuple(role.value for role in found.roles),
        statement=found.statement,
        not_applicable=gate_text(found),
        min_exercise=found.min_exercise,
        mutants=tuple(
            PlantedDefect(name=mutant.name, statement=mutant.statement)
            for mutant in planted_mutants()
            if mutant.property == found.id
        ),
        unchecked=found.unchecked,
    )


def _exception(found: Explanation) -> str:
    return f", except where {found.not_applicable}" if found.not_applicable else ""
