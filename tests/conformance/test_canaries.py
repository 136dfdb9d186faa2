"""Canaries: a generator that loses one class of draws is seen, for a mutant of that class survives.

Each class is taken out of the plans as a whole, as if nobody had drawn it; the mutant that it is
there for must then live through all that is left.
"""

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import pytest

from holdfast_conformance.byte_steps import DiscardBytes, KeepHandle
from holdfast_conformance.generate import generate_plans
from holdfast_conformance.list_steps import TakePage
from holdfast_conformance.plan import (
    Plan,
    ProbeCall,
    Step,
    Together,
    UseDriver,
    UseStore,
    Wait,
    calls_of,
)
from holdfast_conformance.planted_defects import planted_mutants
from holdfast_conformance.profiles import find_profile
from holdfast_conformance.strength import mutant_run

pytestmark = pytest.mark.slow

FAR_BYTES = 16 << 20
MANY = 30
PLAIN = re.compile(r"[a-z0-9.-]{1,60}")
NAMED = ("key", "volume", "host", "target", "snapshot", "upload")

Narrowed = Callable[[Plan], Plan | None]
"""A plan without a class of draws, or nothing where the plan is all of that class."""


def without(*kinds: type, plan: Plan) -> Plan:
    """The plan without these steps, wherever they are."""
    steps = tuple(step for step in plan.steps if not isinstance(step, kinds))
    return msgspec.structs.replace(plan, steps=steps)


def through_one_driver(plan: Plan) -> Plan:
    """The same plan, all through the driver that it begins with."""

    def alone(step: Step) -> Step:
        return msgspec.structs.replace(step, apart=False) if isinstance(step, Together) else step

    return without(
        UseDriver, plan=msgspec.structs.replace(plan, steps=tuple(map(alone, plan.steps)))
    )


def with_plain_names(plan: Plan) -> Plan | None:
    """The plan, if all of its names are short, in lower case and of usual characters."""
    calls = [call for step in plan.steps for call in calls_of(step)]
    names = [getattr(call, field, "") for call in calls for field in NAMED]
    return plan if all(PLAIN.fullmatch(name) for name in names if name) else None


def near(plan: Plan) -> Plan:
    """The plan without what is written, read or discarded far into a volume."""

    def is_near(step: Any) -> bool:
        if getattr(step, "size_bytes", 0) > FAR_BYTES:
            return False
        ranges = getattr(step, "ranges", ((getattr(step, "offset_bytes", 0), 0),))
        return bool(ranges) and all(offset < FAR_BYTES for offset, _ in ranges)

    return msgspec.structs.replace(plan, steps=tuple(filter(is_near, plan.steps)))


def in_one_store(plan: Plan) -> Plan | None:
    """The plan, if it stays in the store that it begins in."""
    return None if any(isinstance(step, UseStore) for step in plan.steps) else plan


def brief(plan: Plan) -> Plan | None:
    """The plan, if it has few operations."""
    return plan if len(plan.steps) < MANY else None


CANARIES: dict[str, tuple[Narrowed, str]] = {
    "discards": (lambda plan: without(DiscardBytes, plan=plan), "discard-does-nothing"),
    "kept handles": (
        lambda plan: without(KeepHandle, plan=plan),
        "open-handles-write-into-the-snapshot",
    ),
    "probes": (lambda plan: without(ProbeCall, plan=plan), "probe-of-a-grant-takes-any-host"),
    "pages": (lambda plan: without(TakePage, plan=plan), "page-tokens-count-volumes"),
    "calls at once": (
        lambda plan: without(Together, plan=plan),
        "hosts-at-once-pass-the-exclusive-check",
    ),
    "two drivers": (through_one_driver, "volumes-are-remembered"),
    "names": (with_plain_names, "control-characters-are-dropped"),
    "far places": (near, "far-blocks-are-shared"),
    "time": (lambda plan: without(Wait, plan=plan), "grant-lapses"),
    "neighbours": (in_one_store, "snapshots-go-in-every-store"),
    "many operations": (brief, "ids-repeat-after-some"),
}


def hunted(name: str) -> mutant_run.MutantRun:
    """A hunt for a mutant, by its own property; `quick` lets no time pass."""
    profile = "smoke" if name == CANARIES["time"][1] else "quick"
    target = next(mutant.property for mutant in planted_mutants() if mutant.name == name)
    task = mutant_run.MutantTask(
        name=name, target=target, profile=find_profile(profile), seed=0, reduce=False
    )
    return mutant_run.run_mutant(task)


def narrowed_plans(narrow: Narrowed, *asked: Any) -> tuple[Plan, ...]:
    """The plans of a narrower generator."""
    return tuple(plan for each in generate_plans(*asked) if (plan := narrow(each)) is not None)


@pytest.mark.parametrize("drawn", CANARIES)
def test_what_is_no_longer_drawn_is_missed(drawn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant is killed by what is drawn, and survives without that one class."""
    narrow, name = CANARIES[drawn]
    assert hunted(name).killed

    monkeypatch.setattr(mutant_run, "_plans", partial(narrowed_plans, narrow))
    narrower = hunted(name)

    assert not narrower.killed
    assert narrower.ops > 1_000
