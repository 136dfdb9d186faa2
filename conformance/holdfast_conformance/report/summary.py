"""What a report says beside the verdict: coverage, latencies, leaks, roles and badges.

All of it is computed from the traces, so that whoever holds the traces gets the same.
"""

import hashlib
import math
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable

from holdfast.contract.capabilities import ImageCapabilities, PrimaryCapabilities
from holdfast.contract.requests import Role
from holdfast.contract.testbed import Fault, TestbedKind
from holdfast_conformance.plan import encode_plan
from holdfast_conformance.report.document import (
    Coverage,
    Latency,
    Leak,
    Performance,
    RoleFacts,
    canonical_json,
    sha256_of,
)
from holdfast_conformance.report.trace_summary import LEAKS_MAX, TraceSummary
from holdfast_conformance.trace import Started
from holdfast_conformance.verdict import Status, Verdict

Capabilities = PrimaryCapabilities | ImageCapabilities


class Summary:
    """What a report says beside the verdict, gathered from one trace after the other."""

    def __init__(self) -> None:
        self._virtual: bool | None = None
        self._executed = 0
        self._ops: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self._real_s: dict[str, array[float]] = defaultdict(_seconds)
        self._virtual_s: dict[str, array[float]] = defaultdict(_seconds)
        self._leaks: list[Leak] = []
        self._more_leaks = 0
        self._roles: dict[Role, _RunRole] = {}
        self.declared_roles: tuple[Role, ...] = ()
        """All roles that the provider has, as loading tells."""
        self.faults: tuple[Fault, ...] = ()
        """All faults that the testbed has, as loading tells."""

    def add(self, trace: TraceSummary) -> None:
        """Take what was gathered from the next trace."""
        if trace.loaded is not None:
            self.declared_roles, self.faults = trace.loaded.roles, trace.loaded.faults
        if trace.started is not None:
            self._start(trace.started)
        self._executed += trace.executed
        self._ops.update(trace.ops)
        self._errors.update(trace.errors)
        for verb, taken_s in trace.real_s.items():
            self._real_s[verb].extend(taken_s)
        for verb, taken_s in trace.virtual_s.items():
            self._virtual_s[verb].extend(taken_s)
        fitting = LEAKS_MAX - len(self._leaks)
        self._leaks.extend(trace.leaks[:fitting])
        self._more_leaks += len(trace.leaks[fitting:]) + trace.more_leaks

    def _start(self, record: Started) -> None:
        if self._virtual is None:
            self._virtual = record.testbed == TestbedKind.SIM
        role = self._roles.setdefault(record.plan.role, _RunRole(record.capabilities))
        role.plans += 1
        role.digest.update(encode_plan(record.plan) + b"\n")

    @property
    def executed_ops(self) -> int:
        """How many steps of plans were answered, preparation not counted."""
        return self._executed

    def coverage(self) -> Coverage:
        """How often each verb answered, preparation included."""
        return Coverage(ops=dict(self._ops))

    def errors(self) -> dict[str, int]:
        """How many errors of each kind were seen."""
        return dict(self._errors)

    def performance(self) -> Performance:
        """Latency percentiles per verb, preparation included."""
        taken_s = self._virtual_s if self._virtual else self._real_s
        return Performance(
            clock="virtual" if self._virtual else "real",
            verbs=tuple(
                _latency(verb, sorted(times_s)) for verb, times_s in sorted(taken_s.items())
            ),
        )

    def leaks(self) -> tuple[Leak, ...]:
        """What was left when plans were over, as inspector, driver and cleanup saw it."""
        if not self._more_leaks:
            return tuple(self._leaks)
        more = Leak(plan="", seen_by="suite", what=f"and {self._more_leaks} more")
        return (*self._leaks, more)

    def roles(self) -> tuple[RoleFacts, ...]:
        """The roles that were run, from the first plan of each."""
        return tuple(
            RoleFacts(
                role=role,
                capabilities=facts.capabilities,
                capabilities_sha256=sha256_of(canonical_json(facts.capabilities)),
                plans=facts.plans,
                plans_sha256=facts.digest.hexdigest(),
            )
            for role in Role
            if (facts := self._roles.get(role)) is not None
        )


class _RunRole:
    """The plans of one role, by their number and the digest over their bytes, one a line."""

    def __init__(self, capabilities: Capabilities) -> None:
        self.capabilities = capabilities
        self.plans = 0
        self.digest = hashlib.sha256()


def _seconds() -> "array[float]":
    return array("d")


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
