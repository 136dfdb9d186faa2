"""Whether a driver's methods can be called as the ports say (level L0), inherited or not."""

import inspect
from collections.abc import Iterator
from typing import Any

from holdfast.contract.ports import ImageDriver, LifeCycle, PrimaryDriver
from holdfast.contract.requests import Role

DRIVER_PORTS: dict[Role, type] = {Role.PRIMARY: PrimaryDriver, Role.IMAGE: ImageDriver}


def defects_of(what: object, port: type) -> tuple[str, ...]:
    """What is missing or incompatible in ``what``, measured against a port, one line each."""
    return tuple(_defects(what, port))


def life_cycle_defects(what: object) -> tuple[str, ...]:
    """The same for a life cycle."""
    return defects_of(what, LifeCycle)


def _defects(what: object, port: type) -> Iterator[str]:
    for name in sorted(vars_of(port)):
        wanted = inspect.getattr_static(port, name)
        where = f"{port.__name__}.{name}"
        if isinstance(wanted, property):
            if not _has(what, name):
                yield f"{where} is missing"
            continue
        try:
            found = getattr(what, name)
        except AttributeError:
            yield f"{where} is missing"
            continue
        yield from (f"{where} {defect}" for defect in _method_defects(found, wanted))


def vars_of(port: type) -> set[str]:
    """The public names that a port and its bases define."""
    return {
        name
        for base in port.__mro__
        if base is not object
        for name in vars(base)
        if not name.startswith("_")
    }


def _has(what: object, name: str) -> bool:
    """Whether a property is there at all; that it can be read is another matter."""
    try:
        inspect.getattr_static(what, name)
    except AttributeError:
        return False
    return True


def _method_defects(found: Any, wanted: Any) -> Iterator[str]:
    if not callable(found):
        yield "is not a method"
        return
    plain = inspect.unwrap(found)
    if inspect.iscoroutinefunction(wanted) and not inspect.iscoroutinefunction(plain):
        yield "is not async"
    if not inspect.iscoroutinefunction(wanted) and inspect.iscoroutinefunction(plain):
        yield "is async, and must return an async iterator"
    yield from _binding(found, len(inspect.signature(wanted).parameters) - 1)


def _binding(found: Any, count: int) -> Iterator[str]:
    """Whether a bound method takes this many arguments by position."""
    try:
        signature = inspect.signature(found)
    except (TypeError, ValueError):
        return  # An extension's function shows no signature; the live calls will tell.
    try:
        signature.bind(*range(count))
    except TypeError as problem:
        yield f"cannot be called with {count} arguments: {problem}"


def provider_defects(provider: Any) -> tuple[str, ...]:
    """What keeps a provider from being asked for anything at all."""
    defects: list[str] = []
    roles: Any = getattr(provider, "roles", ())
    if not isinstance(roles, (tuple, list)) or not roles:  # pyright: ignore[reportUnknownVariableType] - whatever a driver gives
        defects.append("Provider.roles is not a tuple with at least one role")
    elif unknown := [role for role in roles if role not in tuple(Role)]:  # pyright: ignore[reportUnknownVariableType] - whatever a driver gives
        defects.append(f"Provider.roles has {unknown!r}; roles are primary and image")
    wanted = {"primary": 1, "image": 1, "life_cycle": 2, "testbeds": 0}
    for name, count in wanted.items():
        found = getattr(provider, name, None)
        if found is None:
            defects.append(f"Provider.{name} is missing")
        elif not callable(found):
            defects.append(f"Provider.{name} is not a method")
        else:
            defects.extend(f"Provider.{name} {defect}" for defect in _binding(found, count))
    return tuple(defects)
