"""What a driver can do to the process it runs in, and what the supervisor makes of it."""

import os
import signal
import time
from collections.abc import Iterator

import pytest

from holdfast.contract import requests
from holdfast.contract.capabilities import AccessMode
from holdfast.contract.errors import ConfigurationError, ErrorKind
from holdfast.contract.requests import Role
from holdfast_conformance import plan as plans
from holdfast_conformance.processes import children, processes_of
from holdfast_conformance.supervision.supervisor import DriverRefused, Patience, Supervisor
from holdfast_conformance.trace import (
    Broken,
    BrokenKind,
    Ended,
    Nonsense,
    Observed,
    Raised,
    Returned,
    Stepped,
    TraceRecord,
)
from worker_plans import QUICK, RUN, create, execute, plan_of, stepped

pytestmark = [pytest.mark.usefixtures("odd"), pytest.mark.slow]


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    found = Supervisor("odd_driver:OddProvider", "", RUN, QUICK)
    yield found
    found.close()
    assert processes_of(RUN) == ()


def test_a_plan_is_prepared_executed_observed_and_cleaned_up(supervisor: Supervisor) -> None:
    """Each step has one answer and one observation, and the end leaves nothing."""
    records = execute(supervisor, create("a"), requests.GetVolume(key="a"))

    indices = [r.index for r in records if isinstance(r, Stepped | Observed)]
    assert indices == [-1, -1, -2, -2, 0, 0, 1, 1]
    assert records[-1] == Ended(left=(), enumerated=(), failures=(), outside_digest="")


@pytest.mark.parametrize(
    ("key", "how"),
    [
        ("sleeps", BrokenKind.HUNG),
        ("spins", BrokenKind.HUNG),
        ("waits", BrokenKind.HUNG),
        ("stays", BrokenKind.HUNG),
        ("exits", BrokenKind.DIED),
        ("is-killed", BrokenKind.DIED),
        ("crashes", BrokenKind.DIED),
        ("closes-everything", BrokenKind.DIED),
        ("writes-everywhere", BrokenKind.DIED),
        ("writes-a-frame", BrokenKind.DIED),
        ("interrupts", BrokenKind.BASE_EXCEPTION),
        ("leaves", BrokenKind.BASE_EXCEPTION),
        ("raises-outlandish", BrokenKind.BASE_EXCEPTION),
        ("stops-the-loop", BrokenKind.BASE_EXCEPTION),
    ],
)
def test_a_driver_that_takes_its_process_along_is_replaced(
    supervisor: Supervisor, key: str, how: BrokenKind
) -> None:
    """The trace says at which step and how it broke, and the next plan runs in a new process."""
    records = execute(supervisor, create("a"), create(key))
    afterwards = execute(supervisor, create("a"))

    broken = records[-1]
    assert isinstance(broken, Broken)
    assert (broken.index, broken.how) == (1, how)
    assert isinstance(afterwards[-1], Ended)


@pytest.mark.parametrize("key", ["answers-none", "answers-a-lie", "answers-bad-types"])
def test_an_answer_that_is_none_is_recorded_as_nonsense(supervisor: Supervisor, key: str) -> None:
    """Nothing, a wrong key and wrong types are told apart from answers."""
    records = execute(supervisor, create(key), create("a"))

    assert isinstance(stepped(records, 0).outcome, Nonsense)
    assert isinstance(stepped(records, 1).outcome, Returned)


def test_a_foreign_exception_is_named(supervisor: Supervisor) -> None:
    """What is no driver error is recorded as Internal, with the name of what escaped."""
    outcome = stepped(execute(supervisor, create("raises-foreign")), 0).outcome

    assert isinstance(outcome, Raised)
    assert (outcome.kind, outcome.escaped) == (ErrorKind.INTERNAL, "ZeroDivisionError")


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("raises-own-kind", "OwnKind"),
        ("raises-own-final", "OwnFinal"),
        ("raises-hostile", "Hostile"),
        ("raises-number", "5"),
        ("raises-hostile-cause", "cannot be shown"),
        ("raises-half-a-pair", "half a pair: \\udc80"),
    ],
)
def test_an_error_with_wrong_fields_is_one_outcome_and_the_plan_goes_on(
    supervisor: Supervisor, key: str, told: str
) -> None:
    """A field that is no text, raises or cannot be encoded ends neither the worker nor the run."""
    records = execute(supervisor, create(key), create("a"))
    outcome = stepped(records, 0).outcome

    assert isinstance(outcome, Raised | Nonsense)
    assert told in str(outcome).replace("\\\\", "\\")
    assert isinstance(records[-1], Ended)


def test_half_a_surrogate_pair_while_loading_is_a_defect() -> None:
    """A message that UTF-8 cannot hold is told with the character escaped."""
    supervisor = Supervisor("refused_providers:HalfAPairAtOpening", "", RUN, QUICK)
    loaded = supervisor.load(Role.PRIMARY, "ns-half", twice=False)
    supervisor.close()

    assert any("half a pair: \\udc80" in defect for defect in loaded.defects)


@pytest.mark.parametrize("key", ["undeletable", "leaves-half-a-pair"])
def test_half_a_surrogate_pair_at_the_end_is_told(supervisor: Supervisor, key: str) -> None:
    """Neither the words of a failed deletion nor the name of what is left end the run."""
    ended = execute(supervisor, create(key))[-1]

    assert isinstance(ended, Ended)
    assert "udc80" in str((ended.failures, ended.left))


def test_what_a_driver_prints_belongs_to_its_step(supervisor: Supervisor) -> None:
    """Standard output is the driver's alone, kept with the step that printed it."""
    records = execute(supervisor, create("a"), create("odd"), create("b"))

    said = [stepped(records, index).stdout for index in range(3)]
    assert said == ["", "hello from the driver\n", ""]


def test_a_flood_of_output_is_cut_and_harms_nobody(supervisor: Supervisor) -> None:
    """Four megabytes on standard output leave two kilobytes in the trace."""
    said = stepped(execute(supervisor, create("floods"), create("a")), 0).stdout

    assert len(said) < 3000
    assert said.endswith("bytes more")


def test_a_fork_is_noticed_and_the_copy_ends_at_once(supervisor: Supervisor) -> None:
    """The forked copy never speaks on the harness's channel."""
    records = execute(supervisor, create("forks"), create("a"))

    assert [stepped(records, index).forked for index in range(2)] == [True, False]
    assert isinstance(records[-1], Ended)


@pytest.mark.parametrize(
    ("key", "place"),
    [
        ("tells-its-password", "message"),
        ("logs-its-password", "log"),
        ("shows-its-password", "argv"),
    ],
)
def test_a_secret_is_seen_wherever_it_leaks_and_never_recorded(
    supervisor: Supervisor, key: str, place: str
) -> None:
    """The step names the place, and no line of the trace holds the secret."""
    lines: list[bytes] = []
    seen: list[TraceRecord] = []

    def sink(record: TraceRecord, line: bytes) -> bool:
        lines.append(line)
        seen.append(record)
        return True

    supervisor.execute(plan_of(create(key)), "ns-secret", sink)

    assert stepped(seen, 0).canaries == (place,)
    assert b"correct-horse" not in b"".join(lines)


def test_a_granted_secret_is_planted_and_seen(supervisor: Supervisor) -> None:
    """The placeholder of a plan becomes a secret of the run, which is looked for like any other."""
    grant = requests.Grant(
        volume="a", host="host-a", mode=AccessMode.EXCLUSIVE, secret="a placeholder"
    )
    found = stepped(execute(supervisor, create("a"), grant), 1)

    assert found.canaries == ("stdout",)
    assert found.stdout == "granting with [redacted]\n"


def test_a_list_that_never_ends_is_nonsense(supervisor: Supervisor) -> None:
    """A walk over pages gives up after ten thousand."""
    outcome = stepped(execute(supervisor, plans.WalkVolumes(limit=2)), 0).outcome

    assert outcome == Nonsense("list_volumes does not end after 10000 pages")


def test_a_plan_stops_when_the_sink_wants_no_more(supervisor: Supervisor) -> None:
    """After the sink has said so it is shown nothing, and the next plan runs as usual."""
    shown: list[TraceRecord] = []

    def sink(record: TraceRecord, _: bytes) -> bool:
        shown.append(record)
        return len(shown) < 3

    steps = tuple(create(f"v{number}") for number in range(500))
    supervisor.execute(plan_of(*steps), "ns-stopped", sink)

    assert len(shown) == 3
    assert isinstance(execute(supervisor, create("a"))[-1], Ended)


def test_a_worker_that_is_killed_from_elsewhere_ends_its_plan(supervisor: Supervisor) -> None:
    """An interrupted run need not wait for a driver that does not listen."""
    shown: list[TraceRecord] = []

    def sink(record: TraceRecord, _: bytes) -> bool:
        shown.append(record)
        if isinstance(record, Stepped) and record.index == 0:
            supervisor.abort()
        return True

    supervisor.execute(plan_of(create("a"), create("waits")), "ns-aborted", sink)

    assert isinstance(shown[-1], Broken)
    assert "SIGKILL" in shown[-1].detail


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("leaves-an-unmarked-process", "processes left running: 1, threads: 0"),
        ("leaves-a-process", "processes left running: 1, threads: 0"),
        ("leaves-a-thread", "processes left running: 0, threads: 1"),
    ],
)
def test_what_a_driver_leaves_running_is_told_and_ended(key: str, told: str) -> None:
    """A closed driver has no threads and no processes, and none outlives the worker."""
    before = children()
    supervisor = Supervisor("odd_driver:OddProvider", "", RUN, QUICK)
    ended = execute(supervisor, create(key))[-1]
    after = execute(supervisor, create("a"))[-1]

    supervisor.close()

    assert isinstance(ended, Ended)
    assert isinstance(after, Ended)
    assert told in "".join(ended.failures)
    assert after.failures == ()
    assert children() == before


def test_nothing_a_driver_started_outlives_the_worker() -> None:
    """A process that left the worker's session ends with the worker all the same."""
    supervisor = Supervisor("odd_driver:OddProvider", "", RUN, QUICK)
    execute(supervisor, create("leaves-a-process"))
    during = len(processes_of(RUN))

    supervisor.close()

    assert during == 2
    assert processes_of(RUN) == ()


@pytest.mark.parametrize(
    ("provider", "cause"),
    [
        ("refused_providers:an_object", "Provider"),
        ("refused_providers:WrongConstructor", "cannot be constructed"),
        ("refused_providers:NoTestbed", "no testbed"),
        ("refused_providers:BrokenTestbed", "testbed does not start"),
        ("refused_providers:RaisingFactory", "testbed does not start"),
        ("refused_providers:NothingAsTestbed", "attribute that is wrong"),
        ("refused_providers:NothingAsSecretFields", "attribute that is wrong"),
        ("refused_providers:NumberAsName", "attribute that is wrong"),
        ("refused_providers:RaisingRoles", "cannot be asked"),
        ("refused_providers:NoRole", "roles"),
        ("virtual_memory:NoRuntime", "makes a str"),
        ("virtual_memory:NowhereInTime", "no_such_module"),
        ("refused_providers:HalfAPair", r"half a pair: \\udc80"),
        ("raises_at_import:Provider", "cannot be imported"),
        ("exits_at_import:Provider", "exited with status 9"),
        ("hangs_at_import:Provider", "no sign of life"),
    ],
)
def test_a_provider_that_cannot_start_is_refused_with_the_cause(provider: str, cause: str) -> None:
    """Whatever goes wrong before the first plan is one sentence about the driver."""
    start_s = 3.0 if cause == "no sign of life" else 60.0
    patience = Patience(deadline_s=0.3, grace_s=0.3, start_s=start_s)
    supervisor = Supervisor(provider, "", RUN, patience)

    with pytest.raises(DriverRefused, match=cause):
        supervisor.start()

    assert processes_of(RUN) == ()


@pytest.mark.parametrize(
    ("provider", "testbed", "cause"),
    [
        ("no-such-driver", "", "no driver 'no-such-driver'"),
        ("no_such_module:Provider", "", "cannot be imported"),
        ("odd_driver:Odd", "", "known: OddProvider"),
        ("odd_driver:OddProvider", "container", "it offers: embedded"),
    ],
)
def test_a_name_that_does_not_exist_is_a_configuration_error(
    provider: str, testbed: str, cause: str
) -> None:
    """A typing error is nobody's defect: the nearest names are given."""
    with pytest.raises(ConfigurationError, match=cause):
        Supervisor(provider, testbed, RUN, QUICK).start()


def test_a_driver_that_stops_the_loop_and_answers_is_broken(supervisor: Supervisor) -> None:
    """Stopping the harness's event loop is the driver's defect, whenever it shows."""
    records = execute(supervisor, create("stops-the-loop-and-answers"), create("a"))

    assert isinstance(records[-1], Broken)


def test_no_worker_outlives_its_supervisor() -> None:
    """The kernel ends a worker whose supervisor is killed."""
    read, write = os.pipe()
    supervisor_pid = os.fork()
    if supervisor_pid == 0:
        try:
            supervisor = Supervisor("odd_driver:OddProvider", "", RUN, QUICK)
            supervisor.start()
            os.write(write, b"started")
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    os.close(write)
    assert os.read(read, 16) == b"started"
    os.waitpid(supervisor_pid, 0)
    until_s = time.monotonic() + 10
    while processes_of(RUN) and time.monotonic() < until_s:
        pass

    assert processes_of(RUN) == ()
