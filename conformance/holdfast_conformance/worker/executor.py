"""Executing one plan: preparation, each step with its observation, and the ending."""

import asyncio
import contextlib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import msgspec

from holdfast.contract import requests
from holdfast.contract.requests import CallContext
from holdfast.text.foreign import capped
from holdfast_conformance import plan as plans
from holdfast_conformance.address_steps import FetchAddress, FetchExpired
from holdfast_conformance.foreign_texts import unwritable
from holdfast_conformance.testbed_process.provider_and_testbed import testbed_failed
from holdfast_conformance.trace import (
    FIRST_CLIENT,
    Broken,
    BrokenKind,
    Ended,
    Nonsense,
    Ok,
    Outcome,
    Record,
    Returned,
    Stepped,
)
from holdfast_conformance.worker.at_once import CallEnd, MakeCall, make_together, timed
from holdfast_conformance.worker.containment import DriverBroke, Failed
from holdfast_conformance.worker.driver_leaks import DriverLeaks
from holdfast_conformance.worker.ending import Ending, merged
from holdfast_conformance.worker.fences import fence_of, has_fences
from holdfast_conformance.worker.opened import OpenedDrivers
from holdfast_conformance.worker.output_limits import ERROR_MAX
from holdfast_conformance.worker.plan_stores import PlanStores
from holdfast_conformance.worker.session import Session
from holdfast_conformance.worker.steps import Steps

Emit = Callable[[Record], None]
EndNow = Callable[[], bool]


class Execution:
    """One plan in a fresh namespace, and in a neighbour where a step goes there.

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
        self._emit = emit
        self._stopped = stopped
        self._leaks = DriverLeaks()
        self._fenced = has_fences(plan)
        session.canaries.forget()
        self._stores = PlanStores(session, plan, namespace)
        self._fault: AbstractAsyncContextManager[None] | None = None
        self.index = 0
        """The step that is being carried out; past the last one during the ending."""

    @property
    def _opened(self) -> OpenedDrivers:
        return self._stores.current.opened

    @property
    def _steps(self) -> Steps:
        return self._stores.current.steps

    async def run(self) -> bool:
        """Execute the plan; false when the driver broke and the process must be replaced."""
        try:
            if await self._all_steps():
                self.index = len(self._plan.steps)
                await self._end()
            else:
                await self._abandon()
        except DriverBroke as broke:
            self._emit(self.broken(BrokenKind.BASE_EXCEPTION, str(broke)))
            return False
        for store in self._stores.each():
            await self._session.remove(self._plan.role, store.namespace)
        return True

    def broken(self, how: BrokenKind, detail: str) -> Broken:
        """The record that the driver broke its process where the plan is now."""
        return Broken(index=self.index, client=FIRST_CLIENT, how=how, detail=detail[:500])

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
        session = self._session
        session.capture.take()
        session.canaries.take()
        if isinstance(step, plans.UseStore):
            self._stores.use(step.number)
        steps = self._steps
        steps.moved_bytes = 0
        tasks = asyncio.all_tasks()
        if isinstance(step, plans.Together):
            ends = await self._together(step)
        else:
            ctx = self._context()
            ends = (await timed(lambda: self._outcome(step, ctx)),)
        stdout, forked = session.capture.take()
        ends = tuple(msgspec.structs.replace(e, outcome=self._writable(e.outcome)) for e in ends)
        first, *others = (self._stepped(client, end) for client, end in enumerate(ends))
        self._emit(
            msgspec.structs.replace(
                first,
                moved_bytes=steps.moved_bytes,
                stdout=session.canaries.redact(stdout),
                forked=forked,
                tasks_left=len(self._left(tasks)),
                canaries=session.canaries.take(),
            )
        )
        for other in others:
            self._emit(other)
        self._follow(step, ends)
        # Who looks leaves no fence: a driver that keeps those of its readers, too, is right.
        looking = msgspec.structs.replace(self._context(), fence=0)
        observed = await self._stores.current.observer.observe(
            self.index, looking, blocks=self._fault is None and self._opened.takes_any
        )
        self._emit(observed)

    def _stepped(self, client: int, end: CallEnd) -> Stepped:
        """The record of one call."""
        return Stepped(
            index=self.index,
            client=client,
            outcome=end.outcome,
            invoked_s=end.invoked_s,
            returned_s=end.returned_s,
            virtual_s=round(end.returned_s - end.invoked_s, 7),
            real_s=round(end.real_s, 7),
            deadline_s=self._session.setup.deadline_s,
        )

    async def _together(self, step: plans.Together) -> tuple[CallEnd, ...]:
        """Make the calls of a step at once, with every driver that they need open by then."""
        life_cycles = any(isinstance(call, plans.StoreStep) for call in step.steps)
        try:
            await self._opened.open_all(apart=step.apart, life_cycles=life_cycles)
        except Failed as failed:
            now_s = asyncio.get_running_loop().time()
            return tuple(CallEnd(failed.outcome, now_s, now_s, 0.0) for _ in step.steps)
        return await make_together(
            [self._call(step, place, call) for place, call in enumerate(step.steps)],
            stagger=step.stagger,
        )

    def _call(self, step: plans.Together, place: int, call: plans.Call) -> MakeCall:
        """One of the calls that are made at once, as an operation of its own."""
        ctx = self._context()
        ctx = msgspec.structs.replace(ctx, operation=f"{ctx.operation}.{place}")

        async def made() -> Outcome:
            if step.apart:
                self._opened.go_apart(place)
            return await self._outcome(call, ctx)

        return made

    async def _outcome(self, step: plans.Step, ctx: CallContext) -> Outcome:
        """Carry out one step; its answer, or how it failed."""
        try:
            match step:
                case FetchAddress() | FetchExpired():
                    # The driver has no part in it: what takes time here is not its call.
                    return Returned(await self._steps.addresses.fetch(step))
                case plans.Reopen(identity=identity, name=name):
                    await self._opened.close()
                    self._opened.expect(identity, name)
                    await self._session.containment.call(self._steps.driver())
                    return Returned(Ok())
                case plans.UseDriver():
                    self._opened.use(step.number)
                    await self._session.containment.call(self._steps.driver())
                    return Returned(Ok())
                case plans.GiveUp(name=name):
                    self._steps.given_up[name] = ctx.fence
                    return Returned(Ok())
                case plans.UseStore():
                    return Returned(Ok())  # its store is in use already, to be observed after it
                case plans.Wait():
                    await asyncio.sleep(step.seconds)
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
        canaries = self._session.canaries
        canaries.scan("answer", msgspec.json.encode(outcome))
        if changed := self._opened.changed:
            canaries.scan("message", changed)
            return Nonsense(capped(canaries.redact(changed), ERROR_MAX))
        return outcome

    def _left(self, before: set[asyncio.Task[Any]]) -> frozenset[asyncio.Task[Any]]:
        """The tasks that a step left, without those of the hosts and of the testbed."""
        session = self._session
        found = frozenset(asyncio.all_tasks()) - before
        return found - session.hosts.tasks - session.testbed.tasks

    def _follow(self, step: plans.Step, ends: tuple[CallEnd, ...]) -> None:
        """Keep in mind which volumes can be read; what is granted at once with its end, too."""
        grants = self._stores.current.observer.grants
        calls = [
            call
            for call, end in zip(plans.calls_of(step), ends, strict=True)
            if isinstance(end.outcome, Returned)
        ]
        for call in calls:
            if isinstance(call, requests.Revoke):
                grants.pop((call.volume, call.host), None)
        for call in calls:
            if isinstance(call, requests.Grant):
                grants[call.volume, call.host] = None

    def _context(self) -> CallContext:
        deadline = asyncio.get_running_loop().time() + self._session.setup.deadline_s
        return CallContext(
            operation=f"{self._plan.id}/{self.index}",
            step=max(0, self.index),
            fence=fence_of(self.index) if self._fenced else 0,
            deadline=deadline,
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
        await self._let_go()
        endings = [await self._ending() for _ in self._stores.each()]
        ended = merged(endings)
        if told := await self._leaks.told(lambda: self._session.hosts.processes):
            ended = msgspec.structs.replace(ended, failures=(*ended.failures, told))
        await asyncio.sleep(0)  # A loop that the driver has stopped ends here, in this plan.
        self._emit(ended)

    async def _ending(self) -> Ended:
        """Empty the store in use."""
        with contextlib.suppress(Failed):  # what cannot be closed is told at the end
            await self._opened.expect_any()
        ending = Ending(
            self._plan.role,
            self._opened,
            self._stores.current.observer,
            self._session.containment,
            self._context,
        )
        return await ending.run()

    async def _let_go(self) -> None:
        """End the fault in force, and have all hosts close what they keep open."""
        await self._heal()
        for store in self._stores.each():
            with contextlib.suppress(Failed):  # what cannot be closed is of no more use to anybody
                await self._session.containment.call(store.steps.close())
        await self._session.hosts.let_go()

    async def _abandon(self) -> None:
        """Let go of the driver; a plan that was stopped has been judged already."""
        await self._let_go()
        for store in self._stores.each():
            with contextlib.suppress(Failed):
                await store.opened.close_all()
