"""Finding providers by entry point; a broken plug-in is reported, never fatal."""

import importlib
import os
import sys
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TypeGuard

import msgspec

from holdfast.contract.errors import ConfigurationError
from holdfast.contract.mutant import Mutant
from holdfast.contract.ports import Provider
from holdfast.text.nearest import nearest_names

GROUP = "holdfast.providers"
MUTANTS_GROUP = "holdfast.mutants"
MUTANT_PREFIX = "mutant:"
"""What a name begins with that asks ``load_provider`` for a mutant instead of a driver."""
_REASON_MAX = 200


class BrokenPlugin(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A plug-in that cannot be used: its name, one sentence why, and who installed it."""

    name: str
    reason: str
    distribution: str


def _described(error: BaseException) -> str:
    message = " ".join(str(error).split())[:_REASON_MAX]
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def _distribution(found: EntryPoint) -> str:
    return f"{found.dist.name} {found.dist.version}" if found.dist else "unknown"


def _constructed(found: object, name: str) -> Provider:
    """A provider from what a plug-in exports; ``ConfigurationError`` says what is wrong with it."""
    if not _is_provider(found):
        raise ConfigurationError(f"{name} is no class of Provider")
    try:
        provider = found()
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        raise ConfigurationError(f"{name} cannot be constructed: {_described(error)}") from error
    try:
        missing = [
            field
            for field in ("name", "roles", "scopes", "config_type")
            if not hasattr(provider, field)
        ]
    except Exception as error:
        raise ConfigurationError(f"{name} cannot be asked: {_described(error)}") from error
    if missing:
        raise ConfigurationError(f"{name} does not say its {', '.join(missing)}")
    return provider


def _load(found: EntryPoint) -> Provider | BrokenPlugin:
    def broken(reason: str) -> BrokenPlugin:
        return BrokenPlugin(name=found.name, reason=reason, distribution=_distribution(found))

    try:
        loaded = found.load()
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # noqa: BLE001 - a plug-in may raise anything, SystemExit too
        return broken(f"importing {found.value} failed with {_described(error)}")
    try:
        provider = _constructed(loaded, found.value)
    except ConfigurationError as error:
        return broken(str(error))
    if provider.name != found.name:
        return broken(f"{found.value} calls itself {provider.name!r}, not {found.name!r}")
    return provider


def _load_all(name: str, found: list[EntryPoint]) -> Provider | BrokenPlugin:
    if len({entry.value for entry in found}) > 1:
        owners = sorted(f"{_distribution(entry)} ({entry.value})" for entry in found)
        return BrokenPlugin(
            name=name,
            reason=f"several plug-ins have this name: {', '.join(owners)}; uninstall all but one",
            distribution=", ".join(sorted({_distribution(entry) for entry in found})),
        )
    return _load(found[0])


def _installed() -> Mapping[str, list[EntryPoint]]:
    """The entry points of all providers that are installed now, by name."""
    return _read_entries(tuple(_seen(folder) for folder in sys.path))


_Seen = tuple[tuple[str, int], ...]


def _seen(folder: str) -> _Seen:
    """A folder of packages as it is: what is installed there, or removed, changes its time, and
    entry points that are written anew in place the time of their file.
    """
    at = _changed(folder)
    return ((folder, at), *((path, _changed(path)) for path in _entry_files(folder, at)))


def _changed(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns  # noqa: PTH116 - a quarter of the time, at each opening
    except (OSError, ValueError):
        return 0


@lru_cache(maxsize=64)
def _entry_files(folder: str, _at: int) -> tuple[str, ...]:
    """The files that may hold entry points in a folder as it was at a time."""
    try:
        packages = sorted(Path(folder).glob("*.*-info"))
    except (OSError, ValueError):
        return ()
    return tuple(str(package / "entry_points.txt") for package in packages)


@lru_cache(maxsize=1)
def _read_entries(_: tuple[_Seen, ...]) -> Mapping[str, list[EntryPoint]]:
    """Read once for what is in the folders: a file of every package is read, whatever is asked,
    which takes some milliseconds, and every opening of a store asks.
    """
    return _by_name(entry_points(group=GROUP))


def _by_name(found: Iterable[EntryPoint]) -> dict[str, list[EntryPoint]]:
    grouped: dict[str, list[EntryPoint]] = {}
    for entry in found:
        grouped.setdefault(entry.name, []).append(entry)
    return grouped


def providers() -> dict[str, Provider | BrokenPlugin]:
    """Every installed provider by name, in order of names; what cannot be loaded as a report."""
    grouped = _installed()
    return {name: _load_all(name, grouped[name]) for name in sorted(grouped)}


def mutants() -> dict[str, Mutant]:
    """Every installed mutant by name, in the order in which their plug-ins list them.

    Raises:
        ConfigurationError: a plug-in's mutants cannot be loaded, or two have one name.
    """
    found: dict[str, Mutant] = {}
    for entry in sorted(entry_points(group=MUTANTS_GROUP), key=lambda entry: entry.name):
        try:
            listed = tuple(entry.load())
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:
            raise ConfigurationError(
                f"the mutants of {_distribution(entry)} ({entry.value}) cannot be loaded: "
                f"{_described(error)}"
            ) from error
        for mutant in listed:
            if not isinstance(mutant, Mutant):
                raise ConfigurationError(f"{entry.value} lists a {type(mutant).__name__}")
            if mutant.name in found:
                raise ConfigurationError(f"two mutants are called {mutant.name!r}; rename one")
            found[mutant.name] = mutant
    return found


def load_provider(name: str) -> Provider:
    """The provider with this entry-point name, the class at ``module:Class``, or ``mutant:NAME``.

    Only the one asked for is imported.

    Raises:
        ConfigurationError: there is none (the nearest names are given), or it is broken.
    """
    if name.startswith(MUTANT_PREFIX):
        return _mutant_provider(name.removeprefix(MUTANT_PREFIX))
    if ":" in name:
        return _import_provider(name)
    grouped = _installed()
    if name not in grouped:
        raise ConfigurationError(f"no driver {name!r}; {nearest_names(name, list(grouped))}")
    provider = _load_all(name, grouped[name])
    if isinstance(provider, BrokenPlugin):
        raise ConfigurationError(
            f"driver {name!r} of {provider.distribution} cannot be used: {provider.reason}"
        )
    return provider


def _mutant_provider(name: str) -> Provider:
    known = mutants()
    if name not in known:
        raise ConfigurationError(f"no mutant {name!r}; {nearest_names(name, list(known))}")
    return known[name].provider()


def _import_provider(path: str) -> Provider:
    module_name, _, attribute = path.partition(":")
    try:
        module = importlib.import_module(module_name)
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        advice = ""
        if isinstance(error, ModuleNotFoundError):
            advice = (
                "; the current folder is not searched: install the package, or name its folder "
                "in PYTHONPATH"
            )
        raise ConfigurationError(
            f"driver {path!r} cannot be imported: {_described(error)}{advice}"
        ) from error
    if not hasattr(module, attribute):
        known = [name for name, value in vars(module).items() if _is_provider(value)]
        raise ConfigurationError(
            f"module {module_name} has no {attribute!r}; {nearest_names(attribute, known)}"
        )
    return _constructed(getattr(module, attribute), path)


def _is_provider(value: object) -> TypeGuard[type[Provider]]:
    return isinstance(value, type) and issubclass(value, Provider) and value is not Provider
