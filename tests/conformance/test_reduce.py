"""Reduction by operation, on predicates that stand in for a failing property."""

from collections.abc import Callable

import msgspec

from holdfast.contract import requests
from holdfast.contract.capabilities import AccessMode
from holdfast.contract.requests import Role
from holdfast_conformance import plan as plans
from holdfast_conformance.plan import Plan
from holdfast_conformance.reduction.fewest_steps import Budget, reduce_plan


def plan_of(*steps: plans.Step) -> Plan:
    return Plan(
        id="plan",
        role=Role.PRIMARY,
        origin="test",
        store="store",
        hosts=("host-a", "host-b"),
        ready=True,
        steps=steps,
    )


def create(key: str) -> requests.CreateVolume:
    return requests.CreateVolume(key=key, size_bytes=4096)


def write(volume: str, first: int = 3, count: int = 4) -> plans.WriteBlocks:
    return plans.WriteBlocks(volume=volume, host="host-a", first=first, count=count, generation=1)


def needs(*wanted: plans.Step) -> Callable[[Plan], bool]:
    """Fails as long as these steps come in this order."""

    def fails(plan: Plan) -> bool:
        rest = iter(plan.steps)
        return all(any(step == found for found in rest) for step in wanted)

    return fails


def test_only_the_steps_that_matter_are_left() -> None:
    """Two steps among sixty are found."""
    first, last = create("v17"), requests.DeleteVolume(key="v17")
    noise = [create(f"v{number}") for number in range(60)]
    plan = plan_of(*noise, last, create("after"))

    reduced = reduce_plan(plan, needs(first, last), Budget(), until=60)

    assert reduced.steps == (first, last)


def test_steps_about_other_objects_are_dropped_first() -> None:
    """What shares no object with the failing step costs one execution, not one each."""
    executed: list[Plan] = []
    failing = needs(create("a"), requests.DeleteVolume(key="a"))

    def fails(plan: Plan) -> bool:
        executed.append(plan)
        return failing(plan)

    noise = [create(f"v{number}") for number in range(200)]
    reduced = reduce_plan(
        plan_of(create("a"), *noise, requests.DeleteVolume(key="a")), fails, Budget()
    )

    assert len(reduced.steps) == 2
    assert len(executed) < 12


def test_arguments_become_simpler() -> None:
    """A write of many blocks becomes one of the first block, where that still fails."""

    def fails(plan: Plan) -> bool:
        return any(isinstance(step, plans.WriteBlocks) for step in plan.steps)

    reduced = reduce_plan(plan_of(create("a"), write("a")), fails, Budget())

    assert reduced.steps == (write("a", first=0, count=1),)


def test_hosts_that_no_step_names_are_not_attached() -> None:
    """The reduced plan prepares only what it uses."""
    reduced = reduce_plan(plan_of(write("a")), lambda plan: bool(plan.steps), Budget())

    assert reduced.hosts == ("host-a",)


def test_a_plan_is_never_reduced_to_one_that_holds() -> None:
    """Whatever the budget, the result is a plan that was seen to fail, or the plan as it was."""
    wanted = [create("v3"), create("v31"), create("v55")]
    plan = plan_of(*(create(f"v{number}") for number in range(60)))
    failing = needs(*wanted)

    for ops in range(0, 800, 40):
        assert failing(reduce_plan(plan, failing, Budget(ops)))


def test_the_budget_bounds_what_is_executed() -> None:
    """Steps are counted with preparation and ending, and no plan is begun that does not fit."""
    executed: list[int] = []

    def fails(plan: Plan) -> bool:
        executed.append(len(plan.steps) + len(plans.preparation(plan)) + 1)
        return True

    reduce_plan(plan_of(*(create(f"v{number}") for number in range(50))), fails, Budget(100))

    assert sum(executed) <= 100
    assert executed


def test_a_plan_that_needs_no_step_loses_all() -> None:
    """Where preparation alone fails, no step is left."""
    assert reduce_plan(plan_of(create("a")), lambda _: True, Budget()).steps == ()


def test_the_reduced_plan_keeps_its_name() -> None:
    """The id stays, for it is in every stamp."""
    plan = msgspec.structs.replace(plan_of(create("a"), create("b")), id="p-7")

    assert reduce_plan(plan, needs(create("b")), Budget()).id == "p-7"


def test_calls_at_once_are_reduced_to_those_that_matter() -> None:
    """Of three calls at once two are left where both are needed, and one where it is enough."""
    first, second, third = create("a"), create("b"), create("c")
    together = plans.Together(steps=(first, second, third), apart=True)

    def both(plan: Plan) -> bool:
        groups = [plans.calls_of(step) for step in plan.steps]
        return any(first in calls and third in calls for calls in groups)

    def one(plan: Plan) -> bool:
        return any(third in plans.calls_of(step) for step in plan.steps)

    assert reduce_plan(plan_of(together), both, Budget()).steps == (
        plans.Together(steps=(first, third)),
    )
    assert reduce_plan(plan_of(together), one, Budget()).steps == (third,)


def test_hosts_and_objects_of_calls_at_once_are_kept() -> None:
    """What a call at once names is no stranger."""
    grant = requests.Grant(volume="a", host="host-b", mode=AccessMode.SHARED)
    together = plans.Together(steps=(grant, requests.DeleteVolume(key="a")))
    plan = plan_of(create("a"), create("b"), together)

    reduced = reduce_plan(plan, needs(create("a"), together), Budget(), until=2)

    assert (reduced.steps, reduced.hosts) == ((create("a"), together), ("host-b",))
