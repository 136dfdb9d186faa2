"""The suite's own strength: which planted defects a profile finds, and with how small a repro."""

from collections.abc import Iterable, Sequence

import msgspec

from holdfast.errors import ConfigurationError
from holdfast.mutant import Mutant
from holdfast.opening import nearest_names
from holdfast_conformance.profiles import Profile
from holdfast_conformance.report.document import CategoryStrength, Strength
from holdfast_conformance.strength.mutant_run import MutantRun, MutantTask

SMALL_STEPS = 8
"""A repro of at most so many steps is one that a person reads at a glance."""
LEAST_KILLED = {"smoke": 0.9}
"""The share of mutants that each profile must kill; all of them where none is named."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One mutant's line in the matrix; ``repro_steps`` is ``None`` where there is no repro."""

    mutant: str
    property: str
    category: str
    killed: bool
    ops: int
    repro_steps: int | None
    others: tuple[str, ...]
    wall_s: float


class Matrix(msgspec.Struct, frozen=True, kw_only=True):
    """The kill matrix of one profile."""

    profile: str
    seed: int
    rows: tuple[Row, ...]

    @property
    def killed(self) -> int:
        """How many mutants were killed by their own property."""
        return sum(row.killed for row in self.rows)

    @property
    def survivors(self) -> tuple[Row, ...]:
        """The mutants that were not."""
        return tuple(row for row in self.rows if not row.killed)

    @property
    def small(self) -> int:
        """How many of the killed have a repro of at most ``SMALL_STEPS`` steps."""
        steps = [row.repro_steps for row in self.rows if row.killed]
        return sum(count is not None and count <= SMALL_STEPS for count in steps)

    @property
    def strong_enough(self) -> bool:
        """Whether the profile killed what it must."""
        return self.killed >= LEAST_KILLED.get(self.profile, 1.0) * len(self.rows)

    @property
    def strength(self) -> Strength:
        """The strength, as a report states it."""
        categories = sorted({row.category for row in self.rows})
        return Strength(
            profile=self.profile,
            mutants=len(self.rows),
            killed=self.killed,
            categories=tuple(_of_category(name, self.rows) for name in categories),
        )


def chosen_mutants(mutants: Sequence[Mutant], only: Iterable[str]) -> tuple[Mutant, ...]:
    """The mutants of these names (all, when none is named).

    Raises:
        ConfigurationError: there is no mutant of a name.
    """
    by_name = {mutant.name: mutant for mutant in mutants}
    wanted = tuple(only)
    for name in wanted:
        if name not in by_name:
            raise ConfigurationError(f"no mutant {name!r}; {nearest_names(name, list(by_name))}")
    return tuple(by_name[name] for name in wanted) if wanted else tuple(mutants)


def tasks_of(
    mutants: Iterable[Mutant], profile: Profile, seed: int, *, reduce: bool
) -> tuple[MutantTask, ...]:
    """What is to be run."""
    return tuple(
        MutantTask(
            name=mutant.name, target=mutant.property, profile=profile, seed=seed, reduce=reduce
        )
        for mutant in mutants
    )


def matrix_of(
    mutants: Sequence[Mutant], runs: Iterable[MutantRun], profile: Profile, seed: int
) -> Matrix:
    """The matrix of these runs."""
    categories = {mutant.name: mutant.category for mutant in mutants}
    rows = tuple(
        Row(
            mutant=run.name,
            property=run.target,
            category=categories[run.name],
            killed=run.killed,
            ops=run.ops,
            repro_steps=run.repro_steps,
            others=run.others,
            wall_s=run.wall_s,
        )
        for run in runs
    )
    return Matrix(profile=profile.name, seed=seed, rows=rows)


def _of_category(name: str, rows: Iterable[Row]) -> CategoryStrength:
    members = [row for row in rows if row.category == name]
    return CategoryStrength(
        category=name, mutants=len(members), killed=sum(row.killed for row in members)
    )
