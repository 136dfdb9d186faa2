"""The supervisor of workers: starts, watches and replaces them, and never imports a driver."""

from typing import NoReturn, TypeVar

import msgspec

from holdfast.contract.errors import (
    ConfigurationError,
    EnvironmentUnavailable,
    HoldfastError,
    UsageError,
)
from holdfast.contract.requests import Role
from holdfast_conformance import plan as plans
from holdfast_conformance.protocol import (
    Blame,
    Chosen,
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
from holdfast_conformance.supervision.plan_course import Course, Sink
from holdfast_conformance.supervision.testbed_launch import BackendProcess
from holdfast_conformance.supervision.worker_process import WorkerLost, WorkerProcess
from holdfast_conformance.trace import BrokenKind, Loaded

R = TypeVar("R", bound=Message)


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """How long to wait before a driver counts as hung, in seconds.

    A false alarm is worse than a late one: machines stall, and testbeds start slowly.
    """

    deadline_s: float = 10.0
    grace_s: float = 5.0
    start_s: float = 300.0

    @property
    def silence_s(self) -> float:
        """How long a worker may say nothing; its own watch is to fire first where it still can."""
        return self.deadline_s + self.grace_s + 2.0


class DriverRefused(HoldfastError):
    """The driver cannot even be started; the message says why."""

    exit_code = UsageError.exit_code


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

    The testbed's process, where it needs one, stays as workers come and go.

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
        self._backend: BackendProcess | None = None
        self._left: list[tuple[Role, tuple[str, ...]]] = []
        self._current: tuple[Role, tuple[str, ...]] | None = None
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
            if not self._report(worker, self._patience.start_s, Chosen).inside:
                self._find_backend(worker)
            opened = self._report(worker, self._patience.start_s, Opened)
            while self._left:
                role, namespaces = self._left[-1]
                worker.send(Remove(role=role, namespaces=namespaces))
                self._report(worker, self._patience.start_s, Finished)
                self._left.pop()
        except WorkerLost as lost:
            self.kill()
            told = f"{lost.how.value} while it was loaded: {lost.detail}{self._last_words()}"
            self._call_off()
            raise DriverRefused(told) from lost
        except BaseException:
            self._call_off()
            raise
        finally:
            self._starting = None
        self.opened = opened
        return opened

    def _find_backend(self, worker: WorkerProcess) -> None:
        """Have the testbed's process serve a worker; one that does not is replaced."""
        if self._backend is not None:
            if worker.lend_to(self._backend, self._patience.start_s):
                return
            self._end_backend()
        try:
            self._backend = BackendProcess(self._setup)
        except OSError as problem:
            reason = f"a testbed's process cannot be started: {problem.strerror}"
            raise EnvironmentUnavailable(reason) from problem
        worker.lend_to(self._backend, self._patience.start_s)

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
                    self._end_worker()
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
        course = Course(plan, sink)
        namespaces = plans.namespaces_of(plan, namespace)
        self._current = plan.role, namespaces
        try:
            worker = self._running()
            worker.send(Execute(plan=plan, namespace=namespace))
            return self._follow(worker, course)
        except WorkerLost as lost:
            self.kill()
            self._left.append((plan.role, namespaces))
            self._current = None
            course.broke(lost)
            return course.steps_seen

    def _follow(self, worker: WorkerProcess, course: Course) -> int:
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
            told = received.reason + self._last_words()
            raise_refused(msgspec.structs.replace(received, reason=told))
        if not isinstance(received, expected):
            raise HarnessFailed(f"the worker answered with {received!r}")
        return received

    def _call_off(self) -> None:
        """End a worker whose testbed may be half started, and let that clean up."""
        worker, self._worker = self._worker, None
        backend, self._backend = self._backend, None
        ending = [process for process in (worker, backend) if process is not None]
        for process in ending:
            process.cancel()
        if ending:
            ended = [process.cancelled() for process in ending]
            self._remains = not all(ended)

    def close(self) -> bool:
        """End worker and testbed politely, so that they can clean up; whether nothing is left."""
        try:
            clean = self._end_worker()
            if self._left or self._remains or not clean:
                return self._remove_left()
            return self._end_backend() or self._remove_left()
        except BaseException:
            self._kill_backend()  # Somebody does not want to wait.
            raise

    def _end_worker(self) -> bool:
        """End the worker politely; whether it left nothing."""
        worker, self._worker = self._worker, None
        clean = worker is None or worker.close()
        if not clean and self._current is not None:
            self._left.append(self._current)
        return clean

    def _end_backend(self) -> bool:
        """End the testbed's process politely; whether it cleaned up."""
        backend, self._backend = self._backend, None
        return backend is None or backend.close()

    def _kill_backend(self) -> None:
        backend, self._backend = self._backend, None
        if backend is not None:
            backend.kill()

    def _last_words(self) -> str:
        return "" if self._backend is None else self._backend.last_words()

    def _remove_left(self) -> bool:
        """Start one more worker, only to remove what broken ones left; whether that worked."""
        try:
            self.start()
        except HoldfastError:
            self._end_backend()
            return False
        worker, self._worker = self._worker, None
        clean = worker is None or worker.close()
        self._remains = not (self._end_backend() and clean)
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
        """End the worker and its processes at once; the testbed's are others."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.kill()
