"""Plans of a few steps for one store, and replay files of them."""

from pathlib import Path

import msgspec

from holdfast.contract.requests import GetStats, Role
from holdfast_conformance.plan import Plan, Step
from holdfast_conformance.replay_file import Repro, encode_repro


def plan_without_hosts(*steps: Step) -> Plan:
    """These steps on a primary store that is ready and has no hosts."""
    return Plan(
        id="p",
        role=Role.PRIMARY,
        origin="test",
        store="store",
        hosts=(),
        ready=True,
        steps=steps,
    )


FIGURES = plan_without_hosts(GetStats())
"""Asks for figures, and nothing else."""


def write_repro(path: Path, **changed: object) -> str:
    """Write a replay file of a plan that only asks for figures, with these fields changed."""
    repro = Repro(
        property="SNP-01",
        provider="memory",
        testbed="",
        role=Role.PRIMARY,
        seed=0,
        suite="0",
        expected="",
        observed="",
        confirmed=(1, 1),
        plan=FIGURES,
    )
    path.write_bytes(encode_repro(msgspec.structs.replace(repro, **changed)))
    return str(path)
