"""The registry of properties: what the suite asks of a driver, each with id, level, gate and check.

A check is a pure function from a moment to held, violated or nothing. The documentation's table is
made from this registry.
"""

import importlib
from collections.abc import Callable, Mapping
from typing import ParamSpec, TypeAlias

import msgspec

from holdfast.contract.errors import ConfigurationError
from holdfast.contract.requests import Role
from holdfast.text.nearest import nearest_names
from holdfast_conformance.judgement.evidence import Capabilities, Judgement, Moment, StepMoment
from holdfast_conformance.verdict import Level

Check: TypeAlias = Callable[[Moment], Judgement]
StepCheck: TypeAlias = Callable[[StepMoment], Judgement]
Gate: TypeAlias = Callable[[Capabilities], str | None]
Aspects: TypeAlias = Callable[[Capabilities], tuple[str, ...]]

_Registered = ParamSpec("_Registered")

BOTH_ROLES = (Role.PRIMARY, Role.IMAGE)
MIN_EXERCISE = 3
NOBODY: Mapping[Role, str] = {}


class Property(msgspec.Struct, frozen=True, kw_only=True):
    """One property.

    ``gate`` answers with the reason why the property does not apply, or ``None``. It passes when it
    was exercised at least ``min_exercise`` times and each of ``aspects`` at least once. Without a
    ``check`` it is ``VACUOUS`` wherever its gate is open, because of ``unchecked``. In the roles of
    ``spared`` it can be violated, and does not apply, for the reason given, when nothing in the
    plans is an occasion for it.
    """

    id: str
    level: Level
    statement: str
    roles: tuple[Role, ...]
    gate: Gate
    check: Check | None
    min_exercise: int = MIN_EXERCISE
    aspects: Aspects
    spared: Mapping[Role, str] = NOBODY
    unchecked: str = ""

    @property
    def category(self) -> str:
        """The part of the id before the number."""
        return self.id.partition("-")[0]


_registered: dict[str, Property] = {}


def always(_: Capabilities) -> str | None:
    """The gate of a property that applies to every store of its roles."""
    return None


def no_aspects(_: Capabilities) -> tuple[str, ...]:
    """The aspects of a property whose moments are all alike."""
    return ()


def these(*names: str) -> Aspects:
    """Aspects that are the same for every store."""

    def aspects(_: Capabilities) -> tuple[str, ...]:
        return names

    return aspects


def checks(
    identifier: str,
    level: Level,
    statement: str,
    *,
    roles: tuple[Role, ...] = BOTH_ROLES,
    gate: Gate = always,
    min_exercise: int = MIN_EXERCISE,
    aspects: Aspects = no_aspects,
    spared: Mapping[Role, str] = NOBODY,
) -> Callable[[Check], Check]:
    """Register the decorated function as the check of a property; an id is taken only once."""

    def register(check: Check) -> Check:
        _add(
            Property(
                id=identifier,
                level=level,
                statement=statement,
                roles=roles,
                gate=gate,
                check=check,
                min_exercise=min_exercise,
                aspects=aspects,
                spared=spared,
            )
        )
        return check

    return register


def _of_steps(
    register_for: Callable[_Registered, Callable[[Check], Check]],
) -> Callable[_Registered, Callable[[StepCheck], StepCheck]]:
    """The same registration for checks that only look at executed steps."""

    def checks_steps(
        *args: _Registered.args, **kwargs: _Registered.kwargs
    ) -> Callable[[StepCheck], StepCheck]:
        def register(check: StepCheck) -> StepCheck:
            def of_step(moment: Moment) -> Judgement:
                return check(moment) if isinstance(moment, StepMoment) else None

            register_for(*args, **kwargs)(of_step)
            return check

        return register

    return checks_steps


checks_steps = _of_steps(checks)
"""Like ``checks``, for a check that only looks at executed steps."""


def unchecked(
    identifier: str,
    level: Level,
    statement: str,
    *,
    roles: tuple[Role, ...],
    gate: Gate,
    reason: str,
) -> None:
    """Register a property that has no check yet, because nobody declares its capability."""
    _add(
        Property(
            id=identifier,
            level=level,
            statement=statement,
            roles=roles,
            gate=gate,
            check=None,
            aspects=no_aspects,
            unchecked=reason,
        )
    )


def all_properties() -> tuple[Property, ...]:
    """Every property of the suite, in the order of the ids."""
    importlib.import_module("holdfast_conformance.properties")  # registers them

    return tuple(sorted(_registered.values(), key=lambda entry: entry.id))


def _add(entry: Property) -> None:
    if entry.id in _registered:
        raise ValueError(f"property {entry.id} is registered twice")
    _registered[entry.id] = entry


def find_property(identifier: str) -> Property:
    """The property of this id, in either case; ``ConfigurationError`` when there is none."""
    properties = {entry.id: entry for entry in all_properties()}
    entry = properties.get(identifier.upper())
    if entry is None:
        raise ConfigurationError(
            f"no property {identifier!r}; {nearest_names(identifier.upper(), list(properties))}"
        )
    return entry
