"""Several workers at once: plans are independent, and slow backends leave the machine idle."""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

from holdfast.contract.capabilities import Capabilities
from holdfast_conformance.plan import Plan
from holdfast_conformance.supervision.campaign import Campaign, PlanResult, TraceFolder

Done = Callable[[PlanResult], bool]
"""Takes the result of each plan, one at a time; false when no further plan is to be begun."""

_POLL_S = 0.2
_KILLED_S = 1.0
"""How long until workers of lanes that do not stop are killed again: one may just have begun."""


class Crew:
    """Lanes, each with a worker of its own, that share the plans of a role.

    Args:
        lanes: the campaigns to execute with.
    """

    def __init__(self, lanes: Sequence[Campaign]) -> None:
        self.lanes = tuple(lanes)
        # A worker dies with the thread that started it, so the threads live as long as the crew.
        self._threads = ThreadPoolExecutor(len(self.lanes), thread_name_prefix="lane")
        self.abandoned = False
        """Whether somebody did not want to wait for lanes that did not end: they may still work."""

    def execute(
        self, plans: Iterable[Plan], capabilities: Capabilities, traces: TraceFolder, done: Done
    ) -> None:
        """Execute plans in their order, as far as ``done`` wants, each with a trace of its own.

        Those that were begun are a prefix of ``plans``, and all of them are finished.
        """
        work = _Work(plans, capabilities, traces, done)
        try:
            futures = [self._threads.submit(work.share, lane) for lane in self.lanes]
            _wait_for(futures)
        except BaseException:
            # Ctrl-C may come while the lanes are being set to work: those that were are not in
            # ``futures`` yet, and whoever closes a lane must be alone with its worker.
            try:
                _end(work, max(lane.patience_s for lane in self.lanes))
            except KeyboardInterrupt:
                self.abandoned = True
            raise
        for future in futures:
            future.result()

    @property
    def steps(self) -> int:
        """How many steps all lanes executed so far."""
        return sum(lane.steps for lane in self.lanes)

    def close(self) -> None:
        """End the threads; the workers must be closed before. What was abandoned ends by itself."""
        self._threads.shutdown(wait=not self.abandoned, cancel_futures=True)


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
        self._changed = threading.Condition(self._lock)
        self._active: list[Campaign] = []
        self._stopped = False

    def stop(self) -> list[Campaign]:
        """Hand out no further plan; the lanes that still execute one, and then no others."""
        with self._lock:
            self._stopped = True
            return list(self._active)

    def wait(self, timeout_s: float) -> bool:
        """Whether no lane executes a plan any more, after so many seconds at the most."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._active, timeout_s)

    def share(self, lane: Campaign) -> None:
        """Execute plans on one lane until none is left."""
        try:
            while True:
                with self._lock:
                    plan = None if self._stopped else next(self._plans, None)
                    if plan is None:
                        return
                    trace = self._traces.open(plan.role.value)
                    self._active.append(lane)
                result: PlanResult | None = None
                try:
                    with trace as write:
                        result = lane.execute(plan, self._capabilities, write)
                finally:
                    with self._changed:
                        self._active.remove(lane)
                        self._changed.notify_all()
                        if result is not None and not self._done(result):
                            self._stopped = True
        except BaseException:
            self._stopped = True
            raise


def _end(work: _Work, patience_s: float) -> None:
    """Have all lanes stop at their next step, and kill the workers of those that do not.

    Ctrl-C meanwhile means that nobody is willing to wait, and pressed once more, that nobody waits
    for what does not even end when it is killed.
    """
    for is_last in (False, True):
        try:
            for lane in work.stop():
                lane.interrupt()
            while not work.wait(patience_s):
                for lane in work.stop():
                    lane.abort()
                patience_s = _KILLED_S
        except KeyboardInterrupt:
            if is_last:
                raise
            patience_s = 0.0
        else:
            return


def _wait_for(futures: Sequence[Future[None]]) -> None:
    """Return when all are done; in short waits, so that Ctrl-C is heard."""
    while wait(futures, timeout=_POLL_S).not_done:
        continue
