"""Verifying a report: compose it once more from its own traces, and compare every byte.

Until reports are signed this shows that a report says what its traces say, and that the traces
execute the plans which suite version, seed and capabilities give; it cannot show who made them.
"""

import enum
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import Any

import jsonschema
import msgspec

from holdfast.capabilities import Capabilities
from holdfast.errors import HoldfastError, UsageError
from holdfast.requests import Role
from holdfast_conformance.generate import generate_plans
from holdfast_conformance.judgement.judge import capabilities_in
from holdfast_conformance.plan import encode_plan
from holdfast_conformance.profiles import find_profile
from holdfast_conformance.report.compose import compose, inputs_of
from holdfast_conformance.report.document import (
    HTML_NAME,
    JUNIT_NAME,
    REPORT_NAME,
    Report,
    decode_report,
    digest_of,
    encode_report,
    sha256_of,
)
from holdfast_conformance.report.html import render_html
from holdfast_conformance.report.junit import render_junit
from holdfast_conformance.report.schema import report_schema
from holdfast_conformance.report.suite import suite_facts
from holdfast_conformance.report.traces import read_traces
from holdfast_conformance.trace import Loaded, Started, TraceRecord
from holdfast_conformance.trace_lines import UNREADABLE
from holdfast_conformance.verdict import Status

STATEMENT = "recomputed from the traces; no signature yet"
PROBLEMS_SHOWN = 20


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
    path = directory / REPORT_NAME
    try:
        data = path.read_bytes()
    except OSError as problem:
        raise UsageError(f"{path}: {problem.strerror}; give a report's directory") from problem
    try:
        report = _read(data)
    except (*UNREADABLE, jsonschema.ValidationError) as problem:
        reason = str(problem).partition("\n")[0]
        return _wrong(f"{REPORT_NAME} is no report: {reason}")
    problems = [*_file_problems(directory, report)]
    if encode_report(report) != data:
        problems.append(f"{REPORT_NAME} is not written as the suite writes it")
    if digest_of(report) != report.digest:
        problems.append(f"{REPORT_NAME} does not have the digest that it states")
    if problems:
        return _wrong(*problems, report=report)
    if report.suite != suite_facts():
        return _other_suite(report)
    try:
        problems = [*_recomputed_problems(directory, report, data)]
    except HoldfastError as problem:
        problems = [str(problem)]
    if problems:
        return _wrong(*problems, report=report)
    return Verification(standing=Standing.RIGHT, problems=(), report=report)


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
    shown = problems[:PROBLEMS_SHOWN]
    if len(problems) > PROBLEMS_SHOWN:
        shown = (*shown, f"and {len(problems) - PROBLEMS_SHOWN} more")
    return Verification(standing=Standing.WRONG, problems=shown, report=report)


def _other_suite(report: Report) -> Verification:
    ours = suite_facts()
    made = report.suite.version
    reason = (
        f"made by suite {made}, and this is {ours.version}: install holdfast=={made} to verify it"
        if made != ours.version
        else f"made by other sources of suite {made} than those installed here"
    )
    return Verification(standing=Standing.OTHER_SUITE, problems=(reason,), report=report)


def _file_problems(directory: Path, report: Report) -> Iterator[str]:
    """Files that are missing, changed or not listed."""
    listed = dict(report.files)
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        if path.is_symlink():
            yield f"{name} is a symbolic link; a report holds plain files"
        elif path.is_file() and name != REPORT_NAME:
            stated = listed.pop(name, None)
            if stated is None:
                yield f"{name} is not listed in {REPORT_NAME}"
            elif sha256_of(path.read_bytes()) != stated:
                yield f"{name} was changed: its SHA-256 is not the one that is listed"
    yield from (f"{name} is listed and missing" for name in listed)


def _recomputed_problems(directory: Path, report: Report, data: bytes) -> Iterator[str]:
    """Where the report departs from what its traces give."""
    yield from _plan_problems(directory, report)
    renderings = ((JUNIT_NAME, render_junit(report)), (HTML_NAME, render_html(report)))
    for name, rendered in renderings:
        if (directory / name).read_bytes() != rendered:
            yield f"{name} is not what {REPORT_NAME} renders to"
    again = compose(directory, inputs_of(report))
    errors = [each.reason for each in again.report.verdict.results if each.status is Status.ERROR]
    yield from dict.fromkeys(errors)
    if encode_report(again.report) != data:
        yield from _field_problems(again.report, report)


def _field_problems(right: Report, stated: Report) -> Iterator[str]:
    for field in msgspec.structs.fields(Report):
        if field.name not in {"digest", "files"}:
            recomputed, found = getattr(right, field.name), getattr(stated, field.name)
            if recomputed != found:
                yield f"{field.name} in {REPORT_NAME} is not what the traces give"


def _plan_problems(directory: Path, report: Report) -> Iterator[str]:
    """Plans in the traces that are not the ones which the generator makes, in its order."""
    profile = find_profile(report.run.profile)
    records = tuple(chain.from_iterable(read_traces(directory)))
    yield from dict.fromkeys(_stated_problems(records, report))
    started = [record for record in records if isinstance(record, Started)]
    for role in Role:
        executed = [record for record in started if record.plan.role is role]
        if not executed:
            continue
        first = executed[0]
        made = generate_plans(role, first.capabilities, profile, report.run.seed, first.faults)
        for record, right in zip_longest(executed, islice(made, len(executed))):
            alike = (record.capabilities, record.faults) == (first.capabilities, first.faults)
            if not alike:
                yield f"plan {record.plan.id} was run with other capabilities than the first"
            elif right is None or encode_plan(record.plan) != encode_plan(right):
                yield f"plan {record.plan.id} is not what suite, seed and capabilities give"


def _stated_problems(records: Iterable[TraceRecord], report: Report) -> Iterator[str]:
    """Where the traces are of another driver, backend or declaration than the report states."""
    driver, kind = report.driver, report.backend.kind
    declared: dict[Role, Capabilities | None] = {}
    for record in records:
        match record:
            case Loaded():
                declared[record.role] = capabilities_in(record)
                yield from _unlike("driver", driver.provider, record.provider)
            case Started():
                yield from _unlike("driver", driver.reference, record.provider)
                yield from _unlike("backend", kind.value, record.testbed)
                if record.capabilities != declared.get(record.plan.role):
                    yield f"plan {record.plan.id} was run with other capabilities than were loaded"
            case _:
                pass


def _unlike(what: str, stated: str, traced: str) -> Iterator[str]:
    if stated != traced:
        yield f"{what} {stated!r} is stated, and the traces are of {traced!r}"
