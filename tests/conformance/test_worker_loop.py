"""The loop that a driver runs in, and the times that its calls are told with."""

import time

import pytest

from holdfast.contract import requests
from holdfast_conformance import plan as plans
from holdfast_conformance.supervision.supervisor import Supervisor
from holdfast_conformance.trace import Broken, Ended, Returned, Stepped
from worker_plans import QUICK, RUN, create, execute, stepped

pytestmark = [pytest.mark.usefixtures("odd"), pytest.mark.slow]


def test_each_call_says_who_made_it_and_when() -> None:
    """A client's calls follow each other, and their times are those of the machine's clock."""
    supervisor = Supervisor("odd_driver:OddProvider", "", RUN, QUICK)
    before_s = time.monotonic()
    records = execute(supervisor, create("a"), create("exits"))
    after_s = time.monotonic()
    supervisor.close()

    told = [r for r in records if isinstance(r, Stepped)]
    times_s = [at_s for r in told for at_s in (r.invoked_s, r.returned_s)]
    assert [before_s, *times_s, after_s] == sorted([before_s, *times_s, after_s])
    assert [r.client for r in records if isinstance(r, Stepped | Broken)] == [0, 0, 0, 0]


def test_a_testbed_brings_the_loop_that_its_driver_runs_in() -> None:
    """In virtual time a second is no time, and a call that waits for nothing ends the loop."""
    supervisor = Supervisor("virtual_memory:VirtualProvider", "", RUN, QUICK)
    records = execute(supervisor, create("a"), create("never"))
    afterwards = execute(supervisor, create("b"))
    supervisor.close()

    first, broken = stepped(records, 0), records[-1]
    assert (first.virtual_s, first.returned_s - first.invoked_s) == (1.0, 1.0)
    assert isinstance(broken, Broken)
    assert "nothing is scheduled any more" in broken.detail
    assert isinstance(afterwards[-1], Ended)


def test_calls_at_once_overlap_and_each_is_on_record() -> None:
    """Two calls of a second take one together; each is a client's own, in the plan's order."""
    supervisor = Supervisor("virtual_memory:VirtualProvider", "", RUN, QUICK)
    records = execute(supervisor, plans.Together(steps=(create("a"), create("b"))), create("c"))
    supervisor.close()

    first, second, third = (r for r in records if isinstance(r, Stepped) and r.index >= 0)
    assert [(r.index, r.client) for r in (first, second, third)] == [(0, 0), (0, 1), (1, 0)]
    assert first.invoked_s == second.invoked_s == first.returned_s - 1.0
    assert first.returned_s == second.returned_s == third.invoked_s


def test_a_plan_waits_on_the_workers_loop() -> None:
    """In virtual time a wait takes none, and is told as long as it was."""
    supervisor = Supervisor("virtual_memory:VirtualProvider", "", RUN, QUICK)
    records = execute(supervisor, plans.Wait(seconds=50.0))
    supervisor.close()

    waited = stepped(records, 0)
    assert waited.virtual_s == 50.0
    assert waited.real_s < 5.0


def test_another_driver_is_opened_beside_the_first() -> None:
    """Both are open until the plan ends, and both see the store as it is."""
    supervisor = Supervisor("virtual_memory:VirtualProvider", "", RUN, QUICK)
    get = requests.GetVolume(key="a")
    through = [plans.UseDriver(number=number) for number in (1, 0)]
    records = execute(supervisor, create("a"), through[0], get, through[1], get)
    supervisor.close()

    assert all(isinstance(stepped(records, index).outcome, Returned) for index in range(5))
    assert isinstance(records[-1], Ended)
