"""The suite's strength: for each property one planted defect that it must find.

``holdfast mutants --profile smoke --profile ci`` hunts all of them.
"""

import pytest

from holdfast.mutant import Mutant
from holdfast_conformance.planted import planted_mutants
from holdfast_conformance.profiles import find_profile
from holdfast_conformance.strength.mutant_run import MutantTask, run_mutant

pytestmark = pytest.mark.slow

OPERATIONS_MAX = 8
FIRST_OF_EACH = {mutant.property: mutant for mutant in reversed(planted_mutants())}


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
