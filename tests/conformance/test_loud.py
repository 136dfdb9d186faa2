"""What a driver says is cut where it enters, and what it declares must be able to be."""

from pathlib import Path

import pytest

from holdfast.contract.errors import ExitCode
from holdfast_conformance.certification.run import Certified, CertifyRequest, certify
from holdfast_conformance.report.verify import Standing, verify
from holdfast_conformance.supervision.progress import Silent
from holdfast_conformance.verdict import Level, Status
from written_reports import QUICK

pytestmark = [pytest.mark.usefixtures("odd"), pytest.mark.slow]

FOLDER_MAX_BYTES = 2 << 20
"""As much as eight of its errors would fill; it raises hundreds."""


def certified(provider: str, out: Path) -> Certified:
    request = CertifyRequest(
        provider=provider, testbed="", profile=QUICK, level=Level.L1, seed=1, out=out, jobs=1
    )
    return certify(request, Silent())


def test_endless_texts_make_no_endless_report(tmp_path: Path) -> None:
    """A driver whose errors never end gets its verdict, in a report of ordinary size."""
    out = tmp_path / "out"
    done = certified("loud_providers:LoudProvider", out)
    files = [path for path in out.rglob("*") if path.is_file()]

    assert done.exit_code is ExitCode.FAILED
    assert sum(path.stat().st_size for path in files) < FOLDER_MAX_BYTES
    cut = "... (cut, 262148 characters)"
    assert any(cut in path.read_text() for path in files if path.suffix == ".jsonl")
    assert verify(out).standing is Standing.RIGHT


def test_a_store_that_cannot_be_is_a_verdict(tmp_path: Path) -> None:
    """Sizes in steps of zero are a failure of CAP-01 that names them, and no defect of ours."""
    out = tmp_path / "out"
    done = certified("loud_providers:NonsenseProvider", out)
    failed = {r.id: r for r in done.report.verdict.results if r.status is Status.FAIL}

    assert done.exit_code is ExitCode.FAILED
    assert "size_granularity_bytes is 0" in failed["CAP-01"].findings[0].observed
    assert verify(out).standing is Standing.RIGHT


def test_a_driver_that_cannot_be_loaded_has_a_replay_file(tmp_path: Path) -> None:
    """Each property that failed has one, also where loading was all there was."""
    out = tmp_path / "out"
    certified("raises_at_import:Provider", out)
    outcome = verify(out)

    assert (outcome.standing, outcome.problems) == (Standing.RIGHT, ())
    assert sorted(path.name for path in (out / "repro").iterdir()) == [
        "CAP-01.json",
        "CAP-02.json",
    ]
