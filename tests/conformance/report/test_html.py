"""What people read."""

import re

import msgspec

from holdfast.contract.testbed import TestbedKind
from holdfast_conformance.report.document import Report
from holdfast_conformance.report.html import render_html


def test_every_property_is_shown_with_its_status(report: Report) -> None:
    """The page lists each property with its statement."""
    page = render_html(report).decode()

    assert all(f"What {found.id} says." in page for found in report.verdict.results)
    assert "acme reached no level on an embedded backend, L1 was asked for" in page


def test_the_page_needs_no_network(report: Report) -> None:
    """Nothing is fetched and nothing is run: no address, no script, no event handler."""
    page = render_html(report).decode()

    assert re.findall(r"https?://|<script|<link|<img|\son[a-z]+=|url\(|@import", page) == []


def test_hostile_text_is_shown_and_does_nothing(report: Report) -> None:
    """Markup and control characters from a driver are visible and inert."""
    page = render_html(report).decode()

    assert "<b>" not in page.split("<h2>Failures</h2>")[1].split("<h2>Properties</h2>")[0]
    assert "&lt;b&gt;" in page
    assert "\x1b" not in page
    assert "\u202e" not in page


def test_a_simulated_backend_gives_a_pre_certification(report: Report) -> None:
    """The page says so when no real backend was tested."""
    backend = msgspec.structs.replace(report.stated.backend, kind=TestbedKind.SIM)
    stated = msgspec.structs.replace(report.stated, backend=backend)
    simulated = msgspec.structs.replace(report, stated=stated)

    assert b"pre-certification" in render_html(simulated)
    assert b"pre-certification" not in render_html(report)


def test_equal_reports_give_equal_pages(report: Report) -> None:
    """The page is a function of the report."""
    assert render_html(report) == render_html(report)
