"""Hunting mutants: killed by their own property, soon, and with a repro that says why."""

import pytest

from holdfast_conformance.profiles import find_profile
from holdfast_conformance.strength.mutant_run import MutantTask, run_mutant

pytestmark = [pytest.mark.usefixtures("odd"), pytest.mark.slow]


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("get-volume-takes-no-context", "CAP-01"),
        ("grants-are-counted", "ACC-02"),
        ("exits-the-process", "CAP-07"),
        ("last-byte-is-lost", "IMG-01"),
    ],
)
def test_a_mutant_is_killed_by_its_own_property(name: str, target: str) -> None:
    """The repro fails every time, and a person reads it at a glance."""
    task = MutantTask(name=name, target=target, profile=find_profile("smoke"), seed=0)
    found = run_mutant(task)

    assert found.killed
    assert found.repro is not None
    assert found.repro.property == target
    assert found.repro.confirmed[0] == found.repro.confirmed[1]
    assert found.repro_steps is not None
    assert found.repro_steps <= 8


def test_a_mutant_survives_a_property_it_does_not_break() -> None:
    """Another property's failure is noted and is no kill."""
    task = MutantTask(
        name="grants-are-counted", target="SNP-01", profile=find_profile("smoke"), seed=0
    )
    found = run_mutant(task)

    assert not found.killed
    assert "ACC-02" in found.others
