"""The report as a document: the structs behind ``report.json``, and its canonical bytes.

Everything a reader sees, in any of the three renderings, is in here; ``junit.xml`` and
``report.html`` are functions of it. What is under ``stated`` is the word of whoever wrote it; all
else follows from the traces and from the plans that are due. Sizes are bytes, durations seconds
unless the name says otherwise, digests SHA-256 in hexadecimal.
"""

import hashlib
from typing import Any

import msgspec

from holdfast.contract.capabilities import ImageCapabilities, PrimaryCapabilities
from holdfast.contract.requests import Role
from holdfast.contract.testbed import BackendIdentity, Fault, TestbedKind
from holdfast_conformance.stopping import Stop
from holdfast_conformance.verdict import Verdict

SCHEMA = "holdfast-report/2"
REPORT_NAME = "report.json"
JUNIT_NAME = "junit.xml"
HTML_NAME = "report.html"
TRACES_NAME = "traces"
REPRO_NAME = "repro"


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The base of everything in a report."""


class SuiteFacts(Part, frozen=True, kw_only=True):
    """The suite that judged: its version, and digests of its sources and of its catalogue.

    ``plans_version`` grows with every change of the plans; ``version`` is that of Holdfast.
    """

    version: str
    plans_version: str
    source_sha256: str
    catalogue_sha256: str


class RoleFacts(Part, frozen=True, kw_only=True):
    """One role of the driver: what it declared, and the plans it was run through, in order."""

    role: Role
    capabilities: PrimaryCapabilities | ImageCapabilities
    capabilities_sha256: str
    plans: int
    plans_sha256: str


class DriverFacts(Part, frozen=True, kw_only=True):
    """The driver under test. ``reference`` is how it was named on the command line.

    ``distribution`` and its version are empty where the driver belongs to no installed
    distribution; ``source_sha256`` is over the source files of its package.
    """

    reference: str
    provider: str
    distribution: str = ""
    distribution_version: str = ""
    source_sha256: str


class BackendFacts(Part, frozen=True, kw_only=True):
    """What really answered, attested by the inspector.

    ``inspector`` is the path the inspector read by, or the statement that there was none.
    """

    kind: TestbedKind
    identity: BackendIdentity
    inspector: str


class RunFacts(Part, frozen=True, kw_only=True):
    """Which plans were due, and how many of their steps, ``ops``, were executed.

    ``stopped`` says of each role that was not run through all of its plans why that is.
    """

    profile: str
    seed: int
    stopped: dict[Role, Stop] = {}
    ops: int = 0


class RunStatement(Part, frozen=True, kw_only=True):
    """When and where the run took place; ``started`` is UTC in ISO 8601."""

    id: str
    started: str
    wall_s: float
    python: str
    hypothesis: str


class PropertyText(Part, frozen=True, kw_only=True):
    """What a property says and when it applies, from the catalogue."""

    id: str
    statement: str
    gate: str


class Failure(Part, frozen=True, kw_only=True):
    """The minimal way to see one property fail: the steps for a reader, the file for ``replay``.

    ``confirmed`` is how often the failure came again, and how often that was tried.
    """

    property: str
    steps: tuple[str, ...]
    confirmed: tuple[int, int]
    replay: str
    file: str


class Latency(Part, frozen=True, kw_only=True):
    """How long the calls of one verb took: milliseconds on the report's clock."""

    verb: str
    n: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float


class Performance(Part, frozen=True, kw_only=True):
    """Latencies per verb; ``clock`` is ``real``, or ``virtual`` on a simulated backend."""

    clock: str
    verbs: tuple[Latency, ...]


NO_PERFORMANCE = Performance(clock="real", verbs=())


class Coverage(Part, frozen=True, kw_only=True):
    """What was really exercised: calls by verb."""

    ops: dict[str, int]


class Leak(Part, frozen=True, kw_only=True):
    """Something left when a plan was over, as ``inspector``, ``driver`` or ``cleanup`` saw it."""

    plan: str
    seen_by: str
    what: str


class CategoryStrength(Part, frozen=True, kw_only=True):
    """How many mutants of one category the suite killed."""

    category: str
    mutants: int
    killed: int


class Strength(Part, frozen=True, kw_only=True):
    """The suite's own strength at a profile, measured on drivers with one planted defect each."""

    profile: str
    mutants: int
    killed: int
    categories: tuple[CategoryStrength, ...] = ()


class Stated(Part, frozen=True, kw_only=True):
    """What nobody can recompute: the word of whoever ran the suite, and of the machine it ran on.

    ``roles`` are all that the provider said it has, and ``faults`` all that the testbed said it can
    put in force; ``errors`` are how many errors of each kind were seen. ``failures`` are what
    reduction found. Those five, and ``performance``, are at least what traces and replay files say.
    """

    driver: DriverFacts
    backend: BackendFacts
    run: RunStatement
    strength: Strength | None = None
    roles: tuple[Role, ...] = ()
    faults: tuple[Fault, ...] = ()
    errors: dict[str, int] = {}
    performance: Performance = NO_PERFORMANCE
    failures: tuple[Failure, ...] = ()


class Report(Part, frozen=True, kw_only=True):
    """All of ``report.json``.

    ``files`` are the SHA-256 of every other file in the directory by its relative path, and
    ``digest`` is the SHA-256 of the canonical JSON of all of this but itself.
    """

    schema: str
    interface: str
    suite: SuiteFacts
    run: RunFacts
    roles: tuple[RoleFacts, ...]
    verdict: Verdict
    badges: tuple[str, ...]
    properties: tuple[PropertyText, ...]
    coverage: Coverage
    leaks: tuple[Leak, ...]
    stated: Stated
    files: dict[str, str] = {}
    digest: str = ""


def canonical_json(value: Any) -> bytes:
    """The one byte string for a value: JSON, keys in byte order, no white space."""
    return msgspec.json.encode(value, order="sorted")


def sha256_of(data: bytes) -> str:
    """The SHA-256 of bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def digest_of(report: Report) -> str:
    """The digest over the canonical JSON of a report without its ``digest``."""
    return sha256_of(canonical_json(msgspec.structs.replace(report, digest="")))


def encode_report(report: Report) -> bytes:
    """The bytes of ``report.json``: indented for people, and still exactly one form per value."""
    return msgspec.json.format(canonical_json(report), indent=2) + b"\n"


def decode_report(data: bytes) -> Report:
    """The report in these bytes; ``msgspec.DecodeError`` when they are none."""
    return msgspec.json.decode(data, type=Report)
