"""The installed mutants: drivers with one planted defect each, by which the suite is measured."""

from importlib.metadata import entry_points

from holdfast.errors import ConfigurationError
from holdfast.mutant import Mutant
from holdfast.opening import nearest_names

MUTANT_GROUP = "holdfast.mutants"
MUTANT_PREFIX = "mutant:"


def installed_mutants() -> dict[str, Mutant]:
    """Every mutant by name, in the order of its plug-in.

    This imports drivers, so only a process that may be lost does it.
    """
    return {
        mutant.name: mutant for point in entry_points(group=MUTANT_GROUP) for mutant in point.load()
    }


def find_mutant(name: str) -> Mutant:
    """The mutant of this name, or ``ConfigurationError`` with the nearest names."""
    mutants = installed_mutants()
    if name not in mutants:
        raise ConfigurationError(f"no mutant {name!r}; {nearest_names(name, list(mutants))}")
    return mutants[name]
