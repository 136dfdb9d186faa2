"""What a verdict holds for, in a line: what is recomputed, and what is only stated, apart."""

from holdfast.contract.requests import Role
from holdfast.contract.testbed import TestbedKind
from holdfast_conformance.report.document import BackendFacts, Report
from holdfast_conformance.verdict import Verdict

STATED = "stated"
"""Marks whatever is not recomputed, wherever a person reads it."""


def level_of(verdict: Verdict) -> str:
    """The level that was reached."""
    return verdict.level.value if verdict.level else "no level"


def scope_of(report: Report) -> str:
    """Level, roles, profile and seed, and then, marked, what is stated to have answered."""
    run = report.run
    roles = " and ".join(facts.role.value for facts in report.roles) or "no role"
    asked = f"{level_of(report.verdict)} ({roles}), profile {run.profile}, seed {run.seed}"
    stopped = "".join(
        f", {role.value} role stopped: {run.stopped[role]}" for role in Role if role in run.stopped
    )
    return f"{asked}{stopped}; {STATED}: {answered_by(report.stated.backend)}"


def answered_by(backend: BackendFacts) -> str:
    """What is stated to have answered: the kind of testbed, and a product of somebody's."""
    identity = backend.identity
    answered = " ".join(
        part for part in (identity.vendor, identity.product, identity.version) if part
    )
    scope = f"{backend.kind.value}, {answered}"
    return f"{scope} (pre-certification)" if backend.kind is TestbedKind.SIM else scope
