"""The installed mutants: drivers with one defect planted each, by which the suite is measured."""

from importlib.metadata import entry_points

from holdfast.errors import ConfigurationError
from holdfast.mutant import Mutant
from holdfast.opening import nearest_names
from holdfast_conformance.registry import Property, all_properties

MUTANT_GROUP = "holdfast.mutants"


def planted_mutants() -> tuple[Mutant, ...]:
    """Every installed mutant, in the order of the properties they are named for.

    Raises:
        ConfigurationError: a plug-in's mutants cannot be loaded, or are named for no property.
    """
    found: list[Mutant] = []
    known = {each.id for each in all_properties()}
    for point in entry_points(group=MUTANT_GROUP):
        try:
            listed = tuple(point.load())
        except Exception as problem:
            reason = f"{type(problem).__name__}: {problem}"
            raise ConfigurationError(
                f"the mutants of {point.name} ({point.value}) cannot be loaded: {reason}"
            ) from problem
        for mutant in listed:
            if mutant.property not in known:
                raise ConfigurationError(
                    f"mutant {mutant.name} is named for {mutant.property}, "
                    "which is no property of this suite"
                )
        found += listed
    return tuple(sorted(found, key=lambda mutant: (mutant.property, mutant.name)))


def planted_by_property() -> dict[str, tuple[str, ...]]:
    """The names of the mutants of each property."""
    names: dict[str, tuple[str, ...]] = {}
    for mutant in planted_mutants():
        names[mutant.property] = (*names.get(mutant.property, ()), mutant.name)
    return names


def find_property(identifier: str) -> Property:
    """The property of this id, in either case; ``ConfigurationError`` when there is none."""
    properties = {found.id: found for found in all_properties()}
    found = properties.get(identifier.upper())
    if found is None:
        raise ConfigurationError(
            f"no property {identifier!r}; {nearest_names(identifier.upper(), list(properties))}"
        )
    return found
