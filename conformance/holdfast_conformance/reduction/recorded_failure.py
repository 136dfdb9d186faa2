"""Reducing a recorded failure anew: from a trace or a replay file to a smaller replay file."""

import io
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

import msgspec

from holdfast.concurrency.runtime import runtime
from holdfast.contract.capabilities import nonsense_in
from holdfast.contract.errors import UsageError
from holdfast_conformance.judgement.judge import PlanJudge
from holdfast_conformance.judgement.registry import all_properties, find_property
from holdfast_conformance.plan import Plan
from holdfast_conformance.plan_limits import excess_of
from holdfast_conformance.reduction.confirm import Origin, Reducer
from holdfast_conformance.replay_file import Repro, read_repro
from holdfast_conformance.report.folder import TRACE_MAX_BYTES
from holdfast_conformance.stranger_files import read_given
from holdfast_conformance.supervision.pooled_worker import open_lane
from holdfast_conformance.supervision.supervisor import DriverRefused, Patience
from holdfast_conformance.trace import Started, TraceRecord
from holdfast_conformance.trace_lines import records_in
from holdfast_conformance.verdict import Finding

TRACE_SUFFIX = ".jsonl"


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """A failure as a file tells it."""

    provider: str
    seed: int
    plan: Plan
    finding: Finding


def recorded_failure(path: Path, identifier: str) -> Recorded:
    """The failure in a trace or replay file; ``identifier`` is a property, or empty for the first.

    Raises:
        ConfigurationError: there is no such property; the message names the nearest.
        UsageError: the file cannot be read, or shows no such failure.
    """
    identifier = identifier and find_property(identifier).id
    if path.suffix == TRACE_SUFFIX:
        return _from_trace(path, identifier)
    return _from_replay(path, identifier)


def _from_replay(path: Path, identifier: str) -> Recorded:
    repro = read_repro(path)
    if repro.plan is None:
        raise UsageError(
            f"{path}: loading the driver is all it takes, so there is nothing to reduce"
        )
    finding = Finding(
        property=identifier or find_property(repro.property).id,
        plan=repro.plan.id,
        index=len(repro.plan.steps),
        expected=repro.expected,
        observed=repro.observed,
    )
    return Recorded(
        provider=repro.provider,
        seed=repro.seed,
        plan=repro.plan,
        finding=finding,
    )


def _from_trace(path: Path, identifier: str) -> Recorded:
    data = read_given(path, TRACE_MAX_BYTES)
    records = records_in(str(path), io.BytesIO(data))
    started = next(records, None)
    if not isinstance(started, Started):
        raise UsageError(f"{path} holds no plan")
    if excess := excess_of(started.plan):
        raise UsageError(f"{path} has a plan that no suite makes: {excess}")
    if wrong := nonsense_in(started.capabilities):
        raise UsageError(f"{path} is of a store that cannot be: {wrong}")
    findings = _judged(started, records)
    chosen = [finding for finding in findings if identifier in {"", finding.property}]
    if not chosen:
        seen = ", ".join(finding.property for finding in findings) or "no property"
        raise UsageError(f"{path} does not show {identifier or 'a failure'}; {seen} fails in it")
    return Recorded(
        provider=started.provider,
        seed=0,
        plan=started.plan,
        finding=chosen[0],
    )


def _judged(started: Started, records: Iterable[TraceRecord]) -> tuple[Finding, ...]:
    judge = PlanJudge(all_properties())
    for record in chain((started,), records):
        judge.feed(record)
    judge.finish()
    return judge.findings


def reduce_recorded(
    recorded: Recorded,
    *,
    provider: str,
    testbed: str = "",
    ops_max: int,
    patience: Patience | None = None,
) -> Repro:
    """Reduce a recorded failure by executing it on a driver; the file does not choose which.

    Raises:
        UsageError: the driver cannot be loaded.
    """
    run = runtime().new_id("run")
    lane = open_lane(provider, testbed, run, patience)
    try:
        role = recorded.plan.role
        loading = lane.campaign.load(role, twice=False)
        if loading.capabilities is None:
            raise UsageError(f"{provider} cannot be loaded: {'; '.join(loading.loaded.defects)}")
        origin = Origin(provider=provider, testbed=testbed, seed=recorded.seed)
        reducer = Reducer(lane.campaign, {role: loading.capabilities}, origin, ops_max)
        return reducer.reduced(recorded.finding, recorded.plan)
    except DriverRefused as refused:
        raise UsageError(f"{provider} cannot be loaded: {refused}") from refused
    finally:
        lane.close()
