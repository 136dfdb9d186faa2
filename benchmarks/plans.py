"""Conformance plans generated per second, counted in their operations."""

import time

from holdfast.requests import Role
from holdfast_conformance.generate.plans import generate_plans
from holdfast_conformance.profiles import find_profile
from holdfast_drivers.memory.config import IMAGE_CAPABILITIES, PRIMARY_CAPABILITIES

GOAL_PER_SECOND = 20_000


def main() -> list[str]:
    """Generate the plans of profile ci for both roles, and return the lines to print."""
    lines: list[str] = []
    profile = find_profile("ci")
    for role, declared in ((Role.PRIMARY, PRIMARY_CAPABILITIES), (Role.IMAGE, IMAGE_CAPABILITIES)):
        start = time.perf_counter()
        plans = generate_plans(role, declared, profile, 1)
        elapsed = time.perf_counter() - start
        operations = sum(len(plan.steps) for plan in plans)
        lines.append(
            f"plan generation, {role.value:7s}: {operations / elapsed:8.0f} operations/s "
            f"(goal {GOAL_PER_SECOND}), {len(plans)} plans in {elapsed:.2f} s"
        )
    return lines
