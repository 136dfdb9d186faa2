"""One mutant through the suite: whether the property named for it fails, and how soon.

A blind mutant names no property: the first one that fails kills it.
"""

import os
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import lru_cache
from multiprocessing import get_context

import msgspec

from holdfast.concurrency.interpreter import SAFE_PATH
from holdfast.concurrency.runtime import runtime
from holdfast.contract.capabilities import Capabilities
from holdfast.contract.requests import Role
from holdfast.contract.testbed import Fault
from holdfast_conformance.generate import generate_plans
from holdfast_conformance.installed_mutants import MUTANT_PREFIX
from holdfast_conformance.judgement.registry import Property, all_properties
from holdfast_conformance.plan import Plan
from holdfast_conformance.profiles import Profile
from holdfast_conformance.reduction.confirm import Origin, Reducer
from holdfast_conformance.replay_file import Repro
from holdfast_conformance.strength.occasions import in_order_of_occasion
from holdfast_conformance.supervision.campaign import Campaign, unwritten
from holdfast_conformance.supervision.pooled_worker import open_lane
from holdfast_conformance.supervision.supervisor import DriverRefused, Patience, Supervisor
from holdfast_conformance.verdict import Finding, Level

NOT_LOADED = "not loaded"
"""What kills a blind mutant that no property can be asked about."""

_PATIENCE = Patience(deadline_s=3.0, grace_s=2.0)
"""A mutant may hang on purpose; it runs in memory, where a call takes microseconds."""


class MutantTask(msgspec.Struct, frozen=True, kw_only=True):
    """A mutant and ``target``, the property that must fail on it; ``None``: any.

    With ``reduce`` its repro is made, too.
    """

    name: str
    target: str | None
    profile: Profile
    seed: int
    reduce: bool = True


class MutantRun(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a mutant.

    ``killed_by`` is the property that failed: ``target``, its own, or the first of any where it
    has none; ``None`` when it survived. ``ops`` are the executed steps, all of the profile's when
    it survived; ``others`` are the properties that failed on the way; ``origin`` is the story, or
    the kind of plan, that killed it.
    """

    name: str
    target: str | None
    killed_by: str | None
    ops: int
    others: tuple[str, ...]
    wall_s: float
    origin: str = ""
    repro: Repro | None = None

    @property
    def killed(self) -> bool:
        """Whether what had to fail did."""
        return self.killed_by is not None

    @property
    def repro_steps(self) -> int | None:
        """How many steps the repro has; 0 where loading is enough."""
        if self.repro is None:
            return None
        return len(self.repro.plan.steps) if self.repro.plan else 0


def run_mutant(task: MutantTask) -> MutantRun:
    """Run one mutant through a profile and stop when its own property fails, or any if it has none.

    Plans that put its property to the test come first.

    Raises:
        ConfigurationError: there is no such mutant.
        StopIteration: there is no such property.
    """
    run = runtime().new_id("run")
    reference = f"{MUTANT_PREFIX}{task.name}"
    lane = open_lane(reference, "", run, _PATIENCE)
    try:
        return _Hunt(task, lane.supervisor, lane.campaign).run()
    finally:
        lane.close()


def run_mutants(
    tasks: Sequence[MutantTask], *, jobs: int, done: Callable[[MutantRun], object]
) -> tuple[MutantRun, ...]:
    """Run mutants, several at once, each in a process of its own; in the order of the tasks."""
    results: dict[str, MutantRun] = {}
    # A fork would copy whatever threads and locks the caller has. A process that is spawned begins
    # to import before it has any setting but this.
    os.environ[SAFE_PATH] = "1"
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        for future in as_completed([pool.submit(run_mutant, task) for task in tasks]):
            result = future.result()
            results[result.name] = result
            done(result)
    return tuple(results[task.name] for task in tasks)


class _Hunt:
    """The execution of one mutant's plans until its property fails."""

    def __init__(self, task: MutantTask, supervisor: Supervisor, campaign: Campaign) -> None:
        self._task = task
        self._supervisor = supervisor
        self._campaign = campaign
        self._target = None if task.target is None else _property(task.target)
        self._declared: dict[Role, Capabilities] = {}
        self._others: set[str] = set()
        self._began_s = time.monotonic()

    def run(self) -> MutantRun:
        """Load and execute until the property fails or the plans run out."""
        try:
            opened = self._supervisor.start()
        except DriverRefused:
            return self._refused()
        faults = tuple(Fault(fault) for fault in opened.faults)
        for role in opened.roles:
            if self._target is not None and role not in self._target.roles:
                continue
            loading = self._campaign.load(role, twice=self._needs_two_loads())
            if finding := self._hit(loading.findings):
                return self._killed(finding, role, None)
            if loading.capabilities is None:
                continue
            self._declared[role] = loading.capabilities
            plans = _plans(role, loading.capabilities, self._task.profile, self._task.seed, faults)
            if self._target is not None:
                plans = in_order_of_occasion(plans, self._target.id)
            for plan in plans:
                result = self._campaign.execute(plan, loading.capabilities, unwritten)
                if finding := self._hit(result.findings):
                    return self._killed(finding, role, plan)
        return self._result(None)

    def _refused(self) -> MutantRun:
        """What a driver that cannot be loaded is: one that breaks any property of level L0."""
        if self._target is None:
            return self._result(NOT_LOADED)
        return self._result(self._target.id if self._target.level is Level.L0 else None)

    def _needs_two_loads(self) -> bool:
        return self._target is None or self._target.level is Level.L0

    def _hit(self, findings: Iterable[Finding]) -> Finding | None:
        """The finding of the property that is hunted, the first of any; the others are noted."""
        hit: Finding | None = None
        for finding in findings:
            if hit is None and self._task.target in {None, finding.property}:
                hit = finding
            elif finding.property != self._task.target:
                self._others.add(finding.property)
        return hit

    def _killed(self, finding: Finding, role: Role, plan: Plan | None) -> MutantRun:
        result = msgspec.structs.replace(
            self._result(finding.property), origin=plan.origin if plan else "load"
        )
        if not self._task.reduce:
            return result
        origin = Origin(
            provider=f"{MUTANT_PREFIX}{self._task.name}", testbed="", seed=self._task.seed
        )
        reducer = Reducer(self._campaign, self._declared, origin)
        repro = reducer.reduced(finding, plan) if plan else reducer.loaded(finding, role)
        return msgspec.structs.replace(result, repro=repro)

    def _result(self, killed_by: str | None) -> MutantRun:
        return MutantRun(
            name=self._task.name,
            target=self._task.target,
            killed_by=killed_by,
            ops=self._campaign.steps,
            others=tuple(sorted(self._others)),
            wall_s=round(time.monotonic() - self._began_s, 3),
        )


@lru_cache(maxsize=4)
def _plans(
    role: Role, capabilities: Capabilities, profile: Profile, seed: int, faults: tuple[Fault, ...]
) -> tuple[Plan, ...]:
    """The plans of a profile; most mutants declare the same, so that one set serves many."""
    return tuple(generate_plans(role, capabilities, profile, seed, faults))


def _property(identifier: str) -> Property:
    return next(entry for entry in all_properties() if entry.id == identifier)
