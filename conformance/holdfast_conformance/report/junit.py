"""``junit.xml`` as a function of the report: only PASS is a passed test."""

from xml.etree import ElementTree as ET

from holdfast.text.foreign import visible
from holdfast_conformance.report.document import Failure, Report
from holdfast_conformance.report.scope import STATED, answered_by
from holdfast_conformance.verdict import PropertyResult, Status

_ELEMENT = {
    Status.FAIL: "failure",
    Status.ERROR: "error",
    Status.VACUOUS: "skipped",
    Status.NOT_APPLICABLE: "skipped",
    Status.SKIP: "skipped",
}


def render_junit(report: Report) -> bytes:
    """The bytes of ``junit.xml``: one test case per property."""
    results = report.verdict.results
    counts = {
        "tests": len(results),
        "failures": sum(result.status is Status.FAIL for result in results),
        "errors": sum(result.status is Status.ERROR for result in results),
        "skipped": sum(_ELEMENT.get(result.status) == "skipped" for result in results),
    }
    totals = {name: str(count) for name, count in counts.items()}
    root = ET.Element("testsuites", totals)
    suite = ET.SubElement(root, "testsuite", {"name": "holdfast conformance", **totals})
    suite.set("timestamp", visible(report.stated.run.started))
    suite.set("time", f"{report.stated.run.wall_s:.3f}")
    _properties(suite, report)
    statements = {text.id: text.statement for text in report.properties}
    failures = {failure.property: failure for failure in report.stated.failures}
    for result in results:
        _case(suite, result, statements.get(result.id, ""), failures.get(result.id))
    ET.indent(root)
    body: str = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{body}\n'.encode()


def _properties(suite: ET.Element, report: Report) -> None:
    properties = ET.SubElement(suite, "properties")
    stated = report.stated
    facts = {
        "level": report.verdict.level.value if report.verdict.level else "none",
        "roles": " ".join(facts.role.value for facts in report.roles),
        "profile": report.run.profile,
        "seed": str(report.run.seed),
        "suite": report.suite.version,
        f"{STATED}.driver": stated.driver.reference,
        f"{STATED}.backend": answered_by(stated.backend),
        f"{STATED}.run": stated.run.id,
    }
    for name, value in facts.items():
        ET.SubElement(properties, "property", {"name": name, "value": visible(value)})


def _case(
    suite: ET.Element, result: PropertyResult, statement: str, failure: Failure | None
) -> None:
    category = result.id.partition("-")[0]
    case = ET.SubElement(
        suite,
        "testcase",
        {
            "classname": visible(f"holdfast.{result.level.value}.{category}"),
            "name": visible(result.id),
        },
    )
    case.set("assertions", str(result.exercised))
    tag = _ELEMENT.get(result.status)
    if tag is not None:
        reason = result.reason or statement
        message = visible(f"{result.status.value}: {reason}")
        problem = ET.SubElement(case, tag, {"message": message})
        if tag != "skipped":
            problem.text = "\n".join(map(visible, _lines(result, statement, failure)))


def _lines(result: PropertyResult, statement: str, failure: Failure | None) -> list[str]:
    lines = [statement]
    for finding in result.findings:
        lines.append(f"plan {finding.plan}, step {finding.index}")
        lines.append(f"  expected: {finding.expected}")
        lines.append(f"  observed ({STATED}): {finding.observed}")
    if failure is not None:
        lines += [f"minimal steps ({STATED}):", *(f"  {step}" for step in failure.steps)]
        again, tried = failure.confirmed
        lines.append(
            f"replay: {failure.replay} ({STATED}: failed again in {again} of {tried} executions)"
        )
    return lines
