"""Replaying a failure: execute its plan again and say whether the property still fails."""

import msgspec

from holdfast.errors import ConfigurationError
from holdfast.opening import nearest_names
from holdfast.runtime import runtime
from holdfast_conformance.execution.campaign import Campaign, unwritten
from holdfast_conformance.execution.lane import open_lane
from holdfast_conformance.execution.supervisor import DriverRefused, Patience
from holdfast_conformance.judgement.registry import all_properties
from holdfast_conformance.reduction.repro import Repro
from holdfast_conformance.verdict import Finding


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """How often the property failed, of how many executions, and what was seen last."""

    failed: int
    times: int
    finding: Finding | None


def replay(
    repro: Repro, *, provider: str = "", times: int = 1, patience: Patience | None = None
) -> Replayed:
    """Execute a replay file's plan, by default on the driver that it was found with.

    Raises:
        ConfigurationError: there is no such property or driver any more.
        EnvironmentUnavailable: the testbed needs something that is missing.
    """
    known = [found.id for found in all_properties()]
    if repro.property not in known:
        raise ConfigurationError(
            f"no property {repro.property!r}; {nearest_names(repro.property, known)}"
        )
    run = runtime().new_id("run")
    reference = provider or repro.provider
    # Another driver need not have the same kinds of testbed.
    testbed = "" if provider else repro.testbed
    lane = open_lane(reference, testbed, run, patience)
    try:
        seen = [
            finding
            for _ in range(times)
            for finding in _findings(lane.campaign, repro)
            if finding.property == repro.property
        ]
        return Replayed(failed=len(seen), times=times, finding=seen[-1] if seen else None)
    except DriverRefused as refused:
        finding = Finding(
            property=repro.property,
            plan="load",
            index=0,
            expected="a driver that can be loaded",
            observed=str(refused),
        )
        return Replayed(failed=times, times=times, finding=finding)
    finally:
        lane.close()


def _findings(campaign: Campaign, repro: Repro) -> tuple[Finding, ...]:
    loading = campaign.load(repro.role, twice=repro.plan is None)
    if repro.plan is None or loading.capabilities is None:
        return loading.findings
    return campaign.execute(repro.plan, loading.capabilities, unwritten).findings
