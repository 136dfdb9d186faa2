"""Executing plans and judging them as they run: what certify, replay and mutants have in common."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from holdfast.contract.capabilities import Capabilities
from holdfast.contract.requests import Role
from holdfast.contract.testbed import Fault
from holdfast_conformance.judgement.judge import PlanJudge
from holdfast_conformance.judgement.registry import all_properties
from holdfast_conformance.plan import Plan, namespaces_of
from holdfast_conformance.report.document import TRACES_NAME
from holdfast_conformance.report.judged_trace import JudgedTrace
from holdfast_conformance.supervision.killed_run_record import Ledger
from holdfast_conformance.supervision.output_files import writing
from holdfast_conformance.supervision.supervisor import Supervisor
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
    trace: JudgedTrace

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
        opening = encode_record(started)
        write(opening + b"\n")
        trace = JudgedTrace(opening)
        steps = 0

        def sink(record: TraceRecord, line: bytes) -> bool:
            nonlocal steps
            write(line + b"\n")
            steps += isinstance(record, Stepped)
            trace.take(record)
            return not (trace.judge.diverged or self._interrupted)

        namespace = self._namespace(plan.role)
        for one in namespaces_of(plan, namespace):
            self._ledger.note(plan.role, one)
        self._supervisor.execute(plan, namespace, sink)
        trace.finish()
        self.steps += steps
        return PlanResult(
            plan=plan,
            findings=trace.judge.findings,
            diverged=trace.judge.diverged,
            broken=trace.broken,
            steps=steps,
            trace=trace,
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
        self._files: list[TraceFile] = []

    def open(self, name: str) -> "TraceFile":
        """A new trace file."""
        self._count += 1
        path = self._folder / f"{self._count:06d}-{name}.jsonl"
        self._files.append(TraceFile(path))
        return self._files[-1]

    def forget(self, count: int) -> None:
        """Remove the last trace files, as if they had never been opened."""
        for _ in range(count):
            self._files.pop().path.unlink()
            self._count -= 1

    def sha256(self) -> Mapping[str, str]:
        """The digests of all bytes written to each trace, by their names below the report."""
        return {f"{TRACES_NAME}/{file.path.name}": file.sha256() for file in self._files}


class TraceFile:
    """One trace file. Every line is in the file before anybody judges it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._digest = hashlib.sha256()
        with writing(path):
            self._file = path.open("xb", buffering=0)

    def sha256(self) -> str:
        """The digest of all that was written."""
        return self._digest.hexdigest()

    def __enter__(self) -> Write:
        return self._write

    def _write(self, line: bytes) -> None:
        self._digest.update(line)
        view = memoryview(line)
        with writing(self.path):
            while view:
                # A disk that is nearly full takes a part of a line, and only then complains.
                view = view[self._file.write(view) :]

    def __exit__(self, *_: object) -> None:
        self._file.close()


def unwritten(_: bytes) -> None:
    """Take a line and keep nothing: for executions that are no part of the evidence."""
