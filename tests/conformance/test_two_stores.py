"""Plans that work in two stores of one backend."""

import pytest

from holdfast.contract import requests
from holdfast.contract.capabilities import AccessMode
from holdfast.contract.errors import ErrorKind
from holdfast.contract.testbed import Fault
from holdfast_conformance import plan as plans
from holdfast_conformance.plan_limits import excess_of
from holdfast_conformance.protocol import Command, Execute, Remove
from holdfast_conformance.scenarios import neighbours
from holdfast_conformance.scenarios.alternating import alternating
from holdfast_conformance.scenarios.choices import Choices
from holdfast_conformance.scenarios.script import Script
from holdfast_conformance.supervision.supervisor import Supervisor
from holdfast_conformance.supervision.worker_process import WorkerProcess
from holdfast_conformance.trace import Broken, Ended, Raised, Returned
from holdfast_drivers.memory.config import PRIMARY_CAPABILITIES
from judged_plans import judges
from worker_plans import QUICK, RUN, create, execute, plan_of, stepped

MINE, NEXT = plans.UseStore(number=0), plans.UseStore(number=1)
MADE: tuple[plans.Step, ...] = (
    requests.InitializeStore(name="beside"),
    requests.AttachHost(host="host-a"),
)
BOTH: tuple[plans.Step, ...] = (
    create("a"),
    NEXT,
    *MADE,
    requests.GetVolume(key="a"),
    create("a"),
    requests.Grant(volume="a", host="host-a", mode=AccessMode.SHARED),
    MINE,
    requests.DeleteVolume(key="a"),
    NEXT,
    requests.GetVolume(key="a"),
)


@pytest.mark.slow
def test_what_is_in_a_store_is_not_in_its_neighbour() -> None:
    """Each has its own volume of one name, and both are emptied at the end."""
    supervisor = Supervisor("memory", "", RUN)
    try:
        records = execute(supervisor, *BOTH)
    finally:
        supervisor.close()

    first, last = (stepped(records, index).outcome for index in (4, len(BOTH) - 1))
    assert isinstance(first, Raised)
    assert first.kind is ErrorKind.NOT_FOUND
    assert isinstance(last, Returned)
    ended = records[-1]
    assert isinstance(ended, Ended)
    assert (ended.left, ended.enumerated, ended.failures) == ((), (), ())
    (judge,) = judges("memory", BOTH)
    assert judge.findings == ()
    assert judge.exercised["LIF-15"] > 0


@pytest.mark.slow
@pytest.mark.usefixtures("odd")
def test_what_a_dead_worker_left_is_removed_from_both(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next worker removes the neighbour with the rest, wherever the plan was then."""
    sent: list[object] = []
    supervisor = Supervisor("odd_driver:OddProvider", "", RUN, QUICK)
    send = WorkerProcess.send

    def noted(worker: WorkerProcess, command: Command) -> None:
        sent.append(command)
        send(worker, command)

    monkeypatch.setattr(WorkerProcess, "send", noted)
    try:
        records = execute(supervisor, create("a"), NEXT, *MADE, create("is-killed"))
        supervisor.start()
    finally:
        supervisor.close()

    assert isinstance(records[-1], Broken)
    executed = next(one for one in sent if isinstance(one, Execute))
    assert [one.namespaces for one in sent if isinstance(one, Remove)] == [
        (executed.namespace, f"{executed.namespace}-1")
    ]


def test_namespaces_are_those_of_the_stores_that_a_plan_goes_to() -> None:
    """A neighbour's begins as that of the first store: what looks by prefix would meet it."""
    assert plans.namespaces_of(plan_of(create("a")), "ns") == ("ns",)
    assert plans.namespaces_of(plan_of(*BOTH), "ns") == ("ns", "ns-1")


@pytest.mark.slow
def test_a_plan_that_stays_in_its_store_says_nothing_of_neighbours() -> None:
    """A defect of one store alone is told by the property that it breaks."""
    (judge,) = judges("memory", (MINE, create("a"), requests.GetVolume(key="a")))

    assert judge.exercised["LIF-15"] == 0


def test_no_story_changes_its_driver_in_a_place_that_is_no_store_yet() -> None:
    """A driver may refuse to be opened where there is nothing."""
    steps = tuple(neighbours.two_stores(Script(PRIMARY_CAPABILITIES, Choices(bytes(4000)))))

    for drawn in range(64):
        choices = Choices(bytes([drawn]) * 400)
        assert alternating(steps, choices) == steps


def test_no_plan_goes_to_another_store_under_a_fault() -> None:
    """A fault is of the testbed: the other store would be under it, and its model not know."""
    fault = plans.InjectFault(fault=Fault.DOWN)

    assert excess_of(plan_of(fault, plans.HealFault(), NEXT)) == ""
    assert "under a fault" in excess_of(plan_of(fault, NEXT, plans.HealFault()))
    assert "store 2" in excess_of(plan_of(plans.UseStore(number=2)))
