"""Small plans, carried out and judged."""

from holdfast.contract.requests import Role
from holdfast_conformance.judgement.judge import PlanJudge, capabilities_in
from holdfast_conformance.judgement.registry import all_properties
from holdfast_conformance.plan import Step
from holdfast_conformance.supervision.supervisor import Supervisor
from holdfast_conformance.trace import Started
from worker_plans import RUN, execute, plan_of


def judges(provider: str, *plans: tuple[Step, ...]) -> tuple[PlanJudge, ...]:
    """What is said of a driver after each of these plans for a primary store."""
    supervisor = Supervisor(provider, "", RUN)
    try:
        capabilities = capabilities_in(supervisor.load(Role.PRIMARY, "loading", twice=False))
        assert capabilities is not None
        found: list[PlanJudge] = []
        for steps in plans:
            judge = PlanJudge(all_properties())
            judge.feed(
                Started(
                    provider=provider,
                    testbed="embedded",
                    capabilities=capabilities,
                    plan=plan_of(*steps),
                    faults=(),
                )
            )
            for record in execute(supervisor, *steps):
                judge.feed(record)
            judge.finish()
            found.append(judge)
        return tuple(found)
    finally:
        supervisor.close()
