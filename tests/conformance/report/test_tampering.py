"""Whatever is done to a report: it is rejected, or what changed is marked as stated.

`HOLDFAST_TAMPERINGS=full` tries 320 of them instead of a sample.
"""

import os
import random
import shutil
from pathlib import Path

import msgspec
import pytest

from holdfast.contract.errors import HoldfastError
from holdfast_conformance.report.document import Report
from holdfast_conformance.report.scope import scope_of
from holdfast_conformance.report.verify import Standing, verify
from tampering import KINDS, Kind, Tampering, edit_replay
from written_reports import FAILING, GOOD, forge, report_in, shared_original

pytestmark = pytest.mark.slow

FULL = os.environ.get("HOLDFAST_TAMPERINGS") == "full"
EACH = 8 if FULL else 1
"""How many tamperings there are of each kind and of a report."""
REPORTS = ("good", "failing")
FAILING_HAS: dict[Kind, str] = {edit_replay: "failing"}
TRIED = [
    pytest.param(which, kind, id=f"{which}-{kind.__name__}")
    for number, kind in enumerate(KINDS)
    for which in (REPORTS if FULL else (FAILING_HAS.get(kind, REPORTS[number % 2]),))
]
"""Each kind with both reports, or with one of them that has what is changed."""


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Reports of a right and of a defective driver, and one of the right driver's other seed."""
    made = {"good": (GOOD, 3), "failing": (FAILING, 3), "other": (GOOD, 4)}
    return {
        name: shared_original(tmp_path_factory, provider, seed)
        for name, (provider, seed) in made.items()
    }


def recomputed(report: Report, like: Report) -> Report:
    """A report without what is marked as stated, and without the digests of its files."""
    results = tuple(
        msgspec.structs.replace(
            result,
            findings=tuple(
                msgspec.structs.replace(finding, observed="") for finding in result.findings
            ),
        )
        for result in report.verdict.results
    )
    # What level was asked for is the writer's word, too, and so is whether that was reached.
    asked = like.verdict
    verdict = msgspec.structs.replace(
        report.verdict, results=results, requested=asked.requested, ok=asked.ok
    )
    leaks = tuple(msgspec.structs.replace(leak, what="") for leak in report.leaks)
    return msgspec.structs.replace(
        report, verdict=verdict, leaks=leaks, stated=like.stated, files={}, digest=""
    )


def names_other_roles(told: Report, original: Report) -> bool:
    """Whether other roles are stated than before, which the scope says in its first words."""
    scopes = [scope_of(report).partition(")")[0] for report in (told, original)]
    return told.stated.roles != original.stated.roles and scopes[0] != scopes[1]


@pytest.mark.parametrize(("which", "kind"), TRIED)
def test_no_tampering_is_verified(
    reports: dict[str, Path], tmp_path: Path, which: str, kind: Kind
) -> None:
    """Edits, cuts, whole plans and roles, and everything put right that follows from them."""
    original = report_in(reports[which])
    passed: list[int] = []
    for number in range(EACH):
        directory = Path(shutil.copytree(reports[which], tmp_path / "tampered"))
        chance = random.Random(f"{which} {kind.__name__} {number}")
        try:
            kind(Tampering(directory, reports["other"], chance))
        except HoldfastError:  # the suite itself writes no such report, but somebody may
            forge(directory, original)
        if verify(directory).standing is Standing.RIGHT:
            told = report_in(directory)
            if not states_something_else(told, original):
                passed.append(number)
        shutil.rmtree(directory)

    assert passed == []


def states_something_else(told: Report, original: Report) -> bool:
    """Whether all that changed is marked as stated, and something did."""
    if told == original:
        return False
    same = recomputed(told, original) == recomputed(original, original)
    return same or names_other_roles(told, original)


@pytest.mark.parametrize("which", REPORTS)
def test_a_report_that_nobody_touched_is_verified(reports: dict[str, Path], which: str) -> None:
    """Otherwise it would prove nothing that the others are not."""
    assert verify(reports[which]).standing is Standing.RIGHT
