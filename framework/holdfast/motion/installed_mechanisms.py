"""The mechanisms that are installed, by entry point: other packages add theirs by registration."""

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from holdfast.contract.errors import ConfigurationError
from holdfast.motion.mechanism import Mechanism

GROUP: Final = "holdfast.mechanisms"


@cache
def installed_mechanisms() -> tuple[Mechanism, ...]:
    """Every installed mechanism, in order of names.

    Raises:
        ConfigurationError: one cannot be loaded, or is none.
    """
    entries = sorted(entry_points(group=GROUP), key=lambda entry: entry.name)
    return tuple(_loaded(entry) for entry in entries)


def _loaded(entry: EntryPoint) -> Mechanism:
    try:
        made = entry.load()()
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # a plug-in may raise anything, SystemExit too
        raise ConfigurationError(
            f"the mechanism {entry.name} ({entry.value}) cannot be loaded: "
            f"{type(error).__name__}: {error}"
        ) from error
    if not isinstance(made, Mechanism):
        raise ConfigurationError(f"{entry.value} is no class of Mechanism")
    return made
