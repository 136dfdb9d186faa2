"""The suite's own strength: which planted defects a profile finds, and with how small a repro."""

from collections.abc import Iterable, Sequence

import msgspec

from holdfast.contract.errors import ConfigurationError
from holdfast.contract.mutant import Mutant
from holdfast.text.nearest import nearest_names
from holdfast_conformance.profiles import Profile
from holdfast_conformance.report.document import CategoryStrength, Strength
from holdfast_conformance.strength.mutant_run import MutantRun, MutantTask

SMALL_STEPS = 8
"""A repro of at most so many steps is one that a person reads at a glance."""
LEAST_KILLED = {"smoke": 0.9}
"""The share of mutants that each profile must kill; all of them where none is named."""
LEAST_KILLED_BLIND = {"quick": 0.0, "smoke": 0.85}
"""The same of blind mutants. Every other profile kills 95 %, and all that lose data."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One mutant's line in the matrix; ``repro_steps`` is ``None`` where there is no repro.

    ``property`` is the one that it is named for; where it is blind, the one that killed it, if any.
    ``origin`` is the story, or the kind of plan, that killed it.
    """

    mutant: str
    property: str
    category: str
    killed: bool
    origin: str
    loses_data: bool
    ops: int
    repro_steps: int | None
    others: tuple[str, ...]
    wall_s: float


class Matrix(msgspec.Struct, frozen=True, kw_only=True):
    """The kill matrix of one profile: ``rows`` are mutants with a property of their own.

    What is counted of those says whether each property is checked; the rate of ``blind`` says what
    is seen that nobody thought of. The two are never added up.
    """

    profile: str
    seed: int
    rows: tuple[Row, ...]
    blind: tuple[Row, ...] = ()

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
        """Whether the profile killed what it must, of either kind."""
        enough = self.killed >= LEAST_KILLED.get(self.profile, 1.0) * len(self.rows)
        killed = sum(row.killed for row in self.blind)
        if (least := LEAST_KILLED_BLIND.get(self.profile)) is not None:
            return enough and killed >= least * len(self.blind)
        data = all(row.killed for row in self.blind if row.loses_data)
        return enough and data and killed >= 0.95 * len(self.blind)

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
    names = tuple(only)
    for name in names:
        if name not in by_name:
            raise ConfigurationError(f"no mutant {name!r}; {nearest_names(name, list(by_name))}")
    return tuple(by_name[name] for name in names) if names else tuple(mutants)


def tasks_of(
    mutants: Iterable[Mutant], profile: Profile, seed: int, *, reduce: bool
) -> tuple[MutantTask, ...]:
    """What is to be run."""
    return tuple(
        MutantTask(
            name=mutant.name,
            target=None if mutant.blind else mutant.property,
            profile=profile,
            seed=seed,
            reduce=reduce,
        )
        for mutant in mutants
    )


def matrix_of(
    mutants: Sequence[Mutant], runs: Iterable[MutantRun], profile: Profile, seed: int
) -> Matrix:
    """The matrix of these runs."""
    by_name = {mutant.name: mutant for mutant in mutants}
    rows = [_row(by_name[run.name], run) for run in runs]
    return Matrix(
        profile=profile.name,
        seed=seed,
        rows=tuple(row for row in rows if not by_name[row.mutant].blind),
        blind=tuple(row for row in rows if by_name[row.mutant].blind),
    )


def _row(mutant: Mutant, run: MutantRun) -> Row:
    return Row(
        mutant=run.name,
        property=run.target or run.killed_by or "",
        category=mutant.category,
        killed=run.killed,
        origin=run.origin,
        loses_data=mutant.loses_data,
        ops=run.ops,
        repro_steps=run.repro_steps,
        others=run.others,
        wall_s=run.wall_s,
    )


def _of_category(name: str, rows: Iterable[Row]) -> CategoryStrength:
    members = [row for row in rows if row.category == name]
    return CategoryStrength(
        category=name, mutants=len(members), killed=sum(row.killed for row in members)
    )
