"""Reduction by operation: the fewest steps with which a property still fails, within a budget."""

from collections.abc import Callable, Iterator
from itertools import product

import msgspec

from holdfast.contract import requests
from holdfast_conformance import byte_steps
from holdfast_conformance import plan as plans
from holdfast_conformance.plan import Plan

OPS_MAX = 600
"""How many steps a reduction may execute."""

Fails = Callable[[Plan], bool]
"""Whether the property fails when this plan is executed."""


class Budget:
    """Steps that may still be executed."""

    def __init__(self, ops: int = OPS_MAX) -> None:
        self.left = ops

    def spend(self, plan: Plan) -> bool:
        """Account for one execution; false when it does not fit any more."""
        cost = len(plan.steps) + len(plans.preparation(plan)) + 1
        if cost > self.left:
            return False
        self.left -= cost
        return True


def reduce_plan(plan: Plan, fails: Fails, budget: Budget, *, until: int | None = None) -> Plan:
    """A plan of fewer and simpler steps that still fails, as far as the budget reaches.

    Args:
        plan: a plan with which the property fails.
        fails: executes a plan.
        budget: in executed steps.
        until: the index of the step at which it fails; later steps are dropped at once.
    """

    def holds(candidate: Plan) -> bool:
        return budget.spend(candidate) and fails(candidate)

    if until is not None and 0 <= until < len(plan.steps):
        plan = _up_to(plan, until, holds)
    plan = _without_strangers(plan, holds)
    plan = _fewer_steps(plan, holds)
    plan = _simpler_arguments(plan, holds)
    plan = _fewer_hosts(plan, holds)
    return _fewer_steps(plan, holds)


def _up_to(plan: Plan, index: int, holds: Fails) -> Plan:
    """The step at ``index`` alone where it fails alone, or what led to it, or the whole plan.

    A single step is tried first because each execution of a plan that hangs costs a whole patience.
    """
    for first in (index, 0):
        candidate = _with_steps(plan, plan.steps[first : index + 1])
        if candidate.steps != plan.steps and holds(candidate):
            return candidate
    return plan


def _with_steps(plan: Plan, steps: tuple[plans.Step, ...]) -> Plan:
    return msgspec.structs.replace(plan, steps=steps)


def _fewer_steps(plan: Plan, holds: Fails) -> Plan:
    """Delta debugging: drop ever smaller runs of steps for as long as the plan still fails."""
    size = max(1, len(plan.steps) // 2)
    while plan.steps:
        before = len(plan.steps)
        plan = _without_runs(plan, min(size, before), holds)
        if size > 1:
            size //= 2
        elif len(plan.steps) == before:
            break
    return plan


def _without_runs(plan: Plan, size: int, holds: Fails) -> Plan:
    """Try to drop each run of ``size`` steps, from the end: what a step needs comes before it."""
    for start in range(len(plan.steps) - size, -size, -size):
        steps = plan.steps[: max(0, start)] + plan.steps[start + size :]
        candidate = _with_steps(plan, steps)
        if holds(candidate):
            plan = candidate
    return plan


_NAMES = ("key", "volume", "snapshot", "host", "target", "upload", "address", "path_of")


def _names_of(step: plans.Step) -> set[str]:
    """The objects that a step mentions, or the call that it probes."""
    if isinstance(step, plans.Together):
        return {name for call in step.steps for name in _names_of(call)}
    subject = plans.subject_of(step)
    names = {str(getattr(subject, name)) for name in _NAMES if getattr(subject, name, "")}
    source = getattr(subject, "source", None)
    if source is not None:
        names |= {str(getattr(source, name)) for name in _NAMES if getattr(source, name, "")}
    return names


def _without_strangers(plan: Plan, holds: Fails) -> Plan:
    """Keep only the steps that share an object, over any number of links, with the last one."""
    if not plan.steps:
        return plan
    hosts = set(plan.hosts)
    related = _names_of(plan.steps[-1]) - hosts
    grown = True
    while grown:
        before = len(related)
        for step in plan.steps:
            names = _names_of(step) - hosts
            if names & related:
                related |= names
        grown = len(related) > before
    steps = tuple(
        step for step in plan.steps if step is plan.steps[-1] or (_names_of(step) - hosts) & related
    )
    if len(steps) == len(plan.steps):
        return plan
    candidate = _with_steps(plan, steps)
    return candidate if holds(candidate) else plan


def _simpler_arguments(plan: Plan, holds: Fails) -> Plan:
    """Smaller numbers and sizes, one step at a time."""
    for index in range(len(plan.steps)):
        for simpler in _simpler(plan.steps[index]):
            steps = (*plan.steps[:index], simpler, *plan.steps[index + 1 :])
            candidate = _with_steps(plan, steps)
            if holds(candidate):
                plan = candidate
                break
    return plan


def _simpler(step: plans.Step) -> Iterator[plans.Step]:  # noqa: C901, PLR0912 - one arm a kind
    """Simpler versions of a step, the simplest first; none that is equal to it."""
    match step:
        case plans.WriteBlocks() | plans.ReadBlocks() | plans.ReadStale():
            if step.first or step.count > 1:
                yield msgspec.structs.replace(step, first=0, count=1)
            if step.count > 1:
                yield msgspec.structs.replace(step, count=1)
        case byte_steps.WriteBytes() | byte_steps.ReadBytes() | byte_steps.DiscardBytes():
            if step.length_bytes > 1:
                yield msgspec.structs.replace(step, length_bytes=1)
            if step.offset_bytes:
                yield msgspec.structs.replace(step, offset_bytes=0)
        case byte_steps.WriteRanges() if len(step.ranges) > 1:
            for half in (
                step.ranges[: len(step.ranges) // 2],
                step.ranges[len(step.ranges) // 2 :],
            ):
                yield msgspec.structs.replace(step, ranges=half)
        case plans.PutObject() | plans.SendPart():
            for size_bytes in (0, 1, step.size_bytes // 2):
                if size_bytes < step.size_bytes:
                    yield msgspec.structs.replace(step, size_bytes=size_bytes)
        case requests.CreateVolume() if step.source is not None:
            yield msgspec.structs.replace(step, source=None)
        case plans.Together():
            yield from _simpler_together(step)
        case plans.Wait():
            yield msgspec.structs.replace(step, seconds=step.seconds / 2)
        case _:
            return


def _simpler_together(step: plans.Together) -> Iterator[plans.Step]:
    """One of the calls alone, or fewer of them; begun in one turn, through one driver."""
    yield from dict.fromkeys(step.steps)
    fewer = [step.steps[:place] + step.steps[place + 1 :] for place in range(len(step.steps))]
    for calls in (*(fewer if len(step.steps) > 2 else ()), step.steps):
        for apart, stagger in product(sorted({False, step.apart}), sorted({0, 1, step.stagger})):
            simpler = plans.Together(steps=calls, apart=apart, stagger=stagger)
            if stagger <= step.stagger and simpler != step:
                yield simpler


def _fewer_hosts(plan: Plan, holds: Fails) -> Plan:
    """Attach only the hosts that a step names."""
    if not plan.ready:
        return plan
    named = {
        str(getattr(call, "host", "")) for step in plan.steps for call in plans.subjects_of(step)
    }
    hosts = tuple(host for host in plan.hosts if host in named)
    if len(hosts) == len(plan.hosts):
        return plan
    candidate = msgspec.structs.replace(plan, hosts=hosts)
    return candidate if holds(candidate) else plan
