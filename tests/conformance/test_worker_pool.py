"""Lanes that share plans, when somebody presses Ctrl-C: who closes a lane is alone with it."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from holdfast.contract.capabilities import Capabilities
from holdfast.contract.errors import EnvironmentUnavailable
from holdfast.contract.requests import Role
from holdfast_conformance.certification import run
from holdfast_conformance.plan import Plan
from holdfast_conformance.profiles import find_profile
from holdfast_conformance.supervision.campaign import Campaign, PlanResult, TraceFolder
from holdfast_conformance.supervision.progress import Watcher
from holdfast_conformance.supervision.worker_pool import Crew
from holdfast_conformance.verdict import Level

CAPABILITIES = cast("Capabilities", None)


class Traces:
    """Keeps no trace."""

    @contextmanager
    def _nothing(self) -> Iterator[Callable[[bytes], None]]:
        yield lambda _: None

    def open(self, _: str) -> Any:
        return self._nothing()


class Lane:
    """Executes a plan until it is told to stop, or until it is aborted where it does not listen."""

    patience_s = 0.05

    def __init__(self, *, listens: bool) -> None:
        self.begun = threading.Event()
        self.is_busy = False
        self.was_aborted = False
        self._listens = listens
        self._told = threading.Event()

    def execute(self, *_: object) -> PlanResult:
        self.is_busy = True
        self.begun.set()
        self._told.wait()
        self.is_busy = False
        return cast("PlanResult", None)

    def interrupt(self) -> None:
        if self._listens:
            self._told.set()

    def abort(self) -> None:
        self.was_aborted = True
        self._told.set()


class PlanOfNothing:
    """Enough of a plan for a lane that does not look at it."""

    role = Role.PRIMARY


def execute(crew: Crew) -> None:
    plans = [cast("Plan", PlanOfNothing())] * 100
    crew.execute(plans, CAPABILITIES, cast("TraceFolder", Traces()), lambda _: True)


def crew_of(*lanes: Lane) -> Crew:
    return Crew([cast("Campaign", lane) for lane in lanes])


@pytest.mark.parametrize("listens", [True, False])
def test_ctrl_c_while_lanes_are_set_to_work_leaves_none_at_work(
    listens: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One lane executes already when Ctrl-C comes before the second was told to begin."""
    first, second = Lane(listens=listens), Lane(listens=listens)
    crew = crew_of(first, second)
    submit = ThreadPoolExecutor.submit

    def interrupted(
        threads: ThreadPoolExecutor, function: Callable[[Lane], object], lane: Lane
    ) -> Future[object]:
        if lane is second:
            first.begun.wait()
            raise KeyboardInterrupt
        return submit(threads, function, lane)

    monkeypatch.setattr(ThreadPoolExecutor, "submit", interrupted)

    with pytest.raises(KeyboardInterrupt):
        execute(crew)

    assert (first.is_busy, second.is_busy, first.was_aborted) == (False, False, not listens)
    crew.close()


def test_a_second_ctrl_c_hastens_the_end_and_leaves_none_at_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Pressed again while a lane takes its time, it kills that lane's worker."""
    lanes = [Lane(listens=False), Lane(listens=False)]
    crew = crew_of(*lanes)
    pressed = iter((KeyboardInterrupt, KeyboardInterrupt))
    wait_for = threading.Condition.wait_for

    def interrupted(_: object) -> None:
        for lane in lanes:
            lane.begun.wait()
        raise next(pressed)

    def waiting(condition: threading.Condition, *arguments: Any) -> bool:
        again = next(pressed, None)
        if again is not None:
            raise again
        return bool(wait_for(condition, *arguments))

    monkeypatch.setattr("holdfast_conformance.supervision.worker_pool._wait_for", interrupted)
    monkeypatch.setattr(threading.Condition, "wait_for", waiting)

    with pytest.raises(KeyboardInterrupt):
        execute(crew)

    assert [lane.is_busy for lane in lanes] == [False, False]
    assert all(lane.was_aborted for lane in lanes)
    crew.close()


def test_a_third_ctrl_c_waits_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lane that not even an abort ends keeps nobody who does not want to wait."""
    lane = Lane(listens=False)
    crew = crew_of(lane)
    monkeypatch.setattr(lane, "abort", lambda: None)
    pressed = [KeyboardInterrupt] * 3

    def pressing(*_: object) -> bool:
        lane.begun.wait()
        raise pressed.pop()

    monkeypatch.setattr("holdfast_conformance.supervision.worker_pool._wait_for", pressing)
    monkeypatch.setattr(threading.Condition, "wait_for", pressing)

    with pytest.raises(KeyboardInterrupt):
        execute(crew)
    monkeypatch.undo()
    crew.close()
    left = (len(pressed), lane.is_busy, crew.abandoned)
    lane.abort()

    assert left == (0, True, True)


class Closing:
    """A lane that is closed once; Ctrl-C may come meanwhile, or it may fail."""

    def __init__(self, ending: BaseException | None = None) -> None:
        self.campaign = Lane(listens=True)
        self.times = 0
        self._ending = ending

    def close(self) -> bool:
        self.times += 1
        if self._ending is not None:
            raise self._ending
        return True


def certified(
    lanes: list[Closing], monkeypatch: pytest.MonkeyPatch, ending: BaseException | None = None
) -> None:
    """A run on these lanes that goes well until they are closed, or ends so."""
    opened = iter(lanes)

    class Done:
        def __init__(self, *_: object) -> None:
            pass

        def run(self) -> str:
            if ending is not None:
                raise ending
            return "certified"

    def open_next(*_: object) -> Closing:
        return next(opened)

    monkeypatch.setattr(run, "open_lane", open_next)
    monkeypatch.setattr(run, "_Certification", Done)
    request = run.CertifyRequest(
        provider="memory",
        testbed="",
        profile=find_profile("smoke"),
        level=Level.L1,
        seed=0,
        jobs=len(lanes),
        out=Path("nowhere"),
    )
    run.certify(request, cast("Watcher", None))


def test_ctrl_c_while_a_good_run_closes_is_not_called_a_certificate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every lane is closed all the same, and what may be left is said."""
    lanes = [Closing(KeyboardInterrupt()), Closing()]

    with pytest.raises(run.RunInterrupted) as interrupted:
        certified(lanes, monkeypatch)

    assert interrupted.value.clean is False
    assert [lane.times for lane in lanes] == [1, 1]


def test_a_lane_that_fails_to_close_leaves_no_other_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """The failure is told after all are closed."""
    lanes = [Closing(OSError("the ledger's disk")), Closing(), Closing()]

    with pytest.raises(OSError, match="the ledger's disk"):
        certified(lanes, monkeypatch)

    assert [lane.times for lane in lanes] == [1, 1, 1]


def test_a_lane_that_fails_to_close_hides_no_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who interrupted is told how to remove what is left, and not what failed on the way out."""
    lanes = [Closing(OSError("the ledger's disk")), Closing()]

    with pytest.raises(run.RunInterrupted) as interrupted:
        certified(lanes, monkeypatch, KeyboardInterrupt())

    assert interrupted.value.clean is False
    assert [lane.times for lane in lanes] == [1, 1]


def test_a_lane_that_fails_to_close_hides_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """What went wrong first is what is told."""
    lanes = [Closing(OSError("the ledger's disk")), Closing()]

    with pytest.raises(EnvironmentUnavailable, match="no engine"):
        certified(lanes, monkeypatch, EnvironmentUnavailable("no engine"))

    assert [lane.times for lane in lanes] == [1, 1]
