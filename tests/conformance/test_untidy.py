"""What a driver leaves in its store is a finding about the driver, and no failure of the suite."""

import pytest

from holdfast.contract import requests
from holdfast.contract.answers import OwnedKind
from holdfast.contract.requests import Role
from holdfast.contract.testbed import Fault
from holdfast_conformance import plan as plans
from holdfast_conformance.judgement.judge import PlanJudge, capabilities_in
from holdfast_conformance.judgement.registry import all_properties
from holdfast_conformance.supervision.supervisor import Supervisor
from holdfast_conformance.trace import Observed, Started
from holdfast_conformance.verdict import Finding
from worker_plans import RUN, create, execute, plan_of

pytestmark = [pytest.mark.usefixtures("odd"), pytest.mark.slow]


def judged(provider: str, *steps: plans.Step) -> tuple[tuple[Finding, ...], set[OwnedKind]]:
    """What a judge finds in the execution of a plan, and the kinds of what was seen meanwhile."""
    supervisor = Supervisor(provider, "", RUN)
    try:
        loaded = supervisor.load(Role.PRIMARY, "loading", twice=False)
        capabilities = capabilities_in(loaded)
        assert capabilities is not None
        judge = PlanJudge(all_properties())
        judge.feed(
            Started(
                provider=provider,
                testbed="embedded",
                capabilities=capabilities,
                plan=plan_of(*steps),
                faults=(Fault.DOWN,),
            )
        )
        seen: set[OwnedKind] = set()
        for record in execute(supervisor, *steps):
            judge.feed(record)
            if isinstance(record, Observed) and record.things:
                seen |= {thing.kind for thing in record.things}
        judge.finish()
        return judge.findings, seen
    finally:
        supervisor.close()


@pytest.mark.parametrize(
    "left",
    [
        "LeavesAFile",
        "LeavesAFolder",
        "LeavesALink",
        "LeavesASocket",
        "LeavesDamage",
        "LeavesNumbers",
        "LosesAShelf",
        "DamagesTheStore",
        "ReplacesTheStore",
        "ReplacesAShelf",
    ],
)
def test_what_is_left_unreadable_is_a_finding(left: str) -> None:
    """Files, folders, links, sockets, rows that are none, and what must be there and is not."""
    findings, seen = judged(f"untidy_local:{left}", create("a"))

    assert [finding.index for finding in findings] != []
    assert OwnedKind.UNREADABLE in seen


def test_what_is_left_unfinished_is_a_finding() -> None:
    """Whatever it is, nobody waits for it."""
    findings, seen = judged("untidy_local:LeavesAPipe", create("a"))

    assert findings != ()
    assert OwnedKind.TEMPORARY in seen


def test_what_is_left_outside_is_a_finding() -> None:
    """Also under a name that is no text."""
    findings, _ = judged("untidy_local:LeavesNoText", create("a"))

    assert {finding.property for finding in findings} == {"SEC-02"}


def test_a_tidy_driver_has_none() -> None:
    """The driver of files itself."""
    steps = (create("a"), requests.GetVolume(key="a"), requests.DeleteVolume(key="a"))

    assert judged("local", *steps)[0] == ()
