"""Composing a report: what the writer states, and all that follows from the traces.

The writer, who judged the traces while they were written, and ``verify``, who reads them, call the
same function: a report is right exactly when composing it from its own traces gives the same bytes.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import msgspec

from holdfast.contract.errors import UsageError
from holdfast.contract.requests import Role
from holdfast_conformance.judgement.judge import Judging
from holdfast_conformance.judgement.registry import all_properties
from holdfast_conformance.plan_limits import excess_of
from holdfast_conformance.report.document import (
    HTML_NAME,
    JUNIT_NAME,
    SCHEMA,
    Report,
    decode_report,
    digest_of,
    encode_report,
    sha256_of,
)
from holdfast_conformance.report.folder import ReportFolder
from holdfast_conformance.report.html import render_html
from holdfast_conformance.report.inputs import ReportInputs
from holdfast_conformance.report.judged_trace import JudgedTrace
from holdfast_conformance.report.junit import render_junit
from holdfast_conformance.report.plan_check import cut_short
from holdfast_conformance.report.reading import hash_traces
from holdfast_conformance.report.replays import Replays, read_replays
from holdfast_conformance.report.suite import INTERFACE, property_texts, suite_facts
from holdfast_conformance.report.summary import Summary, badges_of
from holdfast_conformance.verdict import Verdict


class Composed(msgspec.Struct, frozen=True, kw_only=True):
    """A report and its renderings."""

    report: Report
    junit: bytes
    html: bytes


class Account:
    """What was seen of a run's traces, which are given to it in their order and not kept."""

    def __init__(self) -> None:
        self.judging = Judging(all_properties())
        self.summary = Summary()
        self.begun: Counter[Role] = Counter()
        """How many plans of each role were begun."""

    def add(self, trace: JudgedTrace) -> None:
        """Take the next trace, which is over.

        Raises:
            UsageError: its plan asks for more than any that a report may have.
        """
        started = trace.summary.started
        if started is not None:
            if excess := excess_of(started.plan):
                raise UsageError(f"plan {started.plan.id} is none that a report can have: {excess}")
            self.begun[started.plan.role] += 1
        self.judging.end(trace.judge)
        self.summary.add(trace.summary)


def compose(
    directory: Path, inputs: ReportInputs, account: Account, sha256: Mapping[str, str]
) -> Composed:
    """The report of the traces that were written to ``directory``, and of what was stated.

    Args:
        directory: of the report.
        inputs: what is stated.
        account: what was seen of the traces.
        sha256: the digests of the bytes that were written, by the names of the traces.

    Raises:
        UsageError: a trace is not there as it was written, or a file is none that a report has.
    """
    with ReportFolder(directory) as folder:
        for problem in folder.problems:
            raise UsageError(problem)
        # What was judged is what is there: a disk may have kept something else, or somebody.
        there = hash_traces(folder)
        for name in sorted(there.keys() | sha256.keys()):
            if there.get(name) != sha256.get(name):
                raise UsageError(f"{name} is not there as it was written; certify again")
        cut = {
            role: cut_short(role, account.begun[role], inputs.run.profile)
            for role in inputs.run.stopped
        }
        verdict = account.judging.verdict(inputs.requested, cut)
        replays = read_replays(folder, verdict, inputs.stated.driver.reference)
        return composed(inputs, verdict, account.summary, replays, there)


def composed(
    inputs: ReportInputs,
    verdict: Verdict,
    summary: Summary,
    replays: Replays,
    traces_sha256: Mapping[str, str],
) -> Composed:
    """The report of what was read."""
    roles = summary.roles()
    stated = msgspec.structs.replace(
        inputs.stated,
        roles=summary.declared_roles,
        faults=summary.faults,
        errors=summary.errors(),
        performance=summary.performance(),
        failures=replays.failures,
    )
    report = Report(
        schema=SCHEMA,
        interface=INTERFACE,
        suite=suite_facts(),
        run=msgspec.structs.replace(inputs.run, ops=summary.executed_ops),
        roles=roles,
        verdict=verdict,
        badges=badges_of([role.capabilities for role in roles], verdict),
        properties=property_texts(),
        coverage=summary.coverage(),
        leaks=summary.leaks(),
        stated=stated,
    )
    # Rendered as whoever reads the report will have it: what was counted has an order of its own.
    report = decode_report(encode_report(report))
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
