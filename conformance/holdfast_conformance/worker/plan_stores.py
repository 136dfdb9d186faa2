"""The stores that one plan works in: that of its beginning, and a neighbour where a step asks."""

from collections.abc import Iterator

from holdfast.contract.requests import DeleteStore
from holdfast_conformance import plan as plans
from holdfast_conformance.worker.observe import Observer
from holdfast_conformance.worker.opened import OpenedDrivers
from holdfast_conformance.worker.session import Session
from holdfast_conformance.worker.steps import Steps


class PlanStore:
    """One namespace with its drivers, what was done in it, and who looks at it.

    Args:
        session: the provider and its running testbed.
        plan: what is done.
        namespace: where.
        steady: whether there is a store from the beginning to the end.
    """

    def __init__(self, session: Session, plan: plans.Plan, namespace: str, *, steady: bool) -> None:
        self.namespace = namespace
        config = session.config(plan.role, namespace)
        self.opened = OpenedDrivers(
            session.provider,
            config,
            plan.role,
            containment=session.containment,
            declared=session.declared if steady else None,
        )
        self.steps = Steps(session, self.opened, plan, namespace)
        inspector = session.inspector(plan.role, namespace)
        self.observer = Observer(inspector, self.steps, session.containment)


class PlanStores:
    """All of them; a neighbour is one from when it is first used.

    Args:
        session: the provider and its running testbed.
        plan: what is done.
        namespace: of the store that the plan begins in.
    """

    def __init__(self, session: Session, plan: plans.Plan, namespace: str) -> None:
        self._session = session
        self._plan = plan
        self._namespace = namespace
        self._stores: dict[int, PlanStore] = {}
        self.current = self.use(0)

    def use(self, number: int) -> PlanStore:
        """Go on in the store of this number."""
        if number not in self._stores:
            namespace = plans.namespace_of(self._namespace, number)
            given_back = any(isinstance(step, DeleteStore) for step in self._plan.steps)
            steady = self._plan.ready and number == 0 and not given_back
            self._stores[number] = PlanStore(self._session, self._plan, namespace, steady=steady)
        self.current = self._stores[number]
        return self.current

    def each(self) -> Iterator[PlanStore]:
        """Go on in one after the other, and in the first one at last."""
        for number in sorted(self._stores, reverse=True):
            yield self.use(number)
