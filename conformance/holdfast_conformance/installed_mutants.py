"""The installed mutants: drivers with one planted defect each, by which the suite is measured."""

from holdfast.contract.errors import ConfigurationError
from holdfast.contract.mutant import Mutant
from holdfast.stores.plugins import MUTANT_PREFIX, mutants
from holdfast.text.nearest import nearest_names

__all__ = ["MUTANT_PREFIX", "find_mutant", "installed_mutants"]


def installed_mutants() -> dict[str, Mutant]:
    """Every mutant by name, in the order of its plug-in.

    This imports drivers, so only a process that may be lost does it.

    Raises:
        ConfigurationError: a plug-in's mutants cannot be loaded, or two have one name.
    """
    return mutants()


def find_mutant(name: str) -> Mutant:
    """The mutant of this name, or ``ConfigurationError`` with the nearest names."""
    known = installed_mutants()
    if name not in known:
        raise ConfigurationError(f"no mutant {name!r}; {nearest_names(name, list(known))}")
    return known[name]
