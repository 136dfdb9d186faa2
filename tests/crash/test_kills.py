"""SIGKILL of ``holdfast demo`` at every point and at any moment: ``holdfast recover`` holds."""

import os
import random
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from crashing.client import run_jobs
from crashing.playing import Moment
from crashing.server import Job, Report

FULL = os.environ.get("HOLDFAST_CRASH") == "full"
"""Every point and 240 moments instead of a sample; takes some minutes."""

EVERY = 1 if FULL else 24
MOMENTS = 240 if FULL else 12
MOMENTS_INSIDE_MIN = 150 if FULL else 5
SERVERS = (os.cpu_count() or 1) if FULL else 1
RecordProperty = Callable[[str, object], None]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200 if FULL else 900)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """A demo that nobody killed."""
    (report,) = run_jobs(tmp_path_factory.mktemp("whole"), [Job()])
    return report


def problems_of(reports: Sequence[Report]) -> dict[str, object]:
    return {
        f"killed at {report.played.points[-1:]} after {report.played.seconds:.2f} s": (
            report.seen.problems,
            report.log,
        )
        for report in reports
        if report.seen.problems
    }


def test_a_demo_that_nobody_kills_needs_no_recovery(whole: Report) -> None:
    """The whole demo ends well, keeps its promises, and leaves nothing to recover."""
    assert (whole.played.status, whole.seen.recovered, whole.seen.problems) == (0, 0, ())
    assert {promise.promised.value for promise in whole.played.promises} == {
        "template",
        "volume",
        "snapshot",
        "backup",
    }


def test_a_kill_at_any_point_loses_nothing(
    whole: Report, tmp_path: Path, record_property: RecordProperty
) -> None:
    """Killed before or after a commit or a file's mutation, everything acknowledged is there."""
    points = whole.played.points
    # Coprime to the two points of each mutation, so that a sample has befores and afters.
    numbers = list(range(0, len(points), EVERY + 1 if EVERY > 1 else 1))
    reports = run_jobs(tmp_path, [Job(kill_at=number) for number in numbers], servers=SERVERS)
    what = Counter(points[number].what.split()[-1] == "commit" for number in numbers)
    record_property(
        "figure",
        f"crash points: {len(numbers)} of {len(points)} "
        f"({what[True]} at commits, {what[False]} at file mutations), "
        f"{sum(report.inside for report in reports)} inside an operation, "
        f"{len(problems_of(reports))} bad",
    )

    assert problems_of(reports) == {}
    assert {report.played.status for report in reports} == {-signal.SIGKILL}
    assert sorted(report.played.points[-1].number for report in reports) == numbers
    assert what[True] > 0
    assert what[False] > 0


def test_a_kill_of_the_recovery_loses_nothing(
    whole: Report, tmp_path: Path, record_property: RecordProperty
) -> None:
    """When recovery is killed too, the next one ends as well as the first would have."""
    chance = random.Random(21)
    every = 2 if FULL else 67
    jobs = [
        Job(kill_at=number, kill_recovery_at=chance.randrange(40))
        for number in range(12, len(whole.played.points), every)
    ]
    reports = run_jobs(tmp_path, jobs, servers=SERVERS)
    record_property(
        "figure", f"crashes in recovery: {len(reports)}, {len(problems_of(reports))} bad"
    )

    assert problems_of(reports) == {}
    assert len(reports) == len(jobs)


def test_a_kill_at_any_moment_loses_nothing(
    whole: Report, tmp_path: Path, record_property: RecordProperty
) -> None:
    """Killed at random moments, most inside an operation, everything acknowledged is there."""
    chance = random.Random(20)
    moments = [
        Moment(lines=chance.randrange(len(whole.played.points)), seconds=chance.uniform(0, 0.002))
        for _ in range(MOMENTS)
    ]
    reports = run_jobs(tmp_path, [Job(moment=moment) for moment in moments], servers=SERVERS)
    killed = sum(report.played.status == -signal.SIGKILL for report in reports)
    inside = sum(report.inside for report in reports)
    record_property(
        "figure",
        f"crash moments: {len(reports)}, {killed} killed, {inside} inside an operation, "
        f"{len(problems_of(reports))} bad",
    )

    assert problems_of(reports) == {}
    assert len(reports) == MOMENTS
    assert inside >= MOMENTS_INSIDE_MIN
