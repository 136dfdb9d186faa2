"""Power cuts in ``holdfast demo``: what was not synced is gone, and ``holdfast recover`` holds."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from crashing.power import power_cuts
from crashing.server import make_image

EVERY = 1 if os.environ.get("HOLDFAST_CRASH") == "full" else 6
RecordProperty = Callable[[str, object], None]


@pytest.mark.slow
def test_a_power_cut_loses_nothing_acknowledged(
    tmp_path: Path, record_property: RecordProperty
) -> None:
    """With only what was synced left, at any fsync or commit, everything acknowledged is there."""
    make_image(tmp_path / "image.raw")
    cuts = list(power_cuts(tmp_path, tmp_path / "image.raw", every=EVERY))
    problems = {cut.after: cut.seen.problems for cut in cuts if cut.seen.problems}
    inside = sum(cut.seen.recovered > 0 for cut in cuts)
    record_property(
        "figure",
        f"power cuts: {len(cuts)}, {inside} inside an operation, {len(problems)} bad",
    )

    assert problems == {}
    assert inside > 0
