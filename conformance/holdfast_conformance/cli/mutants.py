"""``holdfast mutants``: measure the suite itself on drivers with one planted defect each."""

import os
from collections.abc import Sequence
from typing import Annotated

import typer

from holdfast.contract.errors import ExitCode
from holdfast.text.foreign import tell, tell_json, tell_table
from holdfast_conformance.planted_defects import blind_mutants, planted_mutants
from holdfast_conformance.profiles import Profile, find_profile
from holdfast_conformance.report.plan_check import SEED_MAX
from holdfast_conformance.strength.matrix import (
    SMALL_STEPS,
    Matrix,
    Row,
    chosen_mutants,
    matrix_of,
    tasks_of,
)
from holdfast_conformance.strength.mutant_run import MutantRun, MutantTask, run_mutants
from holdfast_conformance.supervision.progress import watcher


def register(app: typer.Typer) -> None:
    """Add ``holdfast mutants``."""
    app.command("mutants")(hunt_mutants)


def hunt_mutants(  # noqa: PLR0917 - typer makes options of parameters
    profile: Annotated[
        list[str] | None, typer.Option(help="quick, smoke, ci, certify or soak; may be repeated.")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="Only the mutant of this name; may be repeated.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Fixes the plans.", min=0, max=SEED_MAX)] = 0,
    jobs: Annotated[
        int | None, typer.Option(help="How many at once; by default one per processor.", min=1)
    ] = None,
    reduce: Annotated[
        bool, typer.Option(help="Reduce what kills a mutant, to count the steps.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Run every installed mutant through the suite and print the kill matrix.

    A mutant is killed when the property that it is named for fails; the plans that put that one to
    the test are tried first. A blind one was written without knowledge of the suite, names none,
    and is killed by any. Exit codes: 0 enough are killed, 1 not (all of the suite's own, 90 % under
    smoke; of the blind 95 % and all that lose data, 85 % under smoke), 4 there is no mutant, 5 an
    unknown name.
    """
    profiles = [find_profile(name) for name in profile or ["ci"]]
    mutants = chosen_mutants((*planted_mutants(), *blind_mutants()), only or ())
    if not mutants:
        tell("no mutants are installed, so nothing was measured", error=True)
        raise typer.Exit(ExitCode.NOTHING_EXERCISED)
    matrices: list[Matrix] = []
    for chosen in profiles:
        runs = _hunt(chosen, tasks_of(mutants, chosen, seed, reduce=reduce), jobs)
        matrices.append(matrix_of(mutants, runs, chosen, seed))
    if as_json:
        tell_json(matrices)
    else:
        _show(matrices)
    if not all(matrix.strong_enough for matrix in matrices):
        raise typer.Exit(ExitCode.FAILED)


def _hunt(profile: Profile, tasks: Sequence[MutantTask], jobs: int | None) -> tuple[MutantRun, ...]:
    """Run the tasks, with a bar on standard error that counts the survivors."""
    survived = 0
    with watcher() as progress:
        progress.phase(f"{profile.name}: mutants", len(tasks))

        def done(run: MutantRun) -> None:
            nonlocal survived
            survived += not run.killed
            progress.advance(1, survived)

        return run_mutants(tasks, jobs=jobs or os.cpu_count() or 1, done=done)


def _show(matrices: Sequence[Matrix]) -> None:
    for matrix in matrices:
        headings = ("mutant", "property", matrix.profile, "steps executed", "steps of repro")
        if matrix.rows:
            tell_table(headings, map(_cells, matrix.rows), numbers=2)
        if matrix.blind:
            headings = ("blind mutant", "killed by", *headings[2:])
            tell_table(headings, map(_cells, matrix.blind), numbers=2)
    _tell_categories(matrices)
    for matrix in matrices:
        _close(matrix)


def _close(matrix: Matrix) -> None:
    """What of either kind was killed, and who survived; no figure is of both."""
    if matrix.rows:
        tell(_closing(matrix))
        for row in matrix.survivors:
            seen = f"; failed instead: {', '.join(row.others)}" if row.others else ""
            tell(f"  survived: {row.mutant}, named for {row.property}{seen}")
    if matrix.blind:
        tell(_closing_of_blind(matrix))
        for row in matrix.blind:
            if not row.killed:
                tell(f"  survived: {row.mutant}{', which loses data' if row.loses_data else ''}")


def _cells(row: Row) -> tuple[str, ...]:
    steps = "-" if row.repro_steps is None else str(row.repro_steps)
    killed = "killed" if row.killed else "SURVIVED"
    return (row.mutant, row.property, killed, str(row.ops), steps)


def _tell_categories(matrices: Sequence[Matrix]) -> None:
    if not matrices[0].rows:
        return
    counts = [
        {entry.category: (entry.killed, entry.mutants) for entry in matrix.strength.categories}
        for matrix in matrices
    ]
    rows = (
        (category, *("{}/{}".format(*count[category]) for count in counts))
        for category in counts[0]
    )
    headings = ("category", *(matrix.profile for matrix in matrices))
    tell_table(headings, rows, numbers=len(matrices))


def _closing(matrix: Matrix) -> str:
    wall_s = sum(row.wall_s for row in matrix.rows)
    return (
        f"{matrix.profile}, seed {matrix.seed}: {matrix.killed} of {len(matrix.rows)} killed by "
        f"their own property, {matrix.small} with a repro of at most {SMALL_STEPS} steps; "
        f"{wall_s:.0f} s of work"
    )


def _closing_of_blind(matrix: Matrix) -> str:
    killed = sum(row.killed for row in matrix.blind)
    data = [row.killed for row in matrix.blind if row.loses_data]
    return (
        f"{matrix.profile}, seed {matrix.seed}: {killed} of {len(matrix.blind)} blind ones killed "
        f"({killed / len(matrix.blind):.0%}), {sum(data)} of {len(data)} that lose "
        f"data; {sum(row.wall_s for row in matrix.blind):.0f} s of work"
    )
