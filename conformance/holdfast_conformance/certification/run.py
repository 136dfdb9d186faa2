"""Certifying a driver: load it, execute the plans of a profile, judge, reduce, report."""

import platform
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import msgspec

from holdfast.concurrency.runtime import runtime
from holdfast.contract.capabilities import Capabilities
from holdfast.contract.errors import ExitCode, UsageError
from holdfast.contract.requests import Role
from holdfast.contract.testbed import BackendIdentity, Fault, TestbedKind
from holdfast_conformance.generate import generate_plans
from holdfast_conformance.judgement.judge import PlanJudge
from holdfast_conformance.judgement.registry import all_properties
from holdfast_conformance.plan import Plan
from holdfast_conformance.profiles import Profile
from holdfast_conformance.protocol import Opened
from holdfast_conformance.reduction.confirm import Origin, Reducer
from holdfast_conformance.replay_file import Repro, encode_repro
from holdfast_conformance.report.compose import Account
from holdfast_conformance.report.document import (
    REPRO_NAME,
    TRACES_NAME,
    BackendFacts,
    DriverFacts,
    Report,
    RunFacts,
    RunStatement,
    Stated,
)
from holdfast_conformance.report.inputs import ReportInputs
from holdfast_conformance.report.judged_trace import JudgedTrace
from holdfast_conformance.report.write import write_report
from holdfast_conformance.stopping import Stop, known_wrong
from holdfast_conformance.supervision.campaign import PlanResult, TraceFolder
from holdfast_conformance.supervision.killed_run_record import LANE, forget_ledger
from holdfast_conformance.supervision.output_files import writing
from holdfast_conformance.supervision.pooled_worker import Lane, open_lane
from holdfast_conformance.supervision.progress import Watcher
from holdfast_conformance.supervision.supervisor import DriverRefused, HarnessFailed, Patience
from holdfast_conformance.supervision.worker_pool import Crew, Done
from holdfast_conformance.trace import Loaded
from holdfast_conformance.trace_lines import encode_record
from holdfast_conformance.verdict import Finding, Level, Status, Verdict

JOBS = 4
"""How many workers share the plans: slow backends mostly wait, and several waits overlap."""
JOBS_MAX = 64
"""More workers would only wait for each other, and run out of descriptors."""


class CertifyRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to certify and how; ``testbed`` is empty for the provider's first."""

    provider: str
    testbed: str
    profile: Profile
    level: Level
    seed: int
    out: Path
    jobs: int = JOBS
    time_budget_s: float | None = None
    patience: Patience = Patience()


class Certified(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome: the report, and the exit code that says it."""

    report: Report
    exit_code: ExitCode


class RunInterrupted(KeyboardInterrupt):
    """Somebody pressed Ctrl-C; ``clean`` says whether everything of the run was removed."""

    def __init__(self, run: str, *, clean: bool) -> None:
        super().__init__(run)
        self.run = run
        self.clean = clean


def certify(request: CertifyRequest, watcher: Watcher) -> Certified:
    """Certify a driver and write the report directory.

    Raises:
        ConfigurationError: there is no such provider or testbed.
        EnvironmentUnavailable: the testbed needs something that is missing.
        HarnessFailed: the suite or the testbed failed.
        UsageError: the report directory cannot be used.
    """
    run = runtime().new_id("run")
    names = [f"{run}{LANE}{number}" for number in range(1, request.jobs + 1)]
    lanes: list[Lane] = []
    crew: Crew | None = None
    try:
        lanes.extend(
            open_lane(request.provider, request.testbed, name, request.patience) for name in names
        )
        crew = Crew([lane.campaign for lane in lanes])
        certified = _judged(_Certification(request, watcher, crew, lanes[0], run))
    except BaseException as problem:
        # What fails while they are closed left something; why they are closed is what is told.
        closed = _close(lanes, crew)
        with suppress(OSError):  # which is why there is none
            for name in names[len(lanes) :]:
                forget_ledger(name)  # written, perhaps, and nothing was done under it
        if closed.interrupted or isinstance(problem, KeyboardInterrupt):
            raise RunInterrupted(run, clean=closed.clean) from problem
        raise
    closed = _close(lanes, crew)
    if closed.interrupted:
        raise RunInterrupted(run, clean=closed.clean)
    if closed.failures:
        raise closed.failures[0]
    return certified


def _judged(certification: "_Certification") -> Certified:
    try:
        return certification.run()
    except DriverRefused as refused:
        raise HarnessFailed(
            f"the driver was started, and then a worker more could not be: {refused}; so there is "
            "no verdict: where the machine is busy, or the driver allows one process at a time, "
            "repeat it with --jobs 1"
        ) from refused


class _Closed(NamedTuple):
    """How lanes ended: whether nothing is left behind, whether Ctrl-C came, and what failed."""

    clean: bool
    interrupted: bool
    failures: list[Exception]


def _close(lanes: Sequence[Lane], crew: Crew | None) -> _Closed:
    """End all lanes, however often Ctrl-C is pressed and whatever fails."""
    clean, interrupted = True, False
    failures: list[Exception] = []
    abandoned = crew is not None and crew.abandoned
    closings: list[Callable[[], bool | None]] = [
        lane.abandon if abandoned else lane.close for lane in lanes
    ]
    if crew is not None:
        closings.append(crew.close)
    for close in closings:
        try:
            clean = close() is not False and clean
        except KeyboardInterrupt:
            clean, interrupted = False, True
        except Exception as failure:  # noqa: BLE001 - the caller has it once all others are closed
            clean = False
            failures.append(failure)
    return _Closed(clean, interrupted, failures)


class _Certification:
    """One certification, from loading to the report; what is done once is done on ``first``."""

    def __init__(
        self, request: CertifyRequest, watcher: Watcher, crew: Crew, first: Lane, run: str
    ) -> None:
        self._request = request
        self._watcher = watcher
        self._crew = crew
        self._supervisor = first.supervisor
        self._campaign = first.campaign
        self._run = run
        self._began_s = time.monotonic()
        self._started = datetime.now(UTC)
        self._opened: Opened | None = None
        self._declared: dict[Role, Capabilities] = {}
        self._failures: dict[str, tuple[Finding, Plan]] = {}
        """For each property the finding with the shortest way to it, and its plan."""
        self._stopped: dict[Role, Stop] = {}
        self._loading: list[tuple[Finding, Role]] = []
        """What loading alone showed."""
        self._account = Account()

    def run(self) -> Certified:
        """Do all of it."""
        try:
            # Before anything is written: a wrong name leaves no report behind.
            self._opened = self._supervisor.start()
        except DriverRefused as refused:
            self._traces = _trace_folder(self._request.out)
            loaded = refused_at_loading(self._request.provider, str(refused))
            self._record(loaded)
            self._loading.extend((finding, loaded.role) for finding in findings_of(loaded))
            return self._conclude()
        self._traces = _trace_folder(self._request.out)
        for role in self._opened.roles:
            self._run_role(role, self._opened)
        return self._conclude()

    def _record(self, loaded: Loaded) -> None:
        line = encode_record(loaded)
        with self._traces.open(f"{loaded.role.value}-load") as write:
            write(line + b"\n")
        self._account.add(JudgedTrace(line))

    def _run_role(self, role: Role, opened: Opened) -> None:
        self._watcher.phase(f"{role.value}: loading", 1)
        loading = self._campaign.load(role)
        faults = tuple(Fault(fault) for fault in opened.faults)
        told = msgspec.structs.replace(loading.loaded, roles=opened.roles, faults=faults)
        self._record(told)
        self._loading.extend((finding, role) for finding in loading.findings)
        if loading.capabilities is None:
            return
        capabilities = self._declared[role] = loading.capabilities
        if self._request.level is Level.L0:
            return
        self._watcher.phase(f"{role.value}: making plans", 1)
        plans = tuple(
            generate_plans(role, capabilities, self._request.profile, self._request.seed, faults)
        )
        self._watcher.phase(f"{role.value}: executing", len(plans))
        results: list[PlanResult] = []
        self._crew.execute(plans, capabilities, self._traces, self._until_known(results))
        self._keep_known(role, plans, results)

    def _until_known(self, results: list[PlanResult]) -> Done:
        """Takes results of one role until it is known to be wrong, or the time is over."""
        failed = set(self._failures)

        def done(result: PlanResult) -> bool:
            results.append(result)
            failed.update(result.failed)
            self._watcher.advance(1, len(failed))
            return not (_first_known(results) or self._out_of_time())

        return done

    def _keep_known(self, role: Role, plans: Sequence[Plan], results: Iterable[PlanResult]) -> None:
        """Keep what was executed up to the plan after which the role was known to be wrong.

        Which plans other workers had begun by then is chance, and is forgotten.
        """
        order = {plan.id: place for place, plan in enumerate(plans)}
        executed = sorted(results, key=lambda result: order[result.plan.id])
        known = _first_known(executed)
        kept = executed[:known] if known else executed
        self._traces.forget(len(executed) - len(kept))
        for result in kept:
            self._account.add(result.trace)
            self._keep(result)
        if len(kept) < len(plans):
            self._stopped[role] = Stop.KNOWN_WRONG if known else Stop.OUT_OF_TIME

    def _keep(self, result: PlanResult) -> None:
        """Remember the soonest finding of each property; of equals the one of the first plan."""
        for finding in result.findings:
            known = self._failures.get(finding.property)
            soon = finding.index, result.plan.id
            if known is None or soon < (known[0].index, known[1].id):
                self._failures[finding.property] = finding, result.plan

    def _out_of_time(self) -> bool:
        budget_s = self._request.time_budget_s
        return budget_s is not None and time.monotonic() - self._began_s > budget_s

    def _conclude(self) -> Certified:
        self._reduce()
        run = RunFacts(
            profile=self._request.profile.name, seed=self._request.seed, stopped=self._stopped
        )
        stated = Stated(
            driver=self._driver_facts(),
            backend=self._backend_facts(),
            run=self._run_statement(),
        )
        inputs = ReportInputs(run=run, requested=self._request.level, stated=stated)
        with writing(self._request.out):
            written = self._traces.sha256()
            report = write_report(self._request.out, inputs, self._account, written)
        return Certified(report=report, exit_code=exit_code_of(report.verdict))

    def _reduce(self) -> None:
        if not self._failures and not self._loading:
            return
        folder = self._request.out / REPRO_NAME
        with writing(folder):
            folder.mkdir()
        origin = Origin(
            provider=self._request.provider,
            testbed=self._request.testbed,
            seed=self._request.seed,
        )
        reducer = Reducer(self._campaign, self._declared, origin)
        for finding, role in self._loading:
            self._keep_repro(finding.property, reducer.loaded(finding, role))
        self._watcher.phase("reducing failures", len(self._failures))
        for identifier, (finding, plan) in sorted(self._failures.items()):
            self._keep_repro(identifier, reducer.reduced(finding, plan))
            self._watcher.advance(1, len(self._failures))

    def _keep_repro(self, identifier: str, repro: Repro) -> None:
        path = self._request.out / REPRO_NAME / f"{identifier}.json"
        with writing(path):
            path.write_bytes(encode_repro(repro))

    def _driver_facts(self) -> DriverFacts:
        opened = self._opened
        return DriverFacts(
            reference=self._request.provider,
            provider=opened.provider if opened else self._request.provider,
            distribution=opened.distribution if opened else "",
            distribution_version=opened.distribution_version if opened else "",
            source_sha256=opened.source_sha256 if opened else "",
        )

    def _backend_facts(self) -> BackendFacts:
        opened = self._opened
        if opened is None:
            identity = BackendIdentity(vendor="none", product="not started", version="")
            return BackendFacts(kind=TestbedKind.EMBEDDED, identity=identity, inspector="none")
        return BackendFacts(
            kind=TestbedKind(opened.testbed),
            identity=opened.identity,
            inspector=opened.second_path or "there is no second path to this backend",
        )

    def _run_statement(self) -> RunStatement:
        return RunStatement(
            id=self._run,
            started=self._started.isoformat(timespec="seconds"),
            wall_s=round(time.monotonic() - self._began_s, 3),
            python=platform.python_version(),
            hypothesis=version("hypothesis"),
        )


def _first_known(results: Sequence[PlanResult]) -> int:
    """After how many of these results a role is known to be wrong; 0 where it is not."""
    diverged = broken = 0
    for number, result in enumerate(results, start=1):
        diverged += result.diverged
        broken += result.broken is not None
        if known_wrong(diverged, broken):
            return number
    return 0


def refused_at_loading(provider: str, reason: str) -> Loaded:
    """The loading record of a driver that could not even be started; it has no role yet."""
    return Loaded(provider=provider, role=Role.PRIMARY, defects=(reason,), documents=())


def findings_of(loaded: Loaded) -> tuple[Finding, ...]:
    """What is wrong with how a role was loaded."""
    judge = PlanJudge(all_properties())
    judge.feed(loaded)
    judge.finish()
    return judge.findings


def exit_code_of(verdict: Verdict) -> ExitCode:
    """The exit code that says a verdict."""
    if verdict.ok:
        return ExitCode.DONE
    statuses = {result.status for result in verdict.results}
    if Status.FAIL in statuses:
        return ExitCode.FAILED
    if Status.ERROR in statuses:
        return ExitCode.USAGE
    return ExitCode.NOTHING_EXERCISED


def _trace_folder(out: Path) -> TraceFolder:
    """The folder for traces below a report directory that holds no report yet."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} exists and is not an empty folder; choose another --out")
    try:
        return TraceFolder(out / TRACES_NAME)
    except OSError as problem:
        raise UsageError(f"{out}: {problem.strerror}") from problem
