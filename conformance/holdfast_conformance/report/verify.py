"""Verifying a report: compose it once more from its own traces, and compare every byte.

Until reports are signed this shows that a report says what its traces say, and that the traces
execute the plans which suite version, seed and capabilities give; it cannot show who made them.
"""

import enum
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import msgspec

from holdfast.contract.errors import HoldfastError, UsageError
from holdfast_conformance.judgement.judge import Judging
from holdfast_conformance.judgement.registry import all_properties
from holdfast_conformance.replay_file import Repro
from holdfast_conformance.report.compose import composed
from holdfast_conformance.report.document import (
    HTML_NAME,
    JUNIT_NAME,
    REPORT_NAME,
    SCHEMA,
    TRACES_NAME,
    Report,
    decode_report,
    digest_of,
    encode_report,
    sha256_of,
)
from holdfast_conformance.report.folder import ReportFolder
from holdfast_conformance.report.html import render_html
from holdfast_conformance.report.inputs import inputs_of
from holdfast_conformance.report.junit import render_junit
from holdfast_conformance.report.plan_check import PlanCheck
from holdfast_conformance.report.reading import hash_traces, read_traces
from holdfast_conformance.report.replays import Replays, replays_in
from holdfast_conformance.report.schema import report_schema
from holdfast_conformance.report.suite import suite_facts
from holdfast_conformance.report.summary import Summary
from holdfast_conformance.stranger_files import Unfit
from holdfast_conformance.trace_lines import UNREADABLE
from holdfast_conformance.verdict import Status

STATEMENT = "recomputed from the traces; no signature yet"
PROBLEMS_SHOWN = 20
EARLIER_SCHEMAS = ("holdfast-report/1",)
"""Formats that suites up to version 2 wrote."""


class Standing(enum.StrEnum):
    """What became of a verification."""

    RIGHT = "right"
    WRONG = "wrong"
    OTHER_SUITE = "made by another suite"


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome: only ``RIGHT`` is a verified report; ``report`` is what could be read of it."""

    standing: Standing
    problems: tuple[str, ...]
    report: Report | None = None


def verify(directory: Path) -> Verification:
    """Verify the report in ``directory``.

    Raises:
        UsageError: there is no report.
    """
    with ReportFolder(directory) as folder:
        return _verified(folder)


def _verified(folder: ReportFolder) -> Verification:
    try:
        data = folder.read(REPORT_NAME)
    except Unfit as problem:
        return _wrong(str(problem))
    except UsageError as problem:
        raise UsageError(f"{folder.path}: {problem}; give a report's directory") from problem
    if earlier := _earlier_format(data):
        return Verification(standing=Standing.OTHER_SUITE, problems=(earlier,))
    return _checked(folder, data)


def _checked(folder: ReportFolder, data: bytes) -> Verification:
    try:
        report = _read(data)
        canonical = encode_report(report)
    except (*UNREADABLE, OverflowError, jsonschema.ValidationError) as problem:
        reason = str(problem).partition("\n")[0]
        return _wrong(f"{REPORT_NAME} is no report: {reason}")
    problems = [*_name_problems(folder, report)]
    if canonical != data:
        problems.append(f"{REPORT_NAME} is not written as the suite writes it")
    if digest_of(report) != report.digest:
        problems.append(f"{REPORT_NAME} does not have the digest that it states")
    if problems:
        return _wrong(*problems, report=report)
    try:
        problems = [*_content_problems(folder, report, data)]
    except HoldfastError as problem:
        problems = [str(problem)]
    if problems:
        return _wrong(*problems, report=report)
    if report.suite != suite_facts():
        return _other_suite(report)
    return Verification(standing=Standing.RIGHT, problems=(), report=report)


class _Format(msgspec.Struct):
    """What a report of any format has."""

    schema: str


def _earlier_format(data: bytes) -> str:
    """Why a report is of no format that can be verified any more, or an empty string."""
    try:
        schema = msgspec.json.decode(data, type=_Format).schema
    except UNREADABLE:
        return ""
    if schema not in EARLIER_SCHEMAS:
        return ""
    return (
        f"{REPORT_NAME} is of format {schema}, which does not say what is needed to know whether "
        f"all plans were run; certify again, with a suite that writes {SCHEMA}"
    )


def _read(data: bytes) -> Report:
    report = decode_report(data)
    # What the schema alone would have to refuse can be nested deeper than it can be followed.
    _schema_check()(msgspec.json.decode(data))
    return report


@cache
def _schema_check() -> Callable[[Any], None]:
    """Raises ``ValidationError`` for a document that is not valid under the published schema."""
    validator: Any = jsonschema.Draft202012Validator(report_schema())
    check: Callable[[Any], None] = validator.validate
    return check


def _wrong(*problems: str, report: Report | None = None) -> Verification:
    lines = problems[:PROBLEMS_SHOWN]
    if len(problems) > PROBLEMS_SHOWN:
        lines = (*lines, f"and {len(problems) - PROBLEMS_SHOWN} more")
    return Verification(standing=Standing.WRONG, problems=lines, report=report)


def _other_suite(report: Report) -> Verification:
    ours = suite_facts()
    version = report.suite.version
    reason = (
        f"made by suite {version}, and this is {ours.version}: "
        f"install holdfast=={version} to verify it"
        if version != ours.version
        else f"made by other sources of suite {version} than those installed here"
    )
    return Verification(standing=Standing.OTHER_SUITE, problems=(reason,), report=report)


def _name_problems(folder: ReportFolder, report: Report) -> Iterator[str]:
    """Things that belong to no report, files that are not listed, and listed ones that are not
    there.
    """
    yield from folder.problems
    here = {name for name in folder.names if name != REPORT_NAME}
    for name in sorted(here - report.files.keys()):
        yield f"{name} is not listed in {REPORT_NAME}"
    for name in sorted(report.files.keys() - here):
        yield f"{name} is listed and missing"


def _content_problems(folder: ReportFolder, report: Report, data: bytes) -> Iterator[str]:
    """Files that were changed; then where the report departs from what its traces give."""
    others = {
        name: folder.read(name)
        for name in folder.names
        if name != REPORT_NAME and not name.startswith(f"{TRACES_NAME}/")
    }
    sha256 = hash_traces(folder) | {name: sha256_of(content) for name, content in others.items()}
    changed = [name for name in folder.names if sha256.get(name) != report.files.get(name)]
    for name in changed:
        yield f"{name} was changed: its SHA-256 is not the one that is listed"
    if not changed and report.suite == suite_facts():
        yield from _recomputed_problems(folder, others, report, data)


def _recomputed_problems(
    folder: ReportFolder, others: Mapping[str, bytes], report: Report, data: bytes
) -> Iterator[str]:
    """Where the report departs from what its traces give, which are hashed once more as they are
    judged: what is compared at the end is of the very bytes that were read.
    """
    inputs = inputs_of(report)
    judging, summary, check = Judging(all_properties()), Summary(), PlanCheck(inputs)
    read = read_traces(folder, judging, summary, check)
    if not read.problems:
        check.close()
    yield from check.problems
    yield from read.problems.values()
    for name, rendered in ((JUNIT_NAME, render_junit(report)), (HTML_NAME, render_html(report))):
        if others.get(name) != rendered:
            yield f"{name} is not what {REPORT_NAME} renders to"
    if read.problems:
        return
    verdict = judging.verdict(inputs.requested, check.cut)
    try:
        replays = replays_in(others, verdict, report.stated.driver.reference)
    except UsageError as problem:
        yield str(problem)
        replays = Replays(failures=(), sha256={}, repros=())
    yield from _stated_problems(replays.repros, report, check)
    again = composed(inputs, verdict, summary, replays, read.sha256)
    errors = [each.reason for each in again.report.verdict.results if each.status is Status.ERROR]
    yield from dict.fromkeys(errors)
    if encode_report(again.report) != data:
        named = [*_field_problems(again.report, report)]
        yield from named or [f"the files are not those that {REPORT_NAME} lists"]


def _field_problems(right: Report, stated: Report) -> Iterator[str]:
    for field in msgspec.structs.fields(Report):
        if field.name not in {"digest", "files"}:
            recomputed, stated_value = getattr(right, field.name), getattr(stated, field.name)
            if recomputed != stated_value:
                yield f"{field.name} in {REPORT_NAME} is not what the traces give"


def _stated_problems(repros: tuple[Repro, ...], report: Report, check: PlanCheck) -> Iterator[str]:
    """Replay files that tell of another run than the report's."""
    for repro in repros:
        where = f"the replay file of {repro.property}"
        kind = repro.testbed.partition(":")[0]
        stated = (
            ("driver", repro.provider, report.stated.driver.reference),
            ("seed", repro.seed, report.run.seed),
            ("suite", repro.suite, report.suite.version),
            ("backend", kind or report.stated.backend.kind.value, report.stated.backend.kind.value),
        )
        for what, value, right in stated:
            if value != right:
                yield f"{where} is of {what} {value!r}, and the report of {right!r}"
        plan = repro.plan
        if plan is not None and (plan.role.value, plan.id) not in check.executed:
            yield f"{where} is of plan {plan.id!r}, which was not run"
