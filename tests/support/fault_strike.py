"""One fault in the middle of one or several calls, and everything that must be true of it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fault_cases import Case, Seen
from fault_world import GOOD_S, World, context
from holdfast.contract import answers, requests
from holdfast.contract.errors import DriverError, ErrorKind
from holdfast.contract.requests import CallContext
from holdfast.contract.testbed import Fault, Inspected

FAULT_S = 1.5
"""The deadline of a call that a fault meets."""
GRACE_S = 3.0
"""How late a call may be, in seconds of a process that is not kept waiting (see ``_paced``)."""
_TICK_S = 0.05
ATTEMPTS = 60
BACK_OFF_S = 0.25
"""How often a call is repeated after recovery while its errors ask for that, and how soon."""

UNCERTAIN = frozenset({ErrorKind.UNKNOWN, ErrorKind.UNAVAILABLE, ErrorKind.BUSY})
"""``Busy`` because many calls meet a fault at once, and stores may share a lock."""
ALLOWED: dict[Fault, frozenset[ErrorKind]] = {
    Fault.FULL: UNCERTAIN | {ErrorKind.EXHAUSTED},
    Fault.REVOKED: UNCERTAIN | {ErrorKind.UNAUTHENTICATED, ErrorKind.DENIED},
}
"""The errors that a fault may cause; ``UNCERTAIN`` for all that are not named."""
FIRST = frozenset({Fault.FULL, Fault.REVOKED})
"""The faults that are in force before the call: they are a state, not an event."""
SILENT = frozenset(
    {
        Fault.DOWN,
        Fault.KILLED,
        Fault.FRONT_KILLED,
        Fault.STORAGE_KILLED,
        Fault.PAUSED,
        Fault.CUT_OFF,
        Fault.VOID,
    }
)
"""The faults during which a store cannot be called up."""
Outcome = object | DriverError


async def bounded(call: Awaitable[object], deadline: float) -> Outcome:
    """What a call answered or raised; a ``TimeoutError`` where it did not keep its deadline."""
    task = asyncio.ensure_future(call)
    limit = asyncio.ensure_future(_paced(deadline, GRACE_S))
    try:
        await asyncio.wait((task, limit), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
    except DriverError as error:
        return error
    finally:
        limit.cancel()
        task.cancel()
        await asyncio.wait((task,))
    return TimeoutError()


async def _paced(deadline: float, seconds: float) -> None:
    """Wait until so long after the deadline, in time that this process could have used.

    A machine that is busy with other things holds this loop and its threads up as it does the call;
    what it holds up here is not held against the call.
    """
    await asyncio.sleep(deadline - asyncio.get_running_loop().time())
    for _ in range(round(seconds / _TICK_S)):
        await asyncio.sleep(_TICK_S)
        await asyncio.to_thread(int)


class Struck:
    """One case on its way through a fault."""

    def __init__(self, case: Case, fault: Fault) -> None:
        self.case = case
        self.fault = fault
        self.wrong: list[str] = []
        self.outcome: Outcome = None
        self.hidden: Outcome = None
        self.probe: Outcome = None

    def complain(self, text: str) -> None:
        """Keep what is wrong, with the verb and the fault."""
        self.wrong.append(f"{self.case.verb} under {self.fault}: {text}")

    async def attempt(self) -> None:
        """Make the call that the fault is to meet."""
        ctx = context(self.case.operation, FAULT_S)
        self.outcome = await bounded(self.case.call(ctx), ctx.deadline)
        self._check_class("the call", self.outcome)

    async def ask(self, seconds: float) -> Outcome:
        """Probe the call."""
        ctx = context(self.case.operation, seconds)
        probe = self.case.world.driver.probe(ctx, self.case.verb, self.case.request)
        return await bounded(probe, ctx.deadline)

    async def ask_in_the_dark(self) -> None:
        """Probe the call while the fault is in force."""
        if self.case.probed:
            self.hidden = await self.ask(FAULT_S)
            self._check_class("the probe during the fault", self.hidden)

    async def ask_afterwards(self) -> None:
        """Probe the call once the backend works again."""
        for _ in range(ATTEMPTS):
            if not self.case.probed:
                return
            self.probe = await self.ask(GOOD_S)
            if not _wants_again(self.probe):
                break
            await asyncio.sleep(BACK_OFF_S)
        if isinstance(self.probe, Exception):
            self.complain(f"the probe after recovery failed with {_told(self.probe)}")

    def judge(self, first: tuple[Inspected, ...], second: tuple[Inspected, ...]) -> None:
        """Compare what was said with inventories taken before and after the probe."""
        seen = (self.case.seen(first), self.case.seen(second))
        outcome = self.outcome
        if isinstance(outcome, DriverError) and outcome.final and Seen.AFTER in seen:
            self.complain(f"took effect, and the error was final: {_told(outcome)}")
        if not isinstance(outcome, Exception) and seen[1] is not Seen.AFTER:
            self.complain(f"succeeded, and the inspector sees the store {seen[1].value}")
        for name, said in (("during the fault", self.hidden), ("after recovery", self.probe)):
            if isinstance(said, answers.Done) and seen[1] is not Seen.AFTER:
                self.complain(f"the probe {name} said Done; the store is {seen[1].value}")
            if isinstance(said, answers.Absent) and Seen.BEFORE not in seen:
                self.complain(f"the probe {name} said Absent; the store is {seen[1].value}")

    async def repeat(self) -> None:
        """Make the same call again until it succeeds, and use its answer."""
        answer = await self._repeated(self.case.call)
        if isinstance(answer, Exception):
            self.complain(f"the same call after recovery failed with {_told(answer)}")
            return
        settled = await self._repeated(lambda _: self.case.settle(answer))
        if isinstance(settled, Exception):
            self.complain(f"the call after that one failed with {_told(settled)}")

    async def _repeated(self, call: Callable[[CallContext], Awaitable[object]]) -> Outcome:
        """What a call says once its errors no longer ask for a repetition."""
        answer: Outcome = None
        for _ in range(ATTEMPTS):
            ctx = context(self.case.operation)
            answer = await bounded(call(ctx), ctx.deadline)
            if not _wants_again(answer):
                break
            await asyncio.sleep(BACK_OFF_S)
        return answer

    def conclude(self, things: tuple[Inspected, ...]) -> None:
        """After the repeated call there is exactly what the call was to bring about."""
        seen = self.case.seen(things)
        if seen is not Seen.AFTER:
            self.complain(f"after the call was repeated the store is {seen.value}: {things}")

    def _check_class(self, what: str, outcome: Outcome) -> None:
        if isinstance(outcome, TimeoutError):
            self.complain(f"{what} went on for more than {GRACE_S} s after its deadline")
        elif isinstance(outcome, DriverError) and outcome.kind not in self._allowed():
            self.complain(f"{what} failed with {_told(outcome)}")

    def _allowed(self) -> frozenset[ErrorKind]:
        """The errors that the fault may cause; a place that is away may be no place for a store."""
        kinds = ALLOWED.get(self.fault, UNCERTAIN)
        away = self.case.verb == "initialize" and self.fault is Fault.DOWN
        return kinds | {ErrorKind.INVALID} if away else kinds


async def strike(cases: list[Case], fault: Fault, count: int) -> tuple[list[str], bool]:
    """Let a fault meet some prepared calls once ``count`` requests are on their way.

    Returns:
        What is wrong, and whether there is no later request that the fault could meet.
    """
    testbed = cases[0].world.testbed
    struck = [Struck(case, fault) for case in cases]
    if fault in FIRST:
        async with testbed.inject(fault):
            await asyncio.gather(*(one.attempt() for one in struck))
            await _in_the_dark(struck)
        last = True
    else:
        seen = testbed.request_seen(count)
        calls = asyncio.gather(*(asyncio.create_task(one.attempt()) for one in struck))
        await _either(seen, calls)
        last = seen is None or calls.done()
        async with testbed.inject(fault):
            await calls
            await _in_the_dark(struck)
    wrong = await _afterwards(struck)
    return wrong + [text for one in struck for text in one.wrong], last


async def _either(seen: Awaitable[None] | None, calls: asyncio.Future[Any]) -> None:
    """Wait until a request is on its way, or all calls are over."""
    if seen is None:
        await asyncio.sleep(0)
        return
    waiting = asyncio.ensure_future(seen)
    await asyncio.wait((waiting, calls), return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()


async def _in_the_dark(struck: list[Struck]) -> None:
    """What can be asked while the fault is in force."""
    await asyncio.gather(*(one.ask_in_the_dark() for one in struck), _health(struck[0]))


async def _health(struck: Struck) -> None:
    """The store's health is told in time, and it is not up while nothing answers."""
    if not struck.case.probed:
        return
    ctx = context("health", FAULT_S)
    driver = struck.case.world.driver
    told = await bounded(driver.health(ctx, requests.CheckHealth()), ctx.deadline)
    if not isinstance(told, answers.HealthInfo):
        struck.complain(f"health did not answer, but {told!r}")
    elif struck.fault in SILENT and told.state is not answers.HealthState.DOWN:
        struck.complain(f"the store's health is told as {told}")


async def _afterwards(struck: list[Struck]) -> list[str]:
    worlds = {id(one.case.world): one.case.world for one in struck}
    for one in struck:
        if one.case.probed:
            await _healthy(one)
            break
    first = await _things(worlds)
    await asyncio.gather(*(one.ask_afterwards() for one in struck))
    second = await _things(worlds)
    for one in struck:
        one.judge(first[id(one.case.world)], second[id(one.case.world)])
    await asyncio.gather(*(one.repeat() for one in struck))
    third = await _things(worlds)
    for one in struck:
        one.conclude(third[id(one.case.world)])
    return [text for world in worlds.values() for text in await _cleared(world)]


async def _things(worlds: Mapping[int, World]) -> dict[int, tuple[Inspected, ...]]:
    """What the inspector finds in each world."""
    found = await asyncio.gather(*(world.things() for world in worlds.values()))
    return dict(zip(worlds, found, strict=True))


async def _healthy(struck: Struck) -> None:
    """Wait until the driver finds its store up again."""
    driver = struck.case.world.driver
    told: Outcome = None
    for _ in range(int(GOOD_S)):
        ctx = context("health", GOOD_S)
        told = await bounded(driver.health(ctx, requests.CheckHealth()), ctx.deadline)
        if isinstance(told, answers.HealthInfo) and told.state is answers.HealthState.UP:
            return
        await asyncio.sleep(1.0)
    struck.complain(f"the store did not come up again: {told!r}")


async def _cleared(world: World) -> list[str]:
    """Give everything back; what is left, or cannot be given back, is wrong."""
    wrong: list[str] = []
    try:
        await world.clear()
    except DriverError as error:
        wrong.append(f"clean-up of {world.namespace} failed with {_told(error)}")
    if left := await world.things():
        wrong.append(f"clean-up of {world.namespace} left {left}")
    return wrong


def _wants_again(outcome: Outcome) -> bool:
    return isinstance(outcome, DriverError) and outcome.kind in UNCERTAIN


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
