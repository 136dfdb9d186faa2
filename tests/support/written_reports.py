"""Reports of real runs that tests change, and forge as somebody would who knows the format."""

import fcntl
import os
from pathlib import Path

import msgspec
import pytest

from holdfast.contract.errors import UsageError
from holdfast_conformance.certification.run import CertifyRequest, certify
from holdfast_conformance.judgement.judge import Judging
from holdfast_conformance.judgement.registry import all_properties
from holdfast_conformance.profiles import Profile, find_profile
from holdfast_conformance.replay_file import read_repro, replay_command
from holdfast_conformance.report.compose import composed
from holdfast_conformance.report.document import (
    REPORT_NAME,
    Failure,
    Report,
    decode_report,
    digest_of,
    encode_report,
    sha256_of,
)
from holdfast_conformance.report.folder import ReportFolder
from holdfast_conformance.report.html import render_html
from holdfast_conformance.report.inputs import ReportInputs
from holdfast_conformance.report.junit import render_junit
from holdfast_conformance.report.plan_check import PlanCheck
from holdfast_conformance.report.reading import read_traces
from holdfast_conformance.report.replays import read_replays
from holdfast_conformance.report.summary import Summary
from holdfast_conformance.report.wording import describe_step
from holdfast_conformance.report.write import write_composed
from holdfast_conformance.supervision.progress import Silent
from holdfast_conformance.verdict import Level

GOOD, FAILING = "small_memory:Small", "small_memory:Forgetful"
"""Both declare little: a report is written in a second, and verified in less."""
_ODD = Path(__file__).resolve().parents[1] / "conformance" / "odd"
QUICK = find_profile("quick")


def write_original(
    out: Path,
    provider: str = FAILING,
    profile: Profile = QUICK,
    seed: int = 3,
    level: Level = Level.L1,
) -> None:
    """The report of a short run, on a defective driver unless another is named."""
    request = CertifyRequest(
        provider=provider, testbed="", profile=profile, level=level, seed=seed, out=out
    )
    certify(request, Silent())


def shared_original(
    factory: pytest.TempPathFactory, provider: str = FAILING, seed: int = 3
) -> Path:
    """The same, written by whichever process of a test run needs it first; only to be read."""
    mine = factory.getbasetemp()
    # Each of several processes has a folder of its own below that of the run.
    top = mine.parent if "PYTEST_XDIST_WORKER" in os.environ else mine
    out = top / f"original-{provider.replace(':', '-')}-{seed}"
    with out.with_suffix(".lock").open("w") as lock, pytest.MonkeyPatch.context() as patch:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not out.exists():
            patch.setenv("XDG_STATE_HOME", str(factory.mktemp("state")))
            patch.setenv("PYTHONPATH", str(_ODD), prepend=os.pathsep)
            written = factory.mktemp("written") / "report"
            write_original(written, provider, seed=seed)
            written.rename(out)  # only what is whole has this name
    return out


def report_in(directory: Path) -> Report:
    return decode_report((directory / REPORT_NAME).read_bytes())


def number_anew(directory: Path) -> None:
    """Give the traces the names that an executor of exactly these would have given them."""
    for number, path in enumerate(sorted((directory / "traces").iterdir()), 1):
        path.rename(path.with_name(f"{number:06d}{path.name[6:]}"))


def write_report(directory: Path, inputs: ReportInputs) -> Report:
    """Write the report of whatever traces are there, as who reads them would compose it.

    Raises:
        UsageError: a file is no trace or no replay file, or is none that a report has.
    """
    with ReportFolder(directory) as folder:
        for problem in folder.problems:
            raise UsageError(problem)
        judging, summary, check = Judging(all_properties()), Summary(), PlanCheck(inputs)
        read = read_traces(folder, judging, summary, check)
        for problem in read.problems.values():
            raise UsageError(problem)
        check.close()
        verdict = judging.verdict(inputs.requested, check.cut)
        replays = read_replays(folder, verdict, inputs.stated.driver.reference)
        made = composed(inputs, verdict, summary, replays, read.sha256)
    return write_composed(directory, made)


def rewrite(directory: Path, inputs: ReportInputs) -> Report:
    """Write the report anew from the traces that are there; replay files of no failure go."""
    number_anew(directory)
    while True:
        try:
            return write_report(directory, inputs)
        except UsageError as problem:
            name, _, reason = str(problem).partition(" ")
            if reason != "is of no property that failed":
                raise
            (directory / name).unlink()


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
            replay=replay_command(
                f"repro/{path.name}", report.stated.driver.reference, repro.testbed
            ),
            file=f"repro/{path.name}",
        )
        for path in sorted((directory / "repro").iterdir())
        for repro in (read_repro(path),)
    )
    stated = msgspec.structs.replace(report.stated, failures=failures)
    told = msgspec.structs.replace(report, stated=stated)
    forge(directory, told)
    return told
