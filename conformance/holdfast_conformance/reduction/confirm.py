"""From a failure to a replay file: execute it again, reduce it, and execute the result again."""

import time
from collections.abc import Mapping
from importlib.metadata import version

import msgspec

from holdfast.contract.capabilities import Capabilities
from holdfast.contract.requests import Role
from holdfast_conformance.plan import Plan
from holdfast_conformance.reduction.fewest_steps import OPS_MAX, Budget, reduce_plan
from holdfast_conformance.replay_file import Repro
from holdfast_conformance.supervision.campaign import Campaign, PlanResult, unwritten
from holdfast_conformance.trace import BrokenKind
from holdfast_conformance.verdict import Finding

CONFIRMATIONS = 3
_PROPERTY_S = 20.0
_ALL_S = 120.0
"""How long all reductions of a run may take together: a wrong driver fails many properties."""
_CONFIRMING_S = 5.0
"""After so long a failure is not confirmed once more, or nothing is left for its reduction."""
_BROKEN_MAX = 20
_HUNG_MAX = 4
"""How often a reduction may make the driver hang, which costs the whole patience each time."""


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """What a replay file says of the run that found it."""

    provider: str
    testbed: str
    seed: int


class Reducer:
    """Makes replay files of failures, by executing plans in the same run.

    Args:
        campaign: executes plans.
        declared: the capabilities of each role.
        origin: what the run is of.
        ops_max: how many steps the reduction of one property may execute.
    """

    def __init__(
        self,
        campaign: Campaign,
        declared: Mapping[Role, Capabilities],
        origin: Origin,
        ops_max: int = OPS_MAX,
    ) -> None:
        self._campaign = campaign
        self._declared = declared
        self._origin = origin
        self._ops_max = ops_max
        self._until_s = time.monotonic() + _ALL_S

    def reduced(self, finding: Finding, plan: Plan) -> Repro:
        """The replay file of one finding."""
        attempt = _Attempt(self, finding.property, self._until_s)
        again, times = attempt.confirm(plan)
        small = plan
        if 0 < again == times:
            # What does not fail every time would be reduced to whatever failed by chance.
            until = finding.index if finding.index < len(plan.steps) else None
            small = reduce_plan(plan, attempt.fails, Budget(self._ops_max), until=until)
        last = attempt.last if small != plan and attempt.last is not None else finding
        return self._repro(last, small, plan.role, (again, times))

    def loaded(self, finding: Finding, role: Role) -> Repro:
        """The replay file of a finding that loading alone showed."""
        return self._repro(finding, None, role, (1, 1))

    def run(self, plan: Plan) -> PlanResult:
        """Execute a plan without a trace."""
        return self._campaign.execute(plan, self._declared[plan.role], unwritten)

    def _repro(
        self, finding: Finding, plan: Plan | None, role: Role, confirmed: tuple[int, int]
    ) -> Repro:
        return Repro(
            property=finding.property,
            provider=self._origin.provider,
            testbed=self._origin.testbed,
            role=role,
            seed=self._origin.seed,
            suite=version("holdfast"),
            expected=finding.expected,
            observed=finding.observed,
            confirmed=confirmed,
            plan=plan,
        )


class _Attempt:
    """The executions for one property, within their limits."""

    def __init__(self, reducer: Reducer, identifier: str, until_s: float) -> None:
        self._reducer = reducer
        self._property = identifier
        self._until_all_s = until_s
        self._until_s = min(until_s, time.monotonic() + _PROPERTY_S)
        self._broken = 0
        self._hung = 0
        self.last: Finding | None = None
        """What was seen when the property last failed."""

    @property
    def _exhausted(self) -> bool:
        late = time.monotonic() > self._until_s
        return late or self._broken >= _BROKEN_MAX or self._hung >= _HUNG_MAX

    def confirm(self, plan: Plan) -> tuple[int, int]:
        """How often the property fails again, and how often that was tried: once if it is slow."""
        failed = tried = 0
        enough_s = time.monotonic() + _CONFIRMING_S
        while tried < CONFIRMATIONS and not self._exhausted and not self._hung:
            if tried and time.monotonic() > enough_s:
                break
            tried += 1
            failed += self.fails(plan)
        # However long that took, the reduction may begin.
        self._until_s = min(self._until_all_s, time.monotonic() + _PROPERTY_S)
        return failed, tried

    def fails(self, plan: Plan) -> bool:
        """Whether the property fails with this plan; false once the limits are reached."""
        if self._exhausted:
            return False
        result = self._reducer.run(plan)
        if result.broken is not None:
            self._broken += 1
            self._hung += result.broken.how is BrokenKind.HUNG
        findings = [finding for finding in result.findings if finding.property == self._property]
        if findings:
            self.last = findings[0]
        return bool(findings)
