"""The supervisor of workers: starts, watches and replaces them, and never imports a driver."""

from collections.abc import Callable
from typing import NoReturn, TypeVar

import msgspec

from holdfast.errors import (
    ConfigurationError,
    EnvironmentUnavailable,
    HoldfastError,
    UsageError,
)
from holdfast.requests import Role
from holdfast_conformance import plan as plans
from holdfast_conformance.execution.worker_process import WorkerLost, WorkerProcess
from holdfast_conformance.protocol import (
    Blame,
    Execute,
    Finished,
    Load,
    Message,
    Opened,
    Refused,
    Remove,
    Setup,
    Shown,
    Stop,
)
from holdfast_conformance.trace import Broken, BrokenKind, Loaded, Observed, Stepped, TraceRecord
from holdfast_conformance.trace_lines import decode_record, encode_record

R = TypeVar("R", bound=Message)
Sink = Callable[[TraceRecord, bytes], bool]
"""Takes a record and its line; false when no more of this plan is wanted."""


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """How long to wait before a driver counts as hung, in seconds.

    A false alarm is worse than a late one: machines stall, and testbeds start slowly.
    """

    deadline_s: float = 10.0
    grace_s: float = 5.0
    start_s: float = 120.0

    @property
    def silence_s(self) -> float:
        """How long a worker may say nothing; its own watch is to fire first where it still can."""
        return self.deadline_s + self.grace_s + 2.0


class DriverRefused(Exception):
    """The driver cannot even be started; the message says why."""


class HarnessFailed(HoldfastError):
    """The suite itself, or a testbed, does not work; nothing is said about the driver."""

    exit_code = UsageError.exit_code


def raise_refused(refused: Refused) -> NoReturn:
    """Turn a worker's refusal into the error that its blame stands for."""
    match refused.blame:
        case Blame.CONFIGURATION:
            raise ConfigurationError(refused.reason)
        case Blame.ENVIRONMENT:
            raise EnvironmentUnavailable(refused.reason)
        case Blame.DRIVER:
            raise DriverRefused(refused.reason)
        case Blame.HARNESS:
            raise HarnessFailed(refused.reason)


class Supervisor:
    """Keeps a worker for one provider, and replaces it when the driver has broken it.

    Args:
        provider: an entry point's name, ``module:Class`` or ``mutant:NAME``.
        testbed: a kind of testbed, or empty for the provider's first.
        run: the run's id, with which everything is tagged.
        patience: when a driver counts as hung.
    """

    def __init__(
        self, provider: str, testbed: str, run: str, patience: Patience | None = None
    ) -> None:
        self._patience = patience or Patience()
        self._setup = Setup(
            provider=provider,
            testbed=testbed,
            run=run,
            deadline_s=self._patience.deadline_s,
            grace_s=self._patience.grace_s,
        )
        self.provider = provider
        self._worker: WorkerProcess | None = None
        self._left: list[tuple[Role, str]] = []
        self._current: tuple[Role, str] | None = None
        self._starting: WorkerProcess | None = None
        self._remains = False
        """Whether a testbed was cut off while it started or cleaned up."""
        self.opened: Opened | None = None

    @property
    def patience_s(self) -> float:
        """How long a worker may say nothing, in seconds."""
        return self._patience.silence_s

    def start(self) -> Opened:
        """Start a worker if none is running, and have it remove what its predecessor left.

        Raises:
            DriverRefused: the provider or its testbed cannot be started.
            ConfigurationError: there is no such provider or testbed.
            EnvironmentUnavailable: the testbed needs something that is missing.
            HarnessFailed: the suite itself failed.
        """
        if self._worker is not None and self.opened is not None:
            return self.opened
        try:
            worker = self._worker = self._starting = WorkerProcess(self._setup.run)
        except OSError as problem:
            reason = f"a worker process cannot be started: {problem.strerror}"
            raise EnvironmentUnavailable(reason) from problem
        try:
            worker.send(self._setup)
            opened = self._report(worker, self._patience.start_s, Opened)
            while self._left:
                role, namespace = self._left[-1]
                worker.send(Remove(role=role, namespaces=(namespace,)))
                self._report(worker, self._patience.start_s, Finished)
                self._left.pop()
        except WorkerLost as lost:
            self.kill()
            raise DriverRefused(f"{lost.how.value} while it was loaded: {lost.detail}") from lost
        except BaseException:
            self._call_off()
            raise
        finally:
            self._starting = None
        self.opened = opened
        return opened

    def load(self, role: Role, namespace: str, *, twice: bool = True) -> Loaded:
        """Level L0 of one role; with ``twice`` the document of a second process is included."""
        defects: list[str] = []
        documents: list[str] = []
        stdout = ""
        for process in ("first", "second") if twice else ("first",):
            try:
                self.start()
                shown = self._load_once(role, f"{namespace}-{process}")
            except (WorkerLost, DriverRefused) as problem:
                self.kill()
                defects.append(f"in a {process} process: {problem}")
                break
            if process == "first":
                defects.extend(shown.defects)
                documents.extend(shown.documents)
                stdout = shown.stdout
                if twice:
                    self.close()
            else:
                documents.extend(shown.documents[:1])
        provider = self.opened.provider if self.opened else self._setup.provider
        return Loaded(
            provider=provider,
            role=role,
            defects=tuple(defects),
            documents=tuple(documents),
            stdout=stdout,
        )

    def _load_once(self, role: Role, namespace: str) -> Shown:
        worker = self._running()
        worker.send(Load(role=role, namespace=namespace))
        return self._report(worker, self._patience.start_s, Shown)

    def execute(self, plan: plans.Plan, namespace: str, sink: Sink) -> int:
        """Execute a plan; how many driver calls it took.

        A broken driver is one more record, and the next plan gets a new worker. When the sink wants
        no more, nothing further is shown to it.
        """
        self.start()
        course = _Course(plan, sink)
        self._current = plan.role, namespace
        try:
            worker = self._running()
            worker.send(Execute(plan=plan, namespace=namespace))
            return self._follow(worker, course)
        except WorkerLost as lost:
            self.kill()
            self._left.append((plan.role, namespace))
            self._current = None
            course.broke(lost)
            return course.steps_seen

    def _follow(self, worker: WorkerProcess, course: "_Course") -> int:
        """Take records until the plan is over; how many driver calls it took."""
        while True:
            received = worker.receive(self._patience.silence_s)
            if isinstance(received, bytes):
                if course.show(received):
                    worker.send(Stop())
            elif isinstance(received, Finished):
                return received.calls
            elif isinstance(received, Refused) and received.blame is Blame.DRIVER:
                raise WorkerLost(BrokenKind.DIED, received.reason)
            else:
                self.kill()
                if isinstance(received, Refused):
                    raise_refused(received)
                raise HarnessFailed(f"the worker answered a plan with {received!r}")

    def remove(self, role: Role, namespaces: tuple[str, ...]) -> None:
        """Remove namespaces, whoever left them."""
        self.start()
        worker = self._running()
        worker.send(Remove(role=role, namespaces=namespaces))
        self._report(worker, self._patience.start_s, Finished)

    def _running(self) -> WorkerProcess:
        if self._worker is None:
            raise HarnessFailed("there is no worker")
        return self._worker

    def _report(self, worker: WorkerProcess, patience_s: float, expected: type[R]) -> R:
        received = worker.receive(patience_s)
        if isinstance(received, Refused):
            self.kill()
            raise_refused(received)
        if not isinstance(received, expected):
            raise HarnessFailed(f"the worker answered with {received!r}")
        return received

    def _call_off(self) -> None:
        """End a worker whose testbed may be half started, and let that clean up."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.cancel()
            self._remains = not worker.cancelled()

    def close(self) -> bool:
        """End the worker politely, so that its testbed can clean up; whether nothing is left."""
        worker, self._worker = self._worker, None
        clean = worker is None or worker.close()
        if not clean and self._current is not None:
            self._left.append(self._current)
        if self._left or self._remains or not clean:
            clean = self._remove_left()
        return clean

    def _remove_left(self) -> bool:
        """Start one more worker, only to remove what broken ones left; whether that worked."""
        try:
            self.start()
        except (HoldfastError, DriverRefused):
            return False
        worker, self._worker = self._worker, None
        self._remains = worker is not None and not worker.close()
        return not self._remains

    def abort(self) -> None:
        """Have whoever waits for the worker find it dead; for another thread than that one.

        One that still starts its testbed is cancelled, so that it leaves nothing behind.
        """
        # Read once each: the other thread takes them away meanwhile.
        starting, worker = self._starting, self._worker
        if starting is not None:
            starting.cancel()
        elif worker is not None:
            worker.abort()

    def kill(self) -> None:
        """End the worker and its processes at once."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.kill()


class _Course:
    """How far a plan has come, and whether more of it is wanted."""

    def __init__(self, plan: plans.Plan, sink: Sink) -> None:
        prepared = range(-1, -1 - len(plans.preparation(plan)), -1)
        self._order = (*prepared, *range(len(plan.steps) + 1))
        self._place = 0
        self._sink = sink
        self._wanted = True
        self._broken = False
        self.steps_seen = 0

    def show(self, line: bytes) -> bool:
        """Give a record to the sink; true at the moment when it wants no more.

        Raises:
            WorkerLost: the worker says that the driver broke it, or what it said is no record.
        """
        try:
            record = decode_record(line)
        except (ValueError, msgspec.MsgspecError) as problem:
            detail = f"what it reported is no record: {problem}"
            raise WorkerLost(BrokenKind.DIED, detail) from problem
        if isinstance(record, Stepped):
            self.steps_seen += 1
        elif isinstance(record, Observed):
            self._place += 1
        stop = False
        if self._wanted:
            self._wanted = self._sink(record, line)
            stop = not self._wanted
        if isinstance(record, Broken):
            # It is to end now, and a driver that has it in hand may keep it from doing so.
            self._broken = True
            raise WorkerLost(record.how, record.detail)
        return stop

    def broke(self, lost: WorkerLost) -> None:
        """Tell the sink, unless the worker did so itself before it ended."""
        if self._wanted and not self._broken:
            index = self._order[min(self._place, len(self._order) - 1)]
            record = Broken(index=index, how=lost.how, detail=lost.detail)
            self._sink(record, encode_record(record))
