"""Mutants and the properties that they are named for."""

from holdfast.errors import ConfigurationError
from holdfast.mutant import Mutant
from holdfast_conformance.judgement.registry import all_properties
from holdfast_conformance.mutants import installed_mutants


def planted_mutants() -> tuple[Mutant, ...]:
    """Every installed mutant, in the order of the properties they are named for.

    Raises:
        ConfigurationError: a mutant is named for a property that does not exist.
    """
    known = {each.id for each in all_properties()}
    found = tuple(installed_mutants().values())
    for mutant in found:
        if mutant.property not in known:
            raise ConfigurationError(
                f"mutant {mutant.name} is named for {mutant.property}, "
                "which is no property of this suite"
            )
    return tuple(sorted(found, key=lambda mutant: (mutant.property, mutant.name)))


def planted_by_property() -> dict[str, tuple[str, ...]]:
    """The names of the mutants of each property."""
    names: dict[str, tuple[str, ...]] = {}
    for mutant in planted_mutants():
        names[mutant.property] = (*names.get(mutant.property, ()), mutant.name)
    return names
