"""The judge: one pure function from properties and traces to a verdict; nothing else decides.

``PlanJudge`` reads the records of one plan as they come and stops at the first divergence from the
model, since what follows proves nothing. ``judge`` feeds each trace to one and counts.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from holdfast.contract.capabilities import ImageCapabilities, PrimaryCapabilities, nonsense_in
from holdfast.contract.requests import Role
from holdfast.text.foreign import capped
from holdfast_conformance.judgement.attribution import attribute
from holdfast_conformance.judgement.completeness import Course
from holdfast_conformance.judgement.evidence import (
    BrokenMoment,
    Capabilities,
    Held,
    LoadMoment,
    Moment,
    StepMoment,
    TogetherMoment,
    Violated,
)
from holdfast_conformance.judgement.plan_follower import PlanFollower
from holdfast_conformance.judgement.registry import Property
from holdfast_conformance.trace import Loaded, Started, TraceRecord
from holdfast_conformance.trace_lines import UNREADABLE
from holdfast_conformance.verdict import Finding, Level, PropertyResult, Status, Verdict

COMPLETE_TO = Level.L1
"""The highest level of which every row is in the registry; none above it is awarded."""

NOT_CUT: Mapping[Role, str] = {}
"""Every role was run through all of its plans."""

FINDINGS_MAX = 20
"""How many findings of one property a verdict lists."""


FINDING_MAX = 1000
"""How many characters a finding has at most to say what was expected, and what came."""


class PlanJudge:
    """Judges one trace while it grows.

    ``diverged`` turns true at the first step that is not as the model allows; ``findings`` are the
    violations seen so far, at most one of each property.
    """

    def __init__(self, properties: Iterable[Property]) -> None:
        self._all = tuple(properties)
        self._applicable: tuple[Property, ...] = ()
        self._follower: PlanFollower | None = None
        self._course = Course()
        self._plan = ""
        self.role: Role | None = None
        self.capabilities: Capabilities | None = None
        self.diverged = False
        self.loaded = False
        """Whether the trace is that of a role's loading."""
        self._findings: dict[str, Finding] = {}
        self.exercised: Counter[str] = Counter()
        self.aspects: set[tuple[str, str]] = set()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The first violation of each property."""
        return tuple(self._findings.values())

    def feed(self, record: TraceRecord) -> None:
        """Take the next record of the trace into account."""
        if self.diverged:
            return
        self._course.take(record)
        if self._course.left:
            return
        match record:
            case Loaded():
                self._load(record)
            case Started():
                self._start(record)
            case _ if self._follower is not None:
                for index, moment in self._follower.feed(record):
                    self._see(moment, index)
            case _:
                pass

    def finish(self) -> None:
        """Judge a last step that was never observed; the trace is over."""
        if self._follower is not None and not self.diverged:
            for index, moment in self._follower.finish():
                self._see(moment, index)
        self._follower = None  # which holds all that the trace's store ever held

    def incomplete(self) -> str:
        """After ``finish``: why the trace proves nothing, or an empty string.

        What comes after a divergence would not be judged, and an executor need not write it.
        """
        gap = "" if self.diverged else self._course.gap()
        return gap and f"the trace of {self._plan or 'no plan'} is not whole: {gap}"

    def _load(self, record: Loaded) -> None:
        self.loaded = True
        self.role = record.role
        self.capabilities = capabilities_in(record)
        self._plan = f"load-{record.role.value}"
        self._applicable = tuple(entry for entry in self._all if record.role in entry.roles)
        self._see(LoadMoment(loaded=record), 0)

    def _start(self, record: Started) -> None:
        self.role = record.plan.role
        self.capabilities = record.capabilities
        self._plan = record.plan.id
        self._applicable = tuple(
            entry
            for entry in self._all
            if record.plan.role in entry.roles and entry.gate(record.capabilities) is None
        )
        self._follower = PlanFollower(record)

    def _see(self, moment: Moment, index: int) -> None:
        if self.diverged:
            return
        claimed = False
        for entry in self._applicable:
            judgement = entry.check(moment) if entry.check is not None else None
            if isinstance(judgement, Violated):
                claimed = True
                self._violate(entry.id, index, judgement)
            elif isinstance(judgement, Held):
                self.exercised[entry.id] += 1
                self.aspects.update((entry.id, aspect) for aspect in judgement.aspects)
        if isinstance(moment, BrokenMoment):
            self.diverged = True
        elif isinstance(moment, StepMoment | TogetherMoment) and (
            not moment.allowed or moment.differences
        ):
            self.diverged = True
            if not claimed:
                known = frozenset(entry.id for entry in self._applicable)
                identifier, judgement = attribute(moment, known)
                self._violate(identifier, index, judgement)

    def _violate(self, identifier: str, index: int, judgement: Violated) -> None:
        self.exercised[identifier] += 1
        finding = Finding(
            property=identifier,
            plan=self._plan,
            index=index,
            expected=capped(judgement.expected, FINDING_MAX),
            observed=capped(judgement.observed, FINDING_MAX),
        )
        self._findings.setdefault(identifier, finding)


class _Role:
    """What all traces of one role say together."""

    def __init__(self) -> None:
        self.capabilities: Capabilities | None = None
        self.exercised: Counter[str] = Counter()
        self.aspects: set[tuple[str, str]] = set()
        self.findings: dict[str, list[Finding]] = {}
        self.plans = 0
        self.incomplete = ""
        """Why the first trace that proves nothing does not, or an empty string."""
        self.cut = ""
        """Why only the beginning of the role's plans was run, or an empty string."""

    def add(self, judged: PlanJudge) -> None:
        """Count one trace."""
        self.capabilities = self.capabilities or judged.capabilities
        self.exercised.update(judged.exercised)
        self.aspects |= judged.aspects
        self.plans += not judged.loaded
        self.incomplete = self.incomplete or judged.incomplete()
        for finding in judged.findings:
            findings = self.findings.setdefault(finding.property, [])
            if len(findings) < FINDINGS_MAX:
                findings.append(finding)


class Judging:
    """A verdict in the making: takes one trace after the other, and keeps none.

    Args:
        properties: the registry.
    """

    def __init__(self, properties: Iterable[Property]) -> None:
        self._properties = tuple(properties)
        self._roles: dict[Role, _Role] = {}

    def begin(self) -> PlanJudge:
        """The judge of the next trace, which is given back to ``end`` when it is over."""
        return PlanJudge(self._properties)

    def end(self, judged: PlanJudge) -> None:
        """Count a trace that was judged."""
        judged.finish()
        if judged.role is not None:
            self._roles.setdefault(judged.role, _Role()).add(judged)

    def verdict(self, requested: Level, cut: Mapping[Role, str] = NOT_CUT) -> Verdict:
        """The verdict on everything that was taken.

        Args:
            requested: the level asked for; properties above it are judged as far as they were seen.
            cut: for each role that was not run through all of its plans, the reason.
        """
        roles = self._roles
        for role, reason in cut.items():
            if role in roles:
                roles[role].cut = reason
        results = tuple(
            _combined(
                entry, [_result(entry, role, roles[role]) for role in entry.roles if role in roles]
            )
            for entry in self._properties
        )
        level = _level(results, exercised=any(role.plans for role in roles.values()))
        failed = any(result.status is Status.FAIL for result in results)
        reached = level is not None and level.value >= requested.value
        return Verdict(level=level, requested=requested, ok=reached and not failed, results=results)


def judge(
    properties: Iterable[Property],
    traces: Iterable[Iterable[TraceRecord]],
    *,
    requested: Level = Level.L1,
) -> Verdict:
    """The verdict on everything that these traces show.

    Args:
        properties: the registry.
        traces: the records of each plan, and those of each loaded role.
        requested: the level asked for; properties above it are judged as far as they were seen.
    """
    judging = Judging(properties)
    for trace in traces:
        judged = judging.begin()
        for record in trace:
            judged.feed(record)
        judging.end(judged)
    return judging.verdict(requested)


def _result(entry: Property, name: Role, role: _Role) -> PropertyResult:
    """One property's result in one role."""
    count = role.exercised[entry.id]
    findings = tuple(role.findings.get(entry.id, ())[:FINDINGS_MAX])
    status, reason = (Status.FAIL, "") if findings else _unviolated(entry, name, role)
    return PropertyResult(
        id=entry.id,
        level=entry.level,
        status=status,
        exercised=count,
        reason=reason,
        findings=findings,
    )


def _unviolated(entry: Property, name: Role, role: _Role) -> tuple[Status, str]:
    """What a property is worth in a role where nothing violated it, and why."""
    count = role.exercised[entry.id]
    if role.incomplete:
        return Status.ERROR, role.incomplete
    gated = entry.gate(role.capabilities) if role.capabilities is not None else None
    if gated is not None:
        return Status.NOT_APPLICABLE, gated
    if not count and name in entry.spared:
        return Status.NOT_APPLICABLE, entry.spared[name]
    if entry.check is None:
        return Status.VACUOUS, entry.unchecked
    # Loading alone decides L0; no other level is known before all plans were run.
    reason = role.cut if entry.level is not Level.L0 else ""
    reason = reason or _lacking(entry, role, count)
    return (Status.VACUOUS if reason else Status.PASS), reason


def _lacking(entry: Property, role: _Role, count: int) -> str:
    """Why a property that was never violated is no pass, or an empty string."""
    if count < entry.min_exercise:
        return f"exercised {count} times, {entry.min_exercise} are needed"
    aspects = entry.aspects(role.capabilities) if role.capabilities is not None else ()
    missing = [aspect for aspect in aspects if (entry.id, aspect) not in role.aspects]
    return f"never exercised: {', '.join(missing)}" if missing else ""


_WORST_FIRST = (Status.FAIL, Status.ERROR, Status.VACUOUS, Status.PASS, Status.NOT_APPLICABLE)


def _combined(entry: Property, results: Sequence[PropertyResult]) -> PropertyResult:
    """One result for all roles: the worst status, and what all of them counted."""
    if not results:
        return PropertyResult(
            id=entry.id,
            level=entry.level,
            status=Status.NOT_APPLICABLE,
            exercised=0,
            reason=f"no {' or '.join(role.value for role in entry.roles)} store was opened",
        )
    worst = min(results, key=lambda result: _WORST_FIRST.index(result.status))
    return msgspec.structs.replace(
        worst,
        exercised=sum(result.exercised for result in results),
        findings=tuple(finding for result in results for finding in result.findings)[:FINDINGS_MAX],
    )


def _level(results: Sequence[PropertyResult], *, exercised: bool) -> Level | None:
    """The highest level of which every applicable property passes."""
    reached: Level | None = None
    for level in Level:
        if level.value > COMPLETE_TO.value or (level is not Level.L0 and not exercised):
            break
        here = [r.status for r in results if r.level is level]
        passing = all(status in {Status.PASS, Status.NOT_APPLICABLE} for status in here)
        if not passing or Status.PASS not in here:
            break
        reached = level
    return reached


def capabilities_in(record: Loaded) -> Capabilities | None:
    """What a role declared when it was loaded; ``None`` when no document of a store can be read."""
    expected: Any = PrimaryCapabilities if record.role is Role.PRIMARY else ImageCapabilities
    for document in record.documents:
        try:
            capabilities: Capabilities = msgspec.json.decode(document, type=expected)
        except UNREADABLE:
            continue
        if not nonsense_in(capabilities):
            return capabilities
    return None
