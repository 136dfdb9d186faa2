"""Small plans, and a supervisor that carries them out with little patience."""

import os
import time

from holdfast.contract import requests
from holdfast.contract.requests import Role
from holdfast_conformance import plan as plans
from holdfast_conformance.plan import Plan
from holdfast_conformance.supervision.supervisor import Patience, Supervisor
from holdfast_conformance.trace import Stepped, TraceRecord

RUN = f"run-of-a-test-{os.getpid()}"
"""Of this test process alone: who ends a run ends every process that carries its name."""
QUICK = Patience(deadline_s=0.3, grace_s=0.3, start_s=30.0)


def plan_of(*steps: plans.Step) -> Plan:
    return Plan(
        id="plan",
        role=Role.PRIMARY,
        origin="test",
        store="store",
        hosts=("host-a",),
        ready=True,
        steps=steps,
    )


def create(key: str) -> requests.CreateVolume:
    return requests.CreateVolume(key=key, size_bytes=4096)


def execute(supervisor: Supervisor, *steps: plans.Step) -> list[TraceRecord]:
    """All records of a plan; the namespace is told apart by the number of steps and the clock."""
    records: list[TraceRecord] = []

    def sink(record: TraceRecord, _: bytes) -> bool:
        records.append(record)
        return True

    supervisor.execute(plan_of(*steps), f"ns-{time.monotonic_ns()}", sink)
    return records


def stepped(records: list[TraceRecord], index: int) -> Stepped:
    return next(r for r in records if isinstance(r, Stepped) and r.index == index)
