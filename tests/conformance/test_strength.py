"""What ``holdfast explain`` and ``holdfast mutants`` tell."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from holdfast.cli import build_app
from holdfast.contract.errors import ConfigurationError, ExitCode
from holdfast.contract.mutant import Mutant
from holdfast_conformance.judgement.registry import find_property
from holdfast_conformance.planted_defects import planted_mutants
from holdfast_conformance.profiles import find_profile
from holdfast_conformance.strength.matrix import Matrix, chosen_mutants, matrix_of
from holdfast_conformance.strength.mutant_run import MutantRun


def run(name: str, target: str, *, killed: bool = True) -> MutantRun:
    by = target if killed else None
    return MutantRun(name=name, target=target, killed_by=by, ops=7, others=("VOL-01",), wall_s=0.5)


def matrix(profile: str, killed: int, survived: int) -> Matrix:
    mutants = planted_mutants()[: killed + survived]
    runs = [
        run(mutant.name, mutant.property, killed=index < killed)
        for index, mutant in enumerate(mutants)
    ]
    return matrix_of(mutants, runs, find_profile(profile), 0)


def test_smoke_must_kill_nine_of_ten_and_ci_all() -> None:
    """One survivor of ten is enough for smoke and too much for ci; two are too much for both."""
    assert matrix("smoke", 9, 1).strong_enough
    assert not matrix("smoke", 8, 2).strong_enough
    assert matrix("ci", 10, 0).strong_enough
    assert not matrix("ci", 9, 1).strong_enough


def test_the_strength_counts_by_category() -> None:
    """Each category has its mutants and how many of them were killed."""
    strength = matrix("ci", 3, 1).strength

    assert (strength.mutants, strength.killed) == (4, 3)
    assert sum(found.mutants for found in strength.categories) == 4
    assert sum(found.killed for found in strength.categories) == 3


def test_an_unknown_mutant_is_answered_with_the_nearest() -> None:
    """The error names the mutant that was meant."""
    known: tuple[Mutant, ...] = planted_mutants()
    name = known[0].name

    assert chosen_mutants(known, [name]) == known[:1]
    with pytest.raises(ConfigurationError, match=f"did you mean .*{name}"):
        chosen_mutants(known, [f"{name}x"])


def test_an_unknown_property_is_answered_with_the_nearest() -> None:
    """The error names near ids; case does not matter."""
    assert find_property("img-04").id == "IMG-04"
    with pytest.raises(ConfigurationError, match="did you mean"):
        find_property("IMG-4")


def test_explain_tells_what_a_property_demands_and_what_proves_it() -> None:
    """Statement, level, gate and mutants, for people and for machines."""
    told = CliRunner().invoke(build_app(), ["explain", "IMG-04"])
    data = CliRunner().invoke(build_app(), ["explain", "IMG-04", "--json"])

    assert told.exit_code == ExitCode.DONE
    assert "does not declare ranged reads" in told.output
    assert "range-starts-one-byte-late" in told.output
    assert json.loads(data.output)["level"] == "L1"


@pytest.mark.slow
def test_mutants_prints_the_kill_matrix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mutant of the suite's own list is killed under smoke by its property, in few steps."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    arguments = ["mutants", "--profile", "smoke", "--only", "range-starts-one-byte-late"]
    told = CliRunner().invoke(build_app(), arguments)

    assert told.exit_code == ExitCode.DONE
    assert "1 of 1 killed by their own property, 1 with a repro of at most 8 steps" in told.output
