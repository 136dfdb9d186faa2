"""Composing a report: what the writer states, and all that follows from the traces.

The writer and ``verify`` call the same function, so that a report is right exactly when composing
it once more from its own traces gives the same bytes.
"""

from itertools import chain
from pathlib import Path

import msgspec

from holdfast.errors import UsageError
from holdfast.testbed import TestbedKind
from holdfast_conformance.judgement.judge import judge
from holdfast_conformance.judgement.registry import all_properties
from holdfast_conformance.reduction.repro import encode_repro, read_repro, replay_command
from holdfast_conformance.report.document import (
    HTML_NAME,
    JUNIT_NAME,
    REPRO_NAME,
    SCHEMA,
    TRACES_NAME,
    BackendFacts,
    DriverFacts,
    Failure,
    Part,
    Report,
    RunFacts,
    Strength,
    digest_of,
    sha256_of,
)
from holdfast_conformance.report.html import render_html
from holdfast_conformance.report.junit import render_junit
from holdfast_conformance.report.suite import INTERFACE, property_texts, suite_facts
from holdfast_conformance.report.summary import (
    badges_of,
    coverage_of,
    executed_ops,
    leaks_of,
    performance_of,
    roles_of,
)
from holdfast_conformance.report.traces import read_traces
from holdfast_conformance.report.wording import describe_step
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
        UsageError: a file is no trace or no replay file.
    """
    traces = read_traces(directory)
    records = tuple(chain.from_iterable(traces))
    verdict = judge(all_properties(), traces, requested=inputs.requested)
    roles = roles_of(records)
    report = Report(
        schema=SCHEMA,
        interface=INTERFACE,
        suite=suite_facts(),
        driver=msgspec.structs.replace(inputs.driver, roles=roles),
        backend=inputs.backend,
        run=msgspec.structs.replace(inputs.run, ops=executed_ops(records)),
        verdict=verdict,
        scope=scope_of(verdict, inputs.backend),
        badges=badges_of([role.capabilities for role in roles], verdict),
        properties=property_texts(),
        failures=failures_of(directory, inputs.driver.reference),
        coverage=coverage_of(records),
        leaks=leaks_of(records),
        performance=performance_of(records),
        strength=inputs.strength,
    )
    junit, html = render_junit(report), render_html(report)
    files = {JUNIT_NAME: sha256_of(junit), HTML_NAME: sha256_of(html)}
    for path in listed_files(directory):
        files[path.relative_to(directory).as_posix()] = sha256_of(path.read_bytes())
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


def listed_files(directory: Path) -> list[Path]:
    """The trace and replay files, which a report lists beside its renderings."""
    found = [*(directory / TRACES_NAME).rglob("*"), *(directory / REPRO_NAME).rglob("*")]
    return sorted(path for path in found if path.is_file())


def failures_of(directory: Path, reference: str) -> tuple[Failure, ...]:
    """The replay files of a report, in words.

    Raises:
        UsageError: a file in ``repro/`` is no replay file as the suite writes it.
    """
    found: list[Failure] = []
    for path in sorted((directory / REPRO_NAME).glob("*")):
        repro = read_repro(path)
        if encode_repro(repro) != path.read_bytes():
            raise UsageError(f"{path.name} is no replay file as the suite writes it")
        name = path.relative_to(directory).as_posix()
        found.append(
            Failure(
                property=repro.property,
                steps=tuple(describe_step(step) for step in repro.plan.steps) if repro.plan else (),
                confirmed=repro.confirmed,
                replay=replay_command(name, reference, repro.testbed),
                file=name,
            )
        )
    return tuple(found)
