"""One report with a result of every status, made by hand."""

import shutil
from pathlib import Path

import pytest

from holdfast.contract.capabilities import (
    ImageCapabilities,
    ListCapabilities,
    RangeCapabilities,
    UploadCapabilities,
)
from holdfast.contract.requests import Role
from holdfast.contract.testbed import BackendIdentity, Fault, TestbedKind
from holdfast_conformance.report.document import (
    SCHEMA,
    BackendFacts,
    Coverage,
    DriverFacts,
    Failure,
    Latency,
    Performance,
    PropertyText,
    Report,
    RoleFacts,
    RunFacts,
    RunStatement,
    Stated,
    SuiteFacts,
)
from holdfast_conformance.verdict import Finding, Level, PropertyResult, Status, Verdict
from written_reports import shared_original

HOSTILE = "key <b>&amp;</b> \x1b[31m \u202e"
IMAGE = ImageCapabilities(
    upload=UploadCapabilities(
        object_max_bytes=1 << 20, part_min_bytes=16, part_max_bytes=1 << 16, parts_max=32
    ),
    list=ListCapabilities(page_max=100),
    range=RangeCapabilities(),
)


def result(identifier: str, status: Status) -> PropertyResult:
    finding = Finding(
        property=identifier, plan="image-1", index=2, expected="success", observed=HOSTILE
    )
    return PropertyResult(
        id=identifier,
        level=Level.L1,
        status=status,
        exercised=7,
        reason="" if status in {Status.PASS, Status.FAIL} else f"why {identifier} is {status}",
        findings=(finding,) if status is Status.FAIL else (),
    )


STATED = Stated(
    driver=DriverFacts(reference="acme", provider="acme", source_sha256="cc"),
    backend=BackendFacts(
        kind=TestbedKind.EMBEDDED,
        identity=BackendIdentity(vendor="acme", product="array", version="2"),
        inspector="reads the folder",
    ),
    run=RunStatement(
        id="run-1",
        started="2026-11-23T07:00:00+00:00",
        wall_s=1.5,
        python="3.11",
        hypothesis="6",
    ),
    roles=(Role.IMAGE,),
    faults=(Fault.DOWN,),
    errors={"NotFound": 1},
    performance=Performance(
        clock="real",
        verbs=(Latency(verb="get", n=3, p50_ms=1.0, p95_ms=2.0, p99_ms=2.0, max_ms=2.0),),
    ),
    failures=(
        Failure(
            property="IMG-01",
            steps=(f"get(key={HOSTILE!r})",),
            confirmed=(3, 3),
            replay="holdfast replay repro/IMG-01.json --driver acme",
            file="repro/IMG-01.json",
        ),
    ),
)


@pytest.fixture
def report() -> Report:
    results = (
        result("CAP-01", Status.PASS),
        result("IMG-01", Status.FAIL),
        result("IMG-04", Status.VACUOUS),
        result("IMG-13", Status.NOT_APPLICABLE),
        result("CRS-01", Status.SKIP),
        result("PRF-01", Status.ERROR),
    )
    return Report(
        schema=SCHEMA,
        interface="1",
        suite=SuiteFacts(
            version="0.1.0", plans_version="3", source_sha256="aa", catalogue_sha256="bb"
        ),
        run=RunFacts(profile="smoke", seed=7, ops=3),
        roles=(
            RoleFacts(
                role=Role.IMAGE,
                capabilities=IMAGE,
                capabilities_sha256="dd",
                plans=1,
                plans_sha256="ee",
            ),
        ),
        verdict=Verdict(level=None, requested=Level.L1, ok=False, results=results),
        badges=("range",),
        properties=tuple(
            PropertyText(id=found.id, statement=f"What {found.id} says.", gate="")
            for found in results
        ),
        coverage=Coverage(ops={"get": 3}),
        leaks=(),
        stated=STATED,
    )


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a short run on a defective driver, under the smallest profile."""
    return shared_original(tmp_path_factory)


@pytest.fixture
def directory(original: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may change."""
    return Path(shutil.copytree(original, tmp_path / "report"))
