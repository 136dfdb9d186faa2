"""Replaying a failure: execute its plan again and say whether the property still fails."""

import msgspec

from holdfast.concurrency.runtime import runtime
from holdfast.contract.errors import ConfigurationError, UsageError
from holdfast.contract.requests import verb_of
from holdfast_conformance.judgement.attribution import answers_for
from holdfast_conformance.judgement.judge import PlanJudge
from holdfast_conformance.judgement.registry import Property, all_properties, find_property
from holdfast_conformance.plan import Plan
from holdfast_conformance.replay_file import Repro
from holdfast_conformance.supervision.campaign import Campaign
from holdfast_conformance.supervision.pooled_worker import open_lane
from holdfast_conformance.supervision.supervisor import DriverRefused, Patience
from holdfast_conformance.trace_lines import decode_record
from holdfast_conformance.verdict import Finding


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """How often the property failed, of how many executions, and what was seen last.

    ``unreached`` says why an execution without a failure proved nothing; where it is empty and
    nothing failed, the property was put to the test every time, and held.
    """

    failed: int
    times: int
    finding: Finding | None
    unreached: str = ""


def replay(
    repro: Repro,
    *,
    provider: str,
    testbed: str = "",
    times: int = 1,
    patience: Patience | None = None,
) -> Replayed:
    """Execute a replay file's plan on a driver; what the file says of drivers is not followed.

    Args:
        repro: the failure.
        provider: the driver to load.
        testbed: its testbed; by default its first.
        times: how often to execute the plan.
        patience: when a driver counts as hung.

    Raises:
        ConfigurationError: there is no such property or driver, or the driver lacks the role.
        EnvironmentUnavailable: the testbed needs something that is missing.
        UsageError: the driver cannot be loaded, so that its plan cannot be executed.
    """
    entry = find_property(repro.property)
    run = runtime().new_id("run")
    lane = open_lane(provider, testbed, run, patience)
    try:
        roles = lane.supervisor.start().roles
        if repro.role not in roles:
            known = ", ".join(role.value for role in roles)
            raise ConfigurationError(
                f"the failure is of the {repro.role.value} role, and {provider} has only: {known}"
            )
        seen = [_once(lane.campaign, repro, entry, provider) for _ in range(times)]
    except DriverRefused as refused:
        if repro.plan is not None:
            raise UsageError(f"{provider} cannot be loaded: {refused}") from refused
        return Replayed(failed=times, times=times, finding=_not_loaded(repro, refused))
    finally:
        lane.close()
    findings = [each for each in seen if isinstance(each, Finding)]
    reasons = [each for each in seen if isinstance(each, str) and each]
    return Replayed(
        failed=len(findings),
        times=times,
        finding=findings[-1] if findings else None,
        unreached=reasons[-1] if reasons else "",
    )


def _not_loaded(repro: Repro, refused: DriverRefused) -> Finding:
    """The failure of a property that loading alone puts to the test."""
    return Finding(
        property=repro.property,
        plan="load",
        index=0,
        expected="a driver that can be loaded",
        observed=str(refused),
    )


def _once(campaign: Campaign, repro: Repro, entry: Property, reference: str) -> Finding | str:
    """The failure if it came again; else why the property was not tested, or an empty string."""
    judged = PlanJudge(all_properties())
    loading = campaign.load(repro.role, twice=repro.plan is None)
    if repro.plan is None:
        judged.feed(loading.loaded)
    elif loading.capabilities is None:
        raise UsageError(f"{reference} cannot be loaded: {'; '.join(loading.loaded.defects)}")
    else:
        if (gated := entry.gate(loading.capabilities)) is not None:
            return f"{entry.id} does not apply to {reference}: {gated}"
        lines: list[bytes] = []
        campaign.execute(repro.plan, loading.capabilities, lines.append)
        for line in lines:
            judged.feed(decode_record(line))
    judged.finish()
    again = next((each for each in judged.findings if each.property == entry.id), None)
    return again or _unreached(judged, entry.id, repro.plan)


def _unreached(judged: PlanJudge, identifier: str, plan: Plan | None) -> str:
    if judged.diverged:
        first = judged.findings[0]
        return f"{first.property} failed at step {first.index}, where the plan ends"
    if incomplete := judged.incomplete():
        return incomplete
    steps = plan.steps if plan is not None else ()
    tested = judged.exercised[identifier] or any(
        answers_for(verb_of(step), identifier) for step in steps
    )
    return "" if tested else f"nothing in it puts {identifier} to the test"
