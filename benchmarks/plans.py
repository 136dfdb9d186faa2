"""Conformance plans generated per second, counted in their operations."""

import time

from holdfast.contract.requests import Role
from holdfast_conformance.generate.plans import generate_plans
from holdfast_conformance.profiles import find_profile
from holdfast_drivers.memory.config import IMAGE_CAPABILITIES, PRIMARY_CAPABILITIES

GOAL_PER_SECOND = 20_000


def main() -> list[str]:
    """Generate the plans of profile ci for both roles, and return the lines to print."""
    lines: list[str] = []
    profile = find_profile("ci")
    for role, declared in ((Role.PRIMARY, PRIMARY_CAPABILITIES), (Role.IMAGE, IMAGE_CAPABILITIES)):
        cpu, start = time.process_time(), time.perf_counter()
        plans = generate_plans(role, declared, profile, 1)
        elapsed, spent = time.perf_counter() - start, time.process_time() - cpu
        operations = sum(len(plan.steps) for plan in plans)
        lines.append(
            f"plan generation, {role.value:7s}: {operations / elapsed:8.0f} operations/s, "
            f"{operations / spent:.0f} per second of CPU (goal {GOAL_PER_SECOND}); "
            f"{len(plans)} plans"
        )
    return lines
