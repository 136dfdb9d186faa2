"""A testbed in a process of its own: what outlives a driver, and what outlives nobody."""

import os
import signal
import time
from collections.abc import Iterator

import pytest

from holdfast.contract import requests
from holdfast.contract.answers import OwnedKind
from holdfast.contract.testbed import (
    BackendIdentity,
    Fault,
    HostPlace,
    Inspected,
    Inventory,
    TestbedKind,
)
from holdfast_conformance import plan as plans
from holdfast_conformance.processes import backend_mark, processes_of
from holdfast_conformance.supervision.supervisor import (
    DriverRefused,
    HarnessFailed,
    Patience,
    Supervisor,
)
from holdfast_conformance.testbed_process.distant_testbed import Connection, DistantTestbed
from holdfast_conformance.testbed_process.inventories import ITEMS_MAX, tellable
from holdfast_conformance.testbed_process.messages import Standing
from holdfast_conformance.trace import Broken, Ended, Observed, TraceRecord
from holdfast_drivers.local.config import LocalConfig
from worker_plans import QUICK, RUN, create, execute

pytestmark = [pytest.mark.usefixtures("odd"), pytest.mark.slow]

MORTAL = "mortal:MortalProvider"


def backends() -> tuple[int, ...]:
    return processes_of(backend_mark(RUN))


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    found = Supervisor(MORTAL, "", RUN, QUICK)
    yield found
    assert found.close()
    assert (processes_of(RUN), backends()) == ((), ())


def ended_well(records: list[TraceRecord]) -> bool:
    ended = records[-1]
    return isinstance(ended, Ended) and (ended.left, ended.failures) == ((), ())


def test_a_killed_driver_leaves_its_backend_alone(supervisor: Supervisor) -> None:
    """The same testbed serves the next worker, and what was left in its place is removed."""
    records = execute(supervisor, create("a"), create("is-killed"))
    before = backends()
    afterwards = execute(supervisor, create("a"))

    assert isinstance(records[-1], Broken)
    assert len(before) == 1
    assert backends() == before
    assert ended_well(afterwards)
    outside = {r.outside_digest for r in records + afterwards if isinstance(r, Observed)}
    assert len(outside) == 1


def test_a_fault_ends_with_the_worker_that_asked_for_it(supervisor: Supervisor) -> None:
    """Whoever is killed under a fault leaves none in force to the next plan."""
    fault = plans.InjectFault(fault=Fault.DOWN)
    records = execute(supervisor, create("a"), fault, create("is-killed"))
    afterwards = execute(supervisor, create("a"), requests.GetVolume(key="a"))

    assert isinstance(records[-1], Broken)
    assert ended_well(afterwards)


def test_bad_configurations_reach_the_driver_as_the_testbed_makes_them(
    supervisor: Supervisor,
) -> None:
    """Each is refused with an error that the testbed expects."""
    records = execute(supervisor, plans.InitializeBad())
    rows = next(
        rows
        for record in records
        if (rows := getattr(getattr(getattr(record, "outcome", None), "reply", None), "rows", ()))
    )

    assert len(rows) > 3
    assert [name for name, got, expected in rows if got not in expected] == []


def test_a_testbed_that_dies_says_nothing_about_the_driver(supervisor: Supervisor) -> None:
    """The run ends with it, and the next one has a testbed again."""
    with pytest.raises(HarnessFailed, match="the testbed's inspector failed: its process ended"):
        execute(supervisor, create("kills-its-testbed"))

    assert ended_well(execute(supervisor, create("a")))


@pytest.mark.parametrize(
    ("provider", "cause"),
    [
        ("mortal:DyingTestbed", "does not start: its process ended; it said: out of luck"),
        ("mortal:NothingAsTestbed", "attribute that is wrong"),
    ],
)
def test_a_testbed_that_cannot_start_is_told_with_its_last_words(provider: str, cause: str) -> None:
    """What it printed before it died is the only trace of why."""
    supervisor = Supervisor(provider, "", RUN, QUICK)

    with pytest.raises(DriverRefused, match=cause):
        supervisor.start()

    assert supervisor.close()
    assert backends() == ()


def test_a_testbed_that_never_stands_is_ended() -> None:
    """Patience with a testbed that starts has an end, and nothing of it is left."""
    patience = Patience(deadline_s=0.3, grace_s=0.3, start_s=3.0)
    supervisor = Supervisor("mortal:EndlessTestbed", "", RUN, patience)

    with pytest.raises(DriverRefused, match="no sign of life"):
        supervisor.start()

    assert (processes_of(RUN), backends()) == ((), ())


def test_no_backend_outlives_its_supervisor() -> None:
    """The kernel ends a testbed whose supervisor is killed."""
    read, write = os.pipe()
    supervisor_pid = os.fork()
    if supervisor_pid == 0:
        try:
            supervisor = Supervisor(MORTAL, "", RUN, QUICK)
            supervisor.start()
            os.write(write, b"%d" % len(backends()))
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    os.close(write)
    assert os.read(read, 16) == b"1"
    os.waitpid(supervisor_pid, 0)
    until_s = time.monotonic() + 10
    while backends() and time.monotonic() < until_s:
        pass

    assert backends() == ()
    assert Supervisor(MORTAL, "", RUN, QUICK).close()


def test_whoever_is_no_host_of_the_testbed_is_this_machine() -> None:
    """An object's handle is opened for nobody in particular."""
    standing = Standing(
        kind=TestbedKind.EMBEDDED,
        identity=BackendIdentity(vendor="v", product="p", version="1"),
        second_path="",
        hosts=("a",),
        faults=(),
        data_plane=True,
        places={"a": HostPlace(address="192.0.2.1")},
    )
    testbed = DistantTestbed(Connection(-1), standing, LocalConfig)

    assert testbed.place_of("a") == HostPlace(address="192.0.2.1")
    assert testbed.place_of("") == HostPlace()


def test_what_cannot_be_told_as_it_is_is_told_all_the_same() -> None:
    """A name that is no UTF-8 is escaped, and what has no end is told by its beginning."""
    odd = Inspected(kind=OwnedKind.VOLUME, key="half \udc80")
    told = tellable(Inventory(things=(odd,) * (ITEMS_MAX + 1), outside_digest=""))

    assert len(told.things) == ITEMS_MAX
    assert told.things[0].key == "half \\udc80"
