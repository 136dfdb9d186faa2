"""Composing a report: what the writer states, and all that follows from the traces.

The writer and ``verify`` call the same function, so that a report is right exactly when composing
it once more from its own traces gives the same bytes.
"""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from holdfast.errors import UsageError
from holdfast.testbed import TestbedKind
from holdfast_conformance.judgement.judge import Judging
from holdfast_conformance.judgement.registry import all_properties
from holdfast_conformance.report.document import (
    HTML_NAME,
    JUNIT_NAME,
    SCHEMA,
    BackendFacts,
    DriverFacts,
    Part,
    Report,
    RunFacts,
    Strength,
    digest_of,
    sha256_of,
)
from holdfast_conformance.report.folder import ReportFolder
from holdfast_conformance.report.html import render_html
from holdfast_conformance.report.junit import render_junit
from holdfast_conformance.report.reading import read_traces
from holdfast_conformance.report.replays import Replays, read_replays
from holdfast_conformance.report.suite import INTERFACE, property_texts, suite_facts
from holdfast_conformance.report.summary import Summary, badges_of
from holdfast_conformance.verdict import Level, Verdict


class ReportInputs(Part, frozen=True, kw_only=True):
    """What the traces cannot say: names, versions, the machine, the clock.

    ``driver.roles`` and ``run.ops`` may be left empty, for they come from the traces.
    """

    driver: DriverFacts
    backend: BackendFacts
    run: RunFacts
    requested: Level
    strength: Strength | None = None


class Composed(msgspec.Struct, frozen=True, kw_only=True):
    """A report and its renderings."""

    report: Report
    junit: bytes
    html: bytes


def compose(directory: Path, inputs: ReportInputs) -> Composed:
    """The report of the traces in ``directory``, computed from them and from what was stated.

    Raises:
        UsageError: a file is no trace or no replay file, or is none that a report has.
    """
    with ReportFolder(directory) as folder:
        for problem in folder.problems:
            raise UsageError(problem)
        judging, summary = Judging(all_properties()), Summary()
        read = read_traces(folder, judging, summary)
        for problem in read.problems.values():
            raise UsageError(problem)
        verdict = judging.verdict(inputs.requested)
        replays = read_replays(folder, verdict, inputs.driver.reference)
        return composed(inputs, verdict, summary, replays, read.sha256)


def composed(
    inputs: ReportInputs,
    verdict: Verdict,
    summary: Summary,
    replays: Replays,
    traces_sha256: Mapping[str, str],
) -> Composed:
    """The report of what was read."""
    roles = summary.roles()
    report = Report(
        schema=SCHEMA,
        interface=INTERFACE,
        suite=suite_facts(),
        driver=msgspec.structs.replace(inputs.driver, roles=roles),
        backend=inputs.backend,
        run=msgspec.structs.replace(inputs.run, ops=summary.executed_ops),
        verdict=verdict,
        scope=scope_of(verdict, inputs.backend),
        badges=badges_of([role.capabilities for role in roles], verdict),
        properties=property_texts(),
        failures=replays.failures,
        coverage=summary.coverage(),
        leaks=summary.leaks(),
        performance=summary.performance(),
        strength=inputs.strength,
    )
    junit, html = render_junit(report), render_html(report)
    files = {
        JUNIT_NAME: sha256_of(junit),
        HTML_NAME: sha256_of(html),
        **traces_sha256,
        **replays.sha256,
    }
    report = msgspec.structs.replace(report, files=files)
    report = msgspec.structs.replace(report, digest=digest_of(report))
    return Composed(report=report, junit=junit, html=html)


def inputs_of(report: Report) -> ReportInputs:
    """What the writer of a report must have stated."""
    return ReportInputs(
        driver=msgspec.structs.replace(report.driver, roles=()),
        backend=report.backend,
        run=report.run,
        requested=report.verdict.requested,
        strength=report.strength,
    )


def scope_of(verdict: Verdict, backend: BackendFacts) -> str:
    """What the verdict holds for: the level, the kind of testbed, and what really answered."""
    level = verdict.level.value if verdict.level else "no level"
    identity = backend.identity
    answered = " ".join(
        part for part in (identity.vendor, identity.product, identity.version) if part
    )
    scope = f"{level}/{backend.kind.value}: {answered}"
    return f"{scope} (pre-certification)" if backend.kind is TestbedKind.SIM else scope
