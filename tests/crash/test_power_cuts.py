"""Power cuts in ``holdfast demo``: what was not synced is gone, and ``holdfast recover`` holds."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from crashing.client import cut_power
from crashing.server import CutJob
from holdfast.files.mutations import MutationKind

FULL = os.environ.get("HOLDFAST_CRASH") == "full"
EVERY = 1 if FULL else 7
RecordProperty = Callable[[str, object], None]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600 if FULL else 900)]


def test_a_power_cut_loses_nothing_acknowledged(
    tmp_path: Path, record_property: RecordProperty
) -> None:
    """With only what was synced left, at any fsync or commit, everything acknowledged is there."""
    cuts = cut_power(tmp_path, CutJob(every=EVERY))
    problems = {cut.after: cut.seen.problems for cut in cuts if cut.seen.problems}
    inside = sum(cut.seen.recovered > 0 for cut in cuts)
    record_property(
        "figure",
        f"power cuts: {len(cuts)}, {inside} inside an operation, {len(problems)} bad",
    )

    assert problems == {}
    assert inside > 0


@pytest.mark.parametrize("never", [MutationKind.FSYNC_FILE, MutationKind.FSYNC_DIRECTORY])
def test_a_missing_sync_would_show(never: MutationKind, tmp_path: Path) -> None:
    """Were files or folders never synced, the same power cuts would find what is lost."""
    cuts = cut_power(tmp_path, CutJob(every=13, never=(never,)))

    assert any(cut.seen.problems for cut in cuts)
