"""The suite's strength: for each property one planted defect that it must find.

``holdfast mutants --profile smoke --profile ci`` hunts all of them.
"""

import pytest

from holdfast.contract.mutant import Mutant
from holdfast_conformance.installed_mutants import find_mutant
from holdfast_conformance.planted_defects import planted_mutants
from holdfast_conformance.profiles import find_profile
from holdfast_conformance.strength.mutant_run import MutantTask, run_mutant

pytestmark = pytest.mark.slow

OPERATIONS_MAX = 8
SELDOM = frozenset(
    {
        "ids-repeat-after-some",
        "abort-takes-its-key-for-a-pattern",
        "list-answers-too-late",
        "deleted-volume-comes-back-later",
    }
)
"""One takes many operations to show, one is met by some seeds of `smoke` alone, and two are shown
by waiting for them again and again.
"""
FIRST_OF_EACH = {
    mutant.property: mutant for mutant in reversed(planted_mutants()) if mutant.name not in SELDOM
}


@pytest.mark.parametrize("mutant", FIRST_OF_EACH.values(), ids=FIRST_OF_EACH)
def test_a_property_finds_the_defect_planted_for_it(mutant: Mutant) -> None:
    """The defect is found under `smoke`, by its own property, and shown in a few operations."""
    task = MutantTask(
        name=mutant.name, target=mutant.property, profile=find_profile("smoke"), seed=7
    )
    found = run_mutant(task)

    assert found.killed
    assert found.repro_steps is not None
    assert found.repro_steps <= OPERATIONS_MAX


@pytest.mark.parametrize(
    "name",
    [
        "snapshots-end-reverting",
        "first-fence-is-kept",
        "guests-format-is-believed",
        "compressed-is-unpacked",
        "lines-end-in-one-way",
    ],
)
def test_a_story_finds_the_defect_it_was_told_for(name: str) -> None:
    """Also where another defect is the first of its property."""
    mutant = find_mutant(name)
    task = MutantTask(
        name=name, target=mutant.property, profile=find_profile("quick"), seed=7, reduce=False
    )

    assert run_mutant(task).killed
