"""What CI servers read."""

from xml.etree import ElementTree as ET

from holdfast_conformance.report.document import Report
from holdfast_conformance.report.junit import render_junit


def cases(report: Report) -> dict[str, list[ET.Element]]:
    root = ET.fromstring(render_junit(report))
    return {str(case.get("name")): list(case) for case in root.iter("testcase")}


def test_only_a_pass_is_a_passed_test(report: Report) -> None:
    """Everything but PASS is a failure, an error or skipped, with its reason."""
    tags = {name: [child.tag for child in children] for name, children in cases(report).items()}

    assert tags == {
        "CAP-01": [],
        "IMG-01": ["failure"],
        "IMG-04": ["skipped"],
        "IMG-13": ["skipped"],
        "CRS-01": ["skipped"],
        "PRF-01": ["error"],
    }
    assert cases(report)["IMG-04"][0].get("message") == "VACUOUS: why IMG-04 is VACUOUS"


def test_totals_agree_with_the_cases(report: Report) -> None:
    """The counts on the suite are those of its cases."""
    suite = ET.fromstring(render_junit(report)).find("testsuite")

    assert suite is not None
    counts = {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "6", "failures": "1", "errors": "1", "skipped": "3"}


def test_a_failure_tells_how_to_see_it_again(report: Report) -> None:
    """A failure carries the minimal steps and the replay command."""
    text = cases(report)["IMG-01"][0].text

    assert text is not None
    assert "holdfast replay repro/IMG-01.json --driver acme" in text
    assert "minimal steps (stated):" in text


def test_hostile_names_cannot_break_the_file(report: Report) -> None:
    """Control and direction characters from a driver appear as escapes."""
    data = render_junit(report).decode()

    assert "\x1b" not in data
    assert "\u202e" not in data
    assert "\\u202e" in data
