"""What a report says beside the verdict: coverage, latencies, leaks, roles and badges.

All of it is computed from the traces, so that whoever holds the traces gets the same.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from holdfast.capabilities import ImageCapabilities, PrimaryCapabilities
from holdfast.requests import Role, verb_of
from holdfast.testbed import TestbedKind
from holdfast_conformance.plan import Plan, encode_plan, preparation
from holdfast_conformance.report.document import (
    Coverage,
    Latency,
    Leak,
    Performance,
    RoleFacts,
    canonical_json,
    sha256_of,
)
from holdfast_conformance.trace import Ended, Raised, Started, Stepped, TraceRecord
from holdfast_conformance.verdict import Status, Verdict

Capabilities = PrimaryCapabilities | ImageCapabilities


def executed_plans(records: Iterable[TraceRecord]) -> tuple[Plan, ...]:
    """The plans that were started, in order."""
    return tuple(record.plan for record in records if isinstance(record, Started))


def executed_ops(records: Iterable[TraceRecord]) -> int:
    """How many steps of plans were answered, preparation not counted."""
    return sum(isinstance(record, Stepped) and record.index >= 0 for record in records)


def coverage_of(records: Iterable[TraceRecord]) -> Coverage:
    """How often each verb answered and each kind of error was seen, preparation included."""
    ops: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    for verb, stepped in _steps(records):
        ops[verb] += 1
        if isinstance(stepped.outcome, Raised):
            errors[stepped.outcome.kind.value] += 1
    return Coverage(ops=dict(ops), errors=dict(errors))


def performance_of(records: Sequence[TraceRecord]) -> Performance:
    """Latency percentiles per verb, preparation included."""
    started = next((record for record in records if isinstance(record, Started)), None)
    virtual = started is not None and started.testbed == TestbedKind.SIM
    seconds: dict[str, list[float]] = defaultdict(list)
    for verb, stepped in _steps(records):
        seconds[verb].append(stepped.virtual_s if virtual else stepped.real_s)
    return Performance(
        clock="virtual" if virtual else "real",
        verbs=tuple(_latency(verb, sorted(taken)) for verb, taken in sorted(seconds.items())),
    )


def leaks_of(records: Iterable[TraceRecord]) -> tuple[Leak, ...]:
    """What was left when plans were over, as inspector, driver and cleanup saw it."""
    found: list[Leak] = []
    plan = ""
    for record in records:
        if isinstance(record, Started):
            plan = record.plan.id
        elif isinstance(record, Ended):
            left = [
                Leak(plan=plan, seen_by="inspector", what=f"{thing.kind.value} {thing.key!r}")
                for thing in record.left
            ]
            owned = [
                Leak(
                    plan=plan,
                    seen_by="driver",
                    what=f"{thing.kind.value} {thing.key or thing.id!r}",
                )
                for thing in record.enumerated
            ]
            failed = [
                Leak(plan=plan, seen_by="cleanup", what=failure) for failure in record.failures
            ]
            found += left + owned + failed
    return tuple(found)


def role_facts(role: Role, capabilities: Capabilities, plans: Sequence[Plan]) -> RoleFacts:
    """One role's capabilities and plans with their digests."""
    return RoleFacts(
        role=role,
        capabilities=capabilities,
        capabilities_sha256=sha256_of(canonical_json(capabilities)),
        plans=len(plans),
        plans_sha256=plans_digest(plans),
    )


def plans_digest(plans: Iterable[Plan]) -> str:
    """The digest over the canonical bytes of plans, one per line."""
    return sha256_of(b"".join(encode_plan(plan) + b"\n" for plan in plans))


def roles_of(records: Sequence[TraceRecord]) -> tuple[RoleFacts, ...]:
    """The roles that were run, from the first plan of each."""
    declared: dict[Role, Capabilities] = {}
    plans: dict[Role, list[Plan]] = defaultdict(list)
    for record in records:
        if isinstance(record, Started):
            declared.setdefault(record.plan.role, record.capabilities)
            plans[record.plan.role].append(record.plan)
    return tuple(role_facts(role, declared[role], plans[role]) for role in Role if role in declared)


def badges_of(declared: Iterable[Capabilities], verdict: Verdict) -> tuple[str, ...]:
    """The capabilities that are declared and held: no property about one is anything but passed."""
    held = {
        result.id: result.status in {Status.PASS, Status.NOT_APPLICABLE}
        for result in verdict.results
    }
    earned: list[str] = []
    for capabilities in declared:
        for badge, about in _claims(capabilities):
            if all(fine for id_, fine in held.items() if id_.startswith(about)):
                earned.append(badge)
    return tuple(earned)


def _claims(capabilities: Capabilities) -> list[tuple[str, tuple[str, ...]]]:
    if isinstance(capabilities, PrimaryCapabilities):
        snapshot, clone, resize = capabilities.snapshot, capabilities.clone, capabilities.resize
        claims = [
            ("thin", capabilities.volume.thin, ("CST-",)),
            ("resize", resize is not None, ("SIZ-",)),
            ("shrink", resize is not None and resize.shrink, ("SIZ-",)),
            ("snapshot", snapshot is not None, ("SNP-",)),
            ("revert", snapshot is not None and snapshot.revert, ("SNP-",)),
            ("clone", clone is not None, ("SNP-", "CPY-")),
            ("native-copy", capabilities.copy is not None, ("CPY-",)),
            ("qos", capabilities.qos is not None, ("QOS-",)),
        ]
    else:
        claims = [
            ("multipart", capabilities.upload.parts_max > 1, ("IMG-05",)),
            ("range", capabilities.range is not None, ("IMG-04",)),
            ("delimiter", capabilities.list.delimiter, ("IMG-10",)),
            ("object-copy", capabilities.copy is not None, ("CPY-",)),
            ("temporary-url", capabilities.url is not None, ("IMG-13", "IMG-14")),
        ]
    return [(badge, about) for badge, claimed, about in claims if claimed]


def _steps(records: Iterable[TraceRecord]) -> Iterable[tuple[str, Stepped]]:
    plan: Plan | None = None
    for record in records:
        if isinstance(record, Started):
            plan = record.plan
        elif isinstance(record, Stepped) and plan is not None:
            yield _verb(plan, record.index), record


def _verb(plan: Plan, index: int) -> str:
    """The verb of a step; negative indices are explained at ``Stepped``."""
    steps, place = (plan.steps, index) if index >= 0 else (preparation(plan), -1 - index)
    return verb_of(steps[place]) if place < len(steps) else "?"


def _latency(verb: str, taken_s: list[float]) -> Latency:
    return Latency(
        verb=verb,
        n=len(taken_s),
        p50_ms=_percentile_ms(taken_s, 0.50),
        p95_ms=_percentile_ms(taken_s, 0.95),
        p99_ms=_percentile_ms(taken_s, 0.99),
        max_ms=_percentile_ms(taken_s, 1.0),
    )


def _percentile_ms(ascending_s: list[float], share: float) -> float:
    """The nearest-rank percentile: a latency that really occurred, never an interpolation."""
    rank = max(1, math.ceil(share * len(ascending_s)))
    return round(ascending_s[rank - 1] * 1000, 3)
