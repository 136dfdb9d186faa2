"""Executing plans and judging them as they run: what certify, replay and mutants have in common."""

from collections.abc import Callable
from pathlib import Path

import msgspec

from holdfast.capabilities import Capabilities
from holdfast.requests import Role
from holdfast.testbed import Fault
from holdfast_conformance.execution.ledger import Ledger
from holdfast_conformance.execution.places import writing
from holdfast_conformance.execution.supervisor import Supervisor
from holdfast_conformance.judgement.judge import PlanJudge
from holdfast_conformance.judgement.registry import all_properties
from holdfast_conformance.plan import Plan
from holdfast_conformance.trace import Broken, Loaded, Started, Stepped, TraceRecord
from holdfast_conformance.trace_lines import encode_record
from holdfast_conformance.verdict import Finding

Write = Callable[[bytes], object]
"""Takes one line of a trace, with its end."""


class PlanResult(msgspec.Struct, frozen=True, kw_only=True):
    """What one execution of a plan showed."""

    plan: Plan
    findings: tuple[Finding, ...]
    diverged: bool
    broken: Broken | None
    steps: int

    @property
    def failed(self) -> frozenset[str]:
        """The properties that failed."""
        return frozenset(finding.property for finding in self.findings)


class LoadResult(msgspec.Struct, frozen=True, kw_only=True):
    """What loading a role showed; without ``capabilities`` it can be given no plans."""

    loaded: Loaded
    capabilities: Capabilities | None
    findings: tuple[Finding, ...]


class Campaign:
    """One run of one provider: loads its roles and executes plans, each in a new namespace.

    Args:
        supervisor: of the provider.
        run: the run's id; namespaces carry it.
        ledger: is told of every namespace before it is used.
    """

    def __init__(self, supervisor: Supervisor, run: str, ledger: Ledger) -> None:
        self._supervisor = supervisor
        self._run = run
        self._ledger = ledger
        self._namespaces = 0
        self._properties = all_properties()
        self.steps = 0
        """How many steps were executed so far, preparation included."""
        self._interrupted = False

    def interrupt(self) -> None:
        """Have the plan that is under way stop at its next step."""
        self._interrupted = True

    def abort(self) -> None:
        """Kill the worker that does not stop although it was interrupted."""
        self._supervisor.abort()

    @property
    def patience_s(self) -> float:
        """How long a worker may say nothing, in seconds."""
        return self._supervisor.patience_s

    def load(self, role: Role, *, twice: bool = True) -> LoadResult:
        """Load a role, with ``twice`` from two processes, whose documents must be equal."""
        namespace = self._namespace(role)
        for process in ("first", "second"):
            self._ledger.note(role, f"{namespace}-{process}")
        loaded = self._supervisor.load(role, namespace, twice=twice)
        judge = PlanJudge(self._properties)
        judge.feed(loaded)
        judge.finish()
        return LoadResult(
            loaded=loaded,
            capabilities=judge.capabilities,
            findings=judge.findings,
        )

    def execute(self, plan: Plan, capabilities: Capabilities, write: Write) -> PlanResult:
        """Execute a plan, write its trace, and stop it when it has left the model's paths."""
        opened = self._supervisor.start()
        started = Started(
            provider=self._supervisor.provider,
            testbed=opened.testbed,
            capabilities=capabilities,
            plan=plan,
            faults=tuple(Fault(fault) for fault in opened.faults),
        )
        write(encode_record(started) + b"\n")
        judge = PlanJudge(self._properties)
        judge.feed(started)
        steps = 0
        broken: Broken | None = None

        def sink(record: TraceRecord, line: bytes) -> bool:
            nonlocal steps, broken
            write(line + b"\n")
            steps += isinstance(record, Stepped)
            if isinstance(record, Broken):
                broken = record
            judge.feed(record)
            return not (judge.diverged or self._interrupted)

        namespace = self._namespace(plan.role)
        self._ledger.note(plan.role, namespace)
        self._supervisor.execute(plan, namespace, sink)
        judge.finish()
        self.steps += steps
        return PlanResult(
            plan=plan,
            findings=judge.findings,
            diverged=judge.diverged,
            broken=broken,
            steps=steps,
        )

    def _namespace(self, role: Role) -> str:
        self._namespaces += 1
        return f"{self._run}-{role.value[0]}{self._namespaces}"


class TraceFolder:
    """The trace files of a run, one for each plan, in the order of execution."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self._count = 0

    def open(self, name: str) -> "TraceFile":
        """A new trace file."""
        self._count += 1
        return TraceFile(self._folder / f"{self._count:06d}-{name}.jsonl")


class TraceFile:
    """One trace file. Every line is in the file before anybody judges it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with writing(path):
            self._file = path.open("xb", buffering=0)

    def __enter__(self) -> Write:
        return self._write

    def _write(self, line: bytes) -> None:
        view = memoryview(line)
        with writing(self._path):
            while view:
                # A disk that is nearly full takes a part of a line, and only then complains.
                view = view[self._file.write(view) :]

    def __exit__(self, *_: object) -> None:
        self._file.close()


def unwritten(_: bytes) -> None:
    """Take a line and keep nothing: for executions that are no part of the evidence."""
