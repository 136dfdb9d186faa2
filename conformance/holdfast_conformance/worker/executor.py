"""Executing one plan: preparation, each step with its observation, and the ending."""

import asyncio
import contextlib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import msgspec

from holdfast import requests
from holdfast.requests import CallContext
from holdfast_conformance import plan as plans
from holdfast_conformance.trace import (
    Broken,
    BrokenKind,
    Nonsense,
    Ok,
    Outcome,
    Record,
    Returned,
    Stepped,
)
from holdfast_conformance.worker.clock import real_time_s
from holdfast_conformance.worker.containment import DriverBroke, Failed, unwritable
from holdfast_conformance.worker.ending import Ending
from holdfast_conformance.worker.leftovers import Leftovers
from holdfast_conformance.worker.observe import Observer
from holdfast_conformance.worker.opened import OpenedStore
from holdfast_conformance.worker.session import Session, testbed_failed
from holdfast_conformance.worker.steps import Steps

Emit = Callable[[Record], None]
EndNow = Callable[[], bool]


class Execution:
    """One plan in one fresh namespace.

    Args:
        session: the provider and its running testbed.
        plan: what to do.
        namespace: where.
        emit: is given every trace record.
        stopped: whether the supervisor has seen enough.
    """

    def __init__(
        self, session: Session, plan: plans.Plan, namespace: str, emit: Emit, stopped: EndNow
    ) -> None:
        self._session = session
        self._plan = plan
        self._namespace = namespace
        self._emit = emit
        self._stopped = stopped
        self._leftovers = Leftovers()
        session.canaries.forget()
        config = session.config(plan.role, namespace)
        self._opened = OpenedStore(session.provider, config, plan.role, session.containment)
        self._steps = Steps(session, self._opened, plan, namespace)
        inspector = session.inspector(plan.role, namespace)
        self._observer = Observer(inspector, self._steps, session.containment)
        self._fault: AbstractAsyncContextManager[None] | None = None
        self.index = 0
        """The step that is being carried out; past the last one during the ending."""

    async def run(self) -> bool:
        """Execute the plan; false when the driver broke and the process must be replaced."""
        try:
            if await self._all_steps():
                self.index = len(self._plan.steps)
                await self._end()
            else:
                await self._abandon()
        except DriverBroke as broke:
            self._emit(
                Broken(index=self.index, how=BrokenKind.BASE_EXCEPTION, detail=str(broke)[:500])
            )
            return False
        await self._session.remove(self._plan.role, self._namespace)
        return True

    async def _all_steps(self) -> bool:
        """Carry out preparation and steps; false when the supervisor said to stop."""
        for offset, step in enumerate(plans.preparation(self._plan)):
            self.index = -1 - offset
            await self._step(step)
        for index, step in enumerate(self._plan.steps):
            if self._stopped():
                return False
            self.index = index
            await self._step(step)
        return not self._stopped()

    async def _step(self, step: plans.Step) -> None:
        session, steps = self._session, self._steps
        session.capture.take()
        session.canaries.take()
        steps.moved_bytes = 0
        ctx = self._context()
        loop = asyncio.get_running_loop()
        tasks = asyncio.all_tasks(loop)
        virtual_s, real_s = loop.time(), real_time_s()
        outcome = await self._outcome(step, ctx)
        virtual_s, real_s = loop.time() - virtual_s, real_time_s() - real_s
        stdout, forked = session.capture.take()
        outcome = self._writable(outcome)
        self._emit(
            Stepped(
                index=self.index,
                outcome=outcome,
                virtual_s=round(virtual_s, 7),
                real_s=round(real_s, 7),
                deadline_s=session.setup.deadline_s,
                moved_bytes=steps.moved_bytes,
                stdout=session.canaries.redact(stdout),
                forked=forked,
                tasks_left=len(self._left(tasks)),
                canaries=session.canaries.take(),
            )
        )
        self._follow(step, outcome)
        observed = await self._observer.observe(
            self.index, self._context(), blocks=self._fault is None
        )
        self._emit(observed)

    async def _outcome(self, step: plans.Step, ctx: CallContext) -> Outcome:
        """Carry out one step; its answer, or how it failed."""
        try:
            match step:
                case plans.FetchAddress() | plans.FetchExpired():
                    # The driver has no part in it: what takes time here is not its call.
                    return Returned(await self._steps.addresses.fetch(step))
                case plans.Reopen():
                    await self._opened.close()
                    await self._session.containment.call(self._steps.driver())
                    return Returned(Ok())
                case plans.InjectFault():
                    await self._inject(step)
                    return Returned(Ok())
                case plans.HealFault():
                    await self._heal()
                    return Returned(Ok())
                case _:
                    work = self._steps.perform(step, ctx)
                    return Returned(await self._session.containment.call(work))
        except Failed as failed:
            return failed.outcome

    def _writable(self, outcome: Outcome) -> Outcome:
        """The outcome if it can be written into a trace; secrets in it are noted."""
        if problem := unwritable(outcome):
            return Nonsense(problem)
        self._session.canaries.scan("answer", msgspec.json.encode(outcome))
        return outcome

    def _left(self, before: set[asyncio.Task[Any]]) -> frozenset[asyncio.Task[Any]]:
        """The tasks that a step left, without those of the hosts and of the testbed."""
        session = self._session
        found = frozenset(asyncio.all_tasks()) - before
        return found - session.hosts.tasks - session.testbed.tasks

    def _follow(self, step: plans.Step, outcome: Outcome) -> None:
        """Keep in mind which volumes can be read."""
        if not isinstance(outcome, Returned):
            return
        if isinstance(step, requests.Grant):
            self._observer.grants[step.volume, step.host] = None
        elif isinstance(step, requests.Revoke):
            self._observer.grants.pop((step.volume, step.host), None)

    def _context(self) -> CallContext:
        deadline = asyncio.get_running_loop().time() + self._session.setup.deadline_s
        return CallContext(
            operation=f"{self._plan.id}/{self.index}", step=max(0, self.index), deadline=deadline
        )

    async def _inject(self, step: plans.InjectFault) -> None:
        await self._heal()
        try:
            fault = self._session.testbed.inject(step.fault)
            await fault.__aenter__()
        except Exception as problem:
            raise testbed_failed(f"fault {step.fault}", problem) from problem
        self._fault = fault

    async def _heal(self) -> None:
        """End the fault that is in force, if one is."""
        fault, self._fault = self._fault, None
        if fault is None:
            return
        try:
            await fault.__aexit__(None, None, None)
        except Exception as problem:
            raise testbed_failed("healing of a fault", problem) from problem
        await self._session.hosts.recover()

    async def _end(self) -> None:
        await self._heal()
        await self._session.hosts.let_go()
        ending = Ending(
            self._plan.role,
            self._opened,
            self._observer,
            self._session.containment,
            self._context,
        )
        ended = await ending.run()
        if told := await self._leftovers.told(lambda: self._session.hosts.processes):
            ended = msgspec.structs.replace(ended, failures=(*ended.failures, told))
        await asyncio.sleep(0)  # A loop that the driver has stopped ends here, in this plan.
        self._emit(ended)

    async def _abandon(self) -> None:
        """Let go of the driver; a plan that was stopped has been judged already."""
        await self._heal()
        await self._session.hosts.let_go()
        with contextlib.suppress(Failed):
            await self._opened.close()
