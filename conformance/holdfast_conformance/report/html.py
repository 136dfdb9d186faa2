"""``report.html`` as a function of the report: one file, no network, no script."""

from importlib import resources
from itertools import groupby

import jinja2
import msgspec

from holdfast.contract.testbed import TestbedKind
from holdfast.text.foreign import visible
from holdfast_conformance.judgement.catalogue_text import CATEGORIES
from holdfast_conformance.report.document import Report, canonical_json
from holdfast_conformance.report.scope import scope_of
from holdfast_conformance.report.wording import xml_safe
from holdfast_conformance.verdict import PropertyResult, Status

_BACKENDS = {
    TestbedKind.EMBEDDED: "an embedded backend",
    TestbedKind.CONTAINER: "a backend in a container",
    TestbedKind.LIVE: "a live backend",
    TestbedKind.SIM: "a simulated backend",
}
_LABELS = {status.value: status.value.replace("_", " ").lower() for status in Status}
_TONES = {
    status.value: "none" if status in {Status.NOT_APPLICABLE, Status.SKIP} else status.value
    for status in Status
}


def headline(report: Report) -> str:
    """The verdict in one line: what reached, or did not reach, which level where."""
    verdict = report.verdict
    where = f"on {_BACKENDS[report.stated.backend.kind]}"
    name = report.stated.driver.reference
    if verdict.ok:
        return f"{name} reached {verdict.requested.value} {where}"
    reached = f"reached {verdict.level.value}" if verdict.level else "reached no level"
    return f"{name} {reached} {where}, {verdict.requested.value} was asked for"


def render_html(report: Report) -> bytes:
    """The bytes of ``report.html``."""
    source = (
        resources.files("holdfast_conformance.report").joinpath("report.html.j2").read_text("utf-8")
    )
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        finalize=_inert,
    )
    results = report.verdict.results
    failures = {failure.property: failure for failure in report.stated.failures}
    page = environment.from_string(source).render(
        report=report,
        headline=headline(report),
        scope=scope_of(report),
        precertification=report.stated.backend.kind is TestbedKind.SIM,
        counts=[
            (status.value, sum(result.status is status for result in results)) for status in Status
        ],
        labels=_LABELS,
        tones=_TONES,
        failing=[
            (result, failures.get(result.id))
            for result in results
            if result.status in {Status.FAIL, Status.ERROR}
        ],
        categories=_grouped(results),
        statements={result.id: "" for result in results}
        | {text.id: text.statement for text in report.properties},
        capabilities={
            role.role: msgspec.json.format(canonical_json(role.capabilities), indent=2)
            .decode()
            .split("\n")
            for role in report.roles
        },
    )
    return xml_safe(page).encode()


def _inert(value: object) -> object:
    """What the template shows, whatever it is, on its way into the page."""
    return visible(value) if isinstance(value, str) else value


def _grouped(results: tuple[PropertyResult, ...]) -> list[tuple[str, list[PropertyResult]]]:
    order = list(CATEGORIES)

    def place(result: PropertyResult) -> tuple[int, str]:
        category = result.id.partition("-")[0]
        return (order.index(category) if category in order else len(order), result.id)

    def category(result: PropertyResult) -> str:
        prefix = result.id.partition("-")[0]
        return CATEGORIES.get(prefix, prefix)

    ordered = sorted(results, key=place)
    return [(name, list(members)) for name, members in groupby(ordered, key=category)]
