"""Several workers at once: plans are independent, and slow backends leave the machine idle."""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

from holdfast.capabilities import Capabilities
from holdfast_conformance.execution.campaign import Campaign, PlanResult, TraceFolder
from holdfast_conformance.plan import Plan

Done = Callable[[PlanResult], bool]
"""Takes the result of each plan, one at a time; false when no further plan is to be begun."""

_POLL_S = 0.2


class Crew:
    """Lanes, each with a worker of its own, that share the plans of a role.

    Args:
        lanes: the campaigns to execute with.
    """

    def __init__(self, lanes: Sequence[Campaign]) -> None:
        self.lanes = tuple(lanes)
        # A worker dies with the thread that started it, so the threads live as long as the crew.
        self._threads = ThreadPoolExecutor(len(self.lanes), thread_name_prefix="lane")

    def execute(
        self, plans: Iterable[Plan], capabilities: Capabilities, traces: TraceFolder, done: Done
    ) -> None:
        """Execute plans in their order, as far as ``done`` wants, each with a trace of its own.

        Those that were begun are a prefix of ``plans``, and all of them are finished.
        """
        work = _Work(plans, capabilities, traces, done)
        futures = [self._threads.submit(work.share, lane) for lane in self.lanes]
        try:
            _wait_for(futures)
        except BaseException:
            work.stop()
            for lane in self.lanes:
                lane.interrupt()
            wait(futures, timeout=max(lane.patience_s for lane in self.lanes))
            for lane, future in zip(self.lanes, futures, strict=True):
                if not future.done():
                    lane.abort()
            wait(futures)
            raise
        for future in futures:
            future.result()

    @property
    def steps(self) -> int:
        """How many steps all lanes executed so far."""
        return sum(lane.steps for lane in self.lanes)

    def close(self) -> None:
        """End the threads; the workers must be closed before."""
        self._threads.shutdown()


class _Work:
    """The plans that are left, handed out one by one."""

    def __init__(
        self, plans: Iterable[Plan], capabilities: Capabilities, traces: TraceFolder, done: Done
    ) -> None:
        self._plans: Iterator[Plan] = iter(plans)
        self._capabilities = capabilities
        self._traces = traces
        self._done = done
        self._lock = threading.Lock()
        self._stopped = False

    def stop(self) -> None:
        """Hand out no further plan."""
        self._stopped = True

    def share(self, lane: Campaign) -> None:
        """Execute plans on one lane until none is left."""
        try:
            while True:
                with self._lock:
                    plan = None if self._stopped else next(self._plans, None)
                    if plan is None:
                        return
                    trace = self._traces.open(plan.role.value)
                with trace as write:
                    result = lane.execute(plan, self._capabilities, write)
                with self._lock:
                    if not self._done(result):
                        self._stopped = True
        except BaseException:
            self._stopped = True
            raise


def _wait_for(futures: Sequence[Future[None]]) -> None:
    """Return when all are done; in short waits, so that Ctrl-C is heard."""
    while wait(futures, timeout=_POLL_S).not_done:
        continue
