"""What a report says beside the verdict: coverage, latencies, leaks, roles and badges.

All of it is computed from the traces, so that whoever holds the traces gets the same; they are
read once and not kept.
"""

import hashlib
import math
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

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

LEAKS_MAX = 1000
"""How many leaks a report lists; the others are counted."""


class Summary:
    """What a report says beside the verdict, gathered from one record after the other."""

    def __init__(self) -> None:
        self._plan: Plan | None = None
        self._virtual: bool | None = None
        self._executed = 0
        self._ops: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self._real_s: dict[str, array[float]] = defaultdict(_seconds)
        self._virtual_s: dict[str, array[float]] = defaultdict(_seconds)
        self._leaks: list[Leak] = []
        self._more_leaks = 0
        self._roles: dict[Role, _RunRole] = {}

    def take(self, record: TraceRecord) -> None:
        """Take the next record of all traces in their order."""
        match record:
            case Started():
                self._start(record)
            case Stepped():
                self._step(record)
            case Ended():
                for leak in _leaks_in(record, self._plan.id if self._plan else ""):
                    if len(self._leaks) < LEAKS_MAX:
                        self._leaks.append(leak)
                    else:
                        self._more_leaks += 1
            case _:
                return

    def _start(self, record: Started) -> None:
        self._plan = record.plan
        if self._virtual is None:
            self._virtual = record.testbed == TestbedKind.SIM
        role = self._roles.setdefault(record.plan.role, _RunRole(record.capabilities))
        role.plans += 1
        role.digest.update(encode_plan(record.plan) + b"\n")

    def _step(self, stepped: Stepped) -> None:
        self._executed += stepped.index >= 0
        if self._plan is None:
            return
        verb = _verb(self._plan, stepped.index)
        self._ops[verb] += 1
        if isinstance(stepped.outcome, Raised):
            self._errors[stepped.outcome.kind.value] += 1
        self._real_s[verb].append(stepped.real_s)
        self._virtual_s[verb].append(stepped.virtual_s)

    @property
    def executed_ops(self) -> int:
        """How many steps of plans were answered, preparation not counted."""
        return self._executed

    def coverage(self) -> Coverage:
        """How often each verb answered and each kind of error was seen, preparation included."""
        return Coverage(ops=dict(self._ops), errors=dict(self._errors))

    def performance(self) -> Performance:
        """Latency percentiles per verb, preparation included."""
        taken_s = self._virtual_s if self._virtual else self._real_s
        return Performance(
            clock="virtual" if self._virtual else "real",
            verbs=tuple(_latency(verb, sorted(found)) for verb, found in sorted(taken_s.items())),
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
                capabilities=found.capabilities,
                capabilities_sha256=sha256_of(canonical_json(found.capabilities)),
                plans=found.plans,
                plans_sha256=found.digest.hexdigest(),
            )
            for role in Role
            if (found := self._roles.get(role)) is not None
        )


class _RunRole:
    """The plans of one role, by their number and the digest over their bytes, one a line."""

    def __init__(self, capabilities: Capabilities) -> None:
        self.capabilities = capabilities
        self.plans = 0
        self.digest = hashlib.sha256()


def _seconds() -> "array[float]":
    return array("d")


def _leaks_in(record: Ended, plan: str) -> Iterator[Leak]:
    for thing in record.left:
        yield Leak(plan=plan, seen_by="inspector", what=f"{thing.kind.value} {thing.key!r}")
    for owned in record.enumerated:
        what = f"{owned.kind.value} {owned.key or owned.id!r}"
        yield Leak(plan=plan, seen_by="driver", what=what)
    for failure in record.failures:
        yield Leak(plan=plan, seen_by="cleanup", what=failure)


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
