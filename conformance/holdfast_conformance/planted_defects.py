"""Mutants and the properties that they are named for."""

from holdfast.contract.errors import ConfigurationError
from holdfast.contract.mutant import Mutant
from holdfast_conformance.installed_mutants import installed_mutants
from holdfast_conformance.judgement.registry import all_properties


def planted_mutants() -> tuple[Mutant, ...]:
    """Every installed mutant that names a property, in the order of those.

    Raises:
        ConfigurationError: a mutant is named for a property that does not exist.
    """
    known = {each.id for each in all_properties()}
    found = tuple(mutant for mutant in installed_mutants().values() if not mutant.blind)
    for mutant in found:
        if mutant.property not in known:
            raise ConfigurationError(
                f"mutant {mutant.name} is named for {mutant.property}, "
                "which is no property of this suite"
            )
    return tuple(sorted(found, key=lambda mutant: (mutant.property, mutant.name)))


def blind_mutants() -> tuple[Mutant, ...]:
    """Every installed mutant whose author did not know the suite, by name."""
    blind = (mutant for mutant in installed_mutants().values() if mutant.blind)
    return tuple(sorted(blind, key=lambda mutant: mutant.name))


def planted_by_property() -> dict[str, tuple[str, ...]]:
    """The names of the mutants of each property."""
    names: dict[str, tuple[str, ...]] = {}
    for mutant in planted_mutants():
        names[mutant.property] = (*names.get(mutant.property, ()), mutant.name)
    return names
