"""A zone on the memory driver for tests: one catalogue, one backend, faults and kills on demand."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import msgspec

from holdfast.assembly import open_orchestrator
from holdfast.catalogue.memory import MemoryCatalogue
from holdfast.catalogue.port import Catalogue, Damage, Transaction
from holdfast.concurrency.runtime import InlineRuntime, RealRuntime, run_in
from holdfast.contract.answers import OwnedKind
from holdfast.contract.errors import DriverError, Unknown
from holdfast.contract.ports import ImageDriver, LifeCycle, PrimaryDriver
from holdfast.contract.requests import CallContext, Role, ScopeKind
from holdfast.contract.testbed import Testbed, TestbedKind
from holdfast.credentials.secret_keeper import SecretKeeper
from holdfast.model.rows import (
    ROWS,
    LedgerEntry,
    LedgerState,
    Row,
    Scope,
    Snapshot,
    StatefulRow,
    Store,
    StoredObject,
    Volume,
    VolumeGrant,
)
from holdfast.operations.journal import unfinished
from holdfast.operations.operation_outcome import Outcome
from holdfast.operations.orchestrator import Orchestrator
from holdfast.operations.step_retries import Policy
from holdfast.scrub import scrub
from holdfast.scrub.capacity import ledger_findings
from holdfast.stores.kept_stores import PluginOpener
from holdfast.stores.plugins import load_provider
from holdfast.workflows import add_store
from holdfast.workflows.zones_and_hosts import make_host, make_zone
from holdfast_drivers.local import LocalProvider
from holdfast_drivers.memory import MemoryProvider

T = TypeVar("T")

HOST = "host-1"
ZONE = "zone-1"
PATIENT = Policy(backoff_s=0.01, backoff_max_s=0.05)
GONE = {"Allocated", "Expunged", "Removed", "Revoked"}


class Killed(BaseException):
    """The process is no more; nothing that runs in it gets anywhere."""


class Switch:
    """Counts the points at which a process can die, and kills it at one of them."""

    def __init__(self, kill_at: int | None = None) -> None:
        self.kill_at = kill_at
        self.points = 0

    @property
    def dead(self) -> bool:
        return self.kill_at is not None and self.points >= self.kill_at

    def kill_after(self, points: int) -> None:
        """Let the process die so many points from now."""
        if self.kill_at is None:
            self.kill_at = self.points + points

    def point(self) -> None:
        """One point; ``Killed`` at the chosen one and at every one after it."""
        self.points += 1
        if self.dead:
            raise Killed


class MortalCatalogue(Catalogue):
    """A catalogue whose process can die before and after each commit; the rows survive it."""

    def __init__(self, inner: Catalogue, switch: Switch) -> None:
        self._inner = inner
        self._switch = switch

    @property
    def secrets(self) -> SecretKeeper:
        return self._inner.secrets

    async def transact(self, function: Callable[[Transaction], T]) -> T:
        self._switch.point()
        answer = await self._inner.transact(function)
        self._switch.point()
        return answer

    async def check(self) -> tuple[Damage, ...]:
        return await self._inner.check()


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """What happens to the ``call``-th driver call (from 1), or to all from it on.

    ``error`` is raised: before the call has an effect, or ``after`` it (the answer is lost).
    ``cancel`` cancels whoever waits for it first, ``stuck`` makes the call in its own time.
    ``then`` is what every later call gets.
    """

    call: int
    error: DriverError | None = None
    after: bool = False
    cancel: Callable[[], object] | None = None
    hang: bool = False
    stuck: Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]] | None = None
    lasting: bool = False
    verb: str = ""
    then: DriverError | None = None


class Faults:
    """Counts the driver calls that change something, and makes one of them go wrong."""

    def __init__(self, planned: Planned | None = None) -> None:
        self.planned = planned
        self.struck: Callable[[], object] = lambda: None
        """Called when the planned fault happens."""
        self.asks = False
        """Whether probes work while a fault lasts."""
        self.calls: list[str] = []
        self.log: list[str] = []
        """The calls and the probes, in order."""
        self.fences: list[int] = []
        """The fence of each of them."""

    def due(self, verb: str) -> Planned | None:
        """Count one call; what is planned for it."""
        planned = self.planned
        self.log.append(verb)
        if verb == "probe":
            # While a fault lasts, nobody can be asked either.
            lasting = (
                planned is not None
                and planned.lasting
                and not self.asks
                and len(self.calls) >= planned.call
            )
            return planned if lasting else None
        self.calls.append(verb)
        number = len(self.calls)
        if planned is None or (planned.verb and planned.verb != verb):
            return None
        if planned.then is not None and number > planned.call:
            return Planned(call=number, error=planned.then)
        hit = number >= planned.call if planned.lasting else number == planned.call
        return planned if hit else None


class _Driver:
    """Any port, with faults and kills around each verb."""

    def __init__(self, inner: Any, faults: Faults, switch: Switch) -> None:
        self._inner = inner
        self._faults = faults
        self._switch = switch

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name in ("capabilities", "enumerate"):
            return found

        async def verb(*arguments: Any) -> Any:
            self._switch.point()
            planned = self._faults.due(name)
            self._faults.fences += [one.fence for one in arguments if isinstance(one, CallContext)]
            if planned is not None:
                self._faults.struck()
            if planned is not None and planned.stuck is not None:
                return await planned.stuck(lambda: found(*arguments))
            if planned is not None and not planned.after:
                await _strike(planned)
            answer = await found(*arguments)
            if planned is not None and planned.after:
                await _strike(planned)
            self._switch.point()
            return answer

        return verb


async def _strike(planned: Planned) -> None:
    if planned.hang:
        await asyncio.Event().wait()
    if planned.cancel is not None:
        planned.cancel()
    raise planned.error or Unknown("the answer was lost")


class FaultyOpener:
    """Opens stores with the installed providers, under faults and kills."""

    def __init__(self, faults: Faults, switch: Switch) -> None:
        self._inner = PluginOpener()
        self._faults = faults
        self._switch = switch

    @asynccontextmanager
    async def primary(self, store: Store) -> AsyncIterator[PrimaryDriver]:
        async with self._inner.primary(store) as driver:
            wrapped: Any = _Driver(driver, self._faults, self._switch)
            yield wrapped

    @asynccontextmanager
    async def image(self, store: Store) -> AsyncIterator[ImageDriver]:
        async with self._inner.image(store) as driver:
            wrapped: Any = _Driver(driver, self._faults, self._switch)
            yield wrapped

    @asynccontextmanager
    async def life_cycle(self, store: Store) -> AsyncIterator[LifeCycle]:
        async with self._inner.life_cycle(store) as life_cycle:
            wrapped: Any = _Driver(life_cycle, self._faults, self._switch)
            yield wrapped


class Zone:
    """One catalogue and one backend, which outlive any number of orchestrators."""

    def __init__(self, testbed: Testbed, catalogue: Catalogue, provider: str) -> None:
        self.testbed = testbed
        self.provider = provider
        self.catalogue = catalogue
        self.faults = Faults()

    @asynccontextmanager
    async def orchestrator(
        self, *, switch: Switch | None = None, policy: Policy = PATIENT
    ) -> AsyncIterator[Orchestrator]:
        """A new process on this zone."""
        switch = switch or Switch()
        async with open_orchestrator(
            MortalCatalogue(self.catalogue, switch),
            opener=FaultyOpener(self.faults, switch),
            policy=policy,
        ) as opened:
            yield opened

    async def until_killed(
        self, script: Callable[[Orchestrator], Awaitable[object]], switch: Switch
    ) -> bool:
        """Run a script in a process of its own; whether it was killed."""
        try:
            async with self.orchestrator(switch=switch) as orchestrator:
                await script(orchestrator)
        except Killed:
            return True
        except BaseExceptionGroup as group:
            if group.split(Killed)[1] is not None:
                raise
            return True
        return False

    async def prepare(self) -> None:
        """The zone and its one host, before anything is in it."""
        await self.catalogue.transact(
            lambda tx: (make_zone(tx, ZONE), make_host(tx, HOST, zone=ZONE))
        )

    async def add(self, orchestrator: Orchestrator, name: str, role: Role) -> str:
        """A store of the memory driver, attached to the one host; its id."""
        done = await orchestrator.run(self.adding(name, role))
        return done.expect().subject

    def adding(self, name: str, role: Role) -> Any:
        local = ScopeKind.HOST in load_provider(self.provider).scopes
        scope = Scope(ScopeKind.HOST, HOST) if local else Scope(ScopeKind.ZONE, ZONE)
        return add_store(
            name=name,
            role=role,
            provider=self.provider,
            config=self.testbed.config(role, name),
            scope=scope,
            hosts=(HOST,),
        )

    async def rows(self, kind: type[Row]) -> list[Any]:
        return await self.catalogue.transact(lambda tx: tx.select(kind))


@asynccontextmanager
async def _zone_on(testbed: Testbed, provider: str) -> AsyncIterator[Zone]:
    async with MemoryCatalogue().opened() as catalogue:
        zone = Zone(testbed, catalogue, provider)
        await zone.prepare()
        yield zone
        await check_ledger(zone)


@asynccontextmanager
async def memory_zone() -> AsyncIterator[Zone]:
    """A new zone on the reference driver, which makes volumes from data by itself."""
    async with (
        MemoryProvider().testbeds()[TestbedKind.EMBEDDED]("zones") as testbed,
        _zone_on(testbed, "memory") as zone,
    ):
        yield zone


@asynccontextmanager
async def local_zone() -> AsyncIterator[Zone]:
    """A new zone on real files, whose volumes are filled through a grant."""
    run = RealRuntime().new_id("zone")
    async with (
        LocalProvider().testbeds()[TestbedKind.EMBEDDED](run) as testbed,
        _zone_on(testbed, "local") as zone,
    ):
        yield zone


async def check_ledger(zone: Zone) -> None:
    """Whatever a test did to a zone: its ledger says what exists, and no more."""
    assert await ledger_findings(zone.catalogue) == []


async def recovered(zone: Zone) -> tuple[Outcome, ...]:
    """Recover in a new process, twice; the second finds nothing to do."""
    zone.faults.planned = None
    async with zone.orchestrator() as orchestrator:
        found = await orchestrator.recover()
        assert await orchestrator.recover() == ()
    return tuple(one.outcome for one in found)


async def disagreements(zone: Zone) -> list[str]:
    """Everything that is wrong after recovery; empty when nothing is lost and nothing leaked."""
    zone.faults.planned = None
    wrong = [
        f"operation {row.id} {row.kind} {row.state}"
        for row in await zone.catalogue.transact(unfinished)
    ]
    for kind in ROWS:
        if issubclass(kind, StatefulRow) and kind.table != "steps":
            wrong += [
                f"{kind.__name__} {row.id} {row.state}"
                for row in await zone.rows(kind)
                if row.state in kind.machine.transitional
            ]
    wrong += [
        f"ledger entry of {row.holder} {row.entry}"
        for row in await zone.rows(LedgerEntry)
        if row.entry is LedgerState.RESERVED
    ]
    async with zone.orchestrator() as orchestrator:
        report = await scrub(orchestrator, deep=True)
    wrong += [f"{one.kind} {one.what} {one.key}: {one.detail}" for one in report.findings]
    return wrong + await _against_inspector(zone)


async def _against_inspector(zone: Zone) -> list[str]:
    """The catalogue against the backend's own tables, a path that no driver takes."""
    expected: set[tuple[str, str, str]] = set()
    found: set[tuple[str, str, str]] = set()
    volumes = {row.id: row for row in await zone.rows(Volume)}
    stores = {row.id: row for row in await zone.rows(Store)}
    for kind, owned in (
        (Volume, OwnedKind.VOLUME),
        (Snapshot, OwnedKind.SNAPSHOT),
        (StoredObject, OwnedKind.OBJECT),
    ):
        for row in await zone.rows(kind):
            if row.state not in GONE:
                expected.add((stores[row.store].name, owned, row.key))
    for row in await zone.rows(VolumeGrant):
        if row.state not in GONE:
            volume = volumes[row.volume]
            name = f"{volume.key}|{row.host}"
            expected.add((stores[volume.store].name, OwnedKind.GRANT, name))
    for store in stores.values():
        if store.state in GONE:
            continue
        inventory = await zone.testbed.inspector(store.role, store.name).inventory()
        found |= {
            # A grant's detail is ``volume|host|mode``, whatever its key is.
            (
                store.name,
                thing.kind,
                thing.detail.rpartition("|")[0] if thing.kind is OwnedKind.GRANT else thing.key,
            )
            for thing in inventory.things
            if thing.kind is not OwnedKind.STORE
        }
    return [f"missing {one}" for one in expected - found] + [
        f"leaked {one}" for one in found - expected
    ]


def run_inline(main: Coroutine[Any, Any, T], seed: int = 1) -> T:
    """Run on a real loop with inline blocking work and ids from a seed: quick and repeatable."""
    return run_in(InlineRuntime(seed=seed), main)
