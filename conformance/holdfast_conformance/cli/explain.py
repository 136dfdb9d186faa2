"""``holdfast explain``: what one property demands, where it applies, and what proves its check."""

from typing import Annotated

import msgspec
import typer

from holdfast.text.foreign import tell, tell_json
from holdfast_conformance.judgement.catalogue_text import CATEGORIES, gate_text
from holdfast_conformance.judgement.registry import Property, find_property
from holdfast_conformance.planted_defects import planted_mutants


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
    explanation = explanation_of(find_property(identifier))
    if as_json:
        tell_json(explanation)
        return
    tell(f"{explanation.id}  {explanation.category}, level {explanation.level}")
    tell(f"  {explanation.statement}")
    tell(f"applies to  {' and '.join(explanation.roles)} stores{_exception(explanation)}")
    if explanation.unchecked:
        tell(f"no check    {explanation.unchecked}")
    else:
        tell(f"passes when never violated in at least {explanation.min_exercise} occasions")
    for mutant in explanation.mutants:
        tell(f"mutant      {mutant.name}: {mutant.statement}")


def explanation_of(entry: Property) -> Explanation:
    """The explanation of a property."""
    return Explanation(
        id=entry.id,
        category=CATEGORIES.get(entry.category, entry.category),
        level=entry.level.value,
        roles=tuple(role.value for role in entry.roles),
        statement=entry.statement,
        not_applicable=gate_text(entry),
        min_exercise=entry.min_exercise,
        mutants=tuple(
            PlantedDefect(name=mutant.name, statement=mutant.statement)
            for mutant in planted_mutants()
            if mutant.property == entry.id
        ),
        unchecked=entry.unchecked,
    )


def _exception(explanation: Explanation) -> str:
    return f", except where {explanation.not_applicable}" if explanation.not_applicable else ""
