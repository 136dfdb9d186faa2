"""Reports of real runs that tests change, and forge as somebody would who knows the format."""

from pathlib import Path

import msgspec

from holdfast_conformance.certification.run import CertifyRequest, certify
from holdfast_conformance.execution.progress import Silent
from holdfast_conformance.profiles import Profile
from holdfast_conformance.replay_file import read_repro, replay_command
from holdfast_conformance.report.document import (
    REPORT_NAME,
    Failure,
    Report,
    decode_report,
    digest_of,
    encode_report,
    sha256_of,
)
from holdfast_conformance.report.html import render_html
from holdfast_conformance.report.junit import render_junit
from holdfast_conformance.report.wording import describe_step
from holdfast_conformance.verdict import Level

MUTANT = "mutant:content-type-is-lost"
"""Fails soon, so that a short run has a failure and its repro."""
TINY = Profile(name="tiny", rounds=3, ops=100, steps=10, purpose="a report that is quick to judge")


def write_original(out: Path) -> None:
    """The report of a short run on a defective driver."""
    request = CertifyRequest(
        provider=MUTANT, testbed="", profile=TINY, level=Level.L1, seed=3, out=out
    )
    certify(request, Silent())


def report_in(directory: Path) -> Report:
    return decode_report((directory / REPORT_NAME).read_bytes())


def forge(directory: Path, report: Report) -> None:
    """Write a changed report with renderings, file hashes and digest put right."""
    renderings = {"junit.xml": render_junit(report), "report.html": render_html(report)}
    for name, data in renderings.items():
        (directory / name).write_bytes(data)
    files = {
        path.relative_to(directory).as_posix(): sha256_of(path.read_bytes())
        for path in directory.rglob("*")
        if path.is_file() and not path.is_symlink() and path.name != REPORT_NAME
    }
    forged = msgspec.structs.replace(report, files=files)
    forged = msgspec.structs.replace(forged, digest=digest_of(forged))
    (directory / REPORT_NAME).write_bytes(encode_report(forged))


def sealed(directory: Path, report: Report) -> Report:
    """Write a changed report with everything put right that follows from its replay files, too."""
    failures = tuple(
        Failure(
            property=repro.property,
            steps=tuple(describe_step(step) for step in repro.plan.steps) if repro.plan else (),
            confirmed=repro.confirmed,
            replay=replay_command(f"repro/{path.name}", report.driver.reference, repro.testbed),
            file=f"repro/{path.name}",
        )
        for path in sorted((directory / "repro").iterdir())
        for repro in (read_repro(path),)
    )
    told = msgspec.structs.replace(report, failures=failures)
    forge(directory, told)
    return told
