"""In a scrub each store, entry and object fails for itself; nothing is lost by a failed look."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from holdfast.assembly import open_orchestrator
from holdfast.capacity import ledger
from holdfast.concurrency.runtime import runtime
from holdfast.contract import errors
from holdfast.contract.answers import OwnedThing
from holdfast.contract.ports import ImageDriver, LifeCycle, PrimaryDriver
from holdfast.contract.requests import CallContext, CreateVolume, DeleteVolume, EnumerateOwned, Role
from holdfast.model.rows import Quarantined, Store, Volume
from holdfast.model.state_tables import Event, VolumeState
from holdfast.operations.orchestrator import Orchestrator
from holdfast.scrub import FindingKind, ScrubReport, scrub
from holdfast.stores.kept_stores import PluginOpener
from holdfast.workflows import create_volume
from holdfast_drivers.local.names import name_of
from holdfast_simulator.loop import run_virtual
from stories import Props, script, write_image
from zones import PATIENT, Zone, local_zone, memory_zone, run_inline


def behind_our_back() -> CallContext:
    return CallContext(operation="elsewhere", deadline=runtime().now() + 60)


def folder(zone: Zone, role: Role, name: str) -> Path:
    """The folder of a store of the local driver."""
    config: Any = zone.testbed.config(role, name)
    return Path(config.root) / name_of(name) / role.value


def told(report: ScrubReport) -> list[tuple[FindingKind, str, str]]:
    return sorted((one.kind, one.store, one.key) for one in report.findings)


async def states(zone: Zone) -> set[VolumeState]:
    return {row.state for row in await zone.rows(Volume)}


def truncated(entry: Path) -> None:
    (entry / "row.json").write_bytes((entry / "row.json").read_bytes()[:20])


def without_row(entry: Path) -> None:
    (entry / "row.json").unlink()


def row_of_another_kind(entry: Path) -> None:
    (entry / "row.json").write_bytes(b"[1, 2]")


def fifo_for_data(entry: Path) -> None:
    (entry / "data").unlink()
    os.mkfifo(entry / "data")


def stray_file(entry: Path) -> None:
    (entry.parent / "notes.txt").write_bytes(b"x")


def stray_fifo(entry: Path) -> None:
    os.mkfifo(entry.parent / "pipe")


def stray_folder(entry: Path) -> None:
    (entry.parent / "lost+found").mkdir()


@pytest.mark.parametrize(
    "damage",
    [
        truncated,
        without_row,
        row_of_another_kind,
        fifo_for_data,
        stray_file,
        stray_fifo,
        stray_folder,
    ],
)
def test_an_entry_that_cannot_be_read_is_one_finding(damage: Callable[[Path], None]) -> None:
    """It is named and set apart; every other entry of its store is compared; no row is lost."""

    async def story() -> tuple[ScrubReport, ScrubReport, list[VolumeState], list[Quarantined]]:
        async with local_zone() as zone, zone.orchestrator() as orchestrator:
            store = await zone.add(orchestrator, "primary", Role.PRIMARY)
            ids = [
                (await orchestrator.run(create_volume(name=n, store=store, size_bytes=8192)))
                .expect()
                .subject
                for n in "abc"
            ]
            driver = await orchestrator.stores.primary(store)
            ctx = behind_our_back()
            await driver.create_volume(ctx, CreateVolume(key="stranger", size_bytes=4096))
            await driver.delete_volume(ctx, DeleteVolume(key=ids[1]))
            damage(folder(zone, Role.PRIMARY, "primary") / "volumes" / name_of(ids[0]))
            first, second = await scrub(orchestrator), await scrub(orchestrator)
            rows = {row.id: row.state for row in await zone.rows(Volume)}
            return first, second, [rows[one] for one in ids], await zone.rows(Quarantined)

    first, second, rows, quarantine = asyncio.run(story())

    for report in (first, second):
        kinds = sorted(one.kind for one in report.findings)
        assert kinds == [FindingKind.LOST, FindingKind.UNKNOWN, FindingKind.UNREADABLE]
        (unreadable,) = [one for one in report.findings if one.kind is FindingKind.UNREADABLE]
        assert unreadable.key
        assert unreadable.detail
    assert rows == [VolumeState.READY, VolumeState.LOST, VolumeState.READY]
    # What a row has is no stranger, however damaged it is.
    is_stray = damage in {stray_file, stray_fifo, stray_folder}
    assert sorted(row.kind for row in quarantine) == (["unreadable"] if is_stray else []) + [
        "volume"
    ]


class Opener:
    """Opens stores as they are, but for one, whose driver is as ``change`` makes it."""

    def __init__(self, name: str, change: Callable[[Any], Any]) -> None:
        self._inner = PluginOpener()
        self._name = name
        self._change = change

    @asynccontextmanager
    async def primary(self, store: Store) -> AsyncIterator[PrimaryDriver]:
        async with self._inner.primary(store) as driver:
            changed: PrimaryDriver = self._change(driver) if store.name == self._name else driver
            yield changed

    @asynccontextmanager
    async def image(self, store: Store) -> AsyncIterator[ImageDriver]:
        async with self._inner.image(store) as driver:
            changed: ImageDriver = self._change(driver) if store.name == self._name else driver
            yield changed

    @asynccontextmanager
    async def life_cycle(self, store: Store) -> AsyncIterator[LifeCycle]:
        async with self._inner.life_cycle(store) as life_cycle:
            yield life_cycle


class Changed:
    """A driver whose enumeration breaks off, hangs, or whose objects cannot be read."""

    def __init__(
        self, inner: Any, *, show: int | None = None, hangs: bool = False, unread: str = ""
    ) -> None:
        self._inner = inner
        self._show = show
        self._hangs = hangs
        self._unread = unread

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def enumerate(
        self, ctx: CallContext, request: EnumerateOwned
    ) -> AsyncIterator[OwnedThing]:
        shown = 0
        async for thing in self._inner.enumerate(ctx, request):
            if shown == self._show:
                if self._hangs:
                    await asyncio.Event().wait()
                raise errors.Unavailable("the connection was reset")
            shown += 1
            yield thing

    async def head(self, ctx: CallContext, request: Any) -> Any:
        if request.key == self._unread:
            raise errors.Unavailable("this object is not served now")
        return await self._inner.head(ctx, request)


@asynccontextmanager
async def staged(
    image: Path, change: Callable[[Props], tuple[str, Callable[[Any], Any]]]
) -> AsyncIterator[tuple[Zone, Orchestrator, Props]]:
    """A zone with stores of all sorts; one of them is changed for the process that scrubs."""
    async with memory_zone() as zone:
        props = Props(zone, image)
        async with zone.orchestrator() as orchestrator:
            await script(props, 8)(orchestrator)
            (
                await orchestrator.run(
                    create_volume(name="x", store=props.ids["second"], size_bytes=1)
                )
            )
            second = await orchestrator.stores.primary(props.ids["second"])
            ctx = behind_our_back()
            await second.create_volume(ctx, CreateVolume(key="stranger", size_bytes=4096))
        opener = Opener(*change(props))
        async with open_orchestrator(zone.catalogue, opener=opener, policy=PATIENT) as scrubbing:
            yield zone, scrubbing, props


STRANGER = (FindingKind.UNKNOWN, "second", "stranger")


@pytest.mark.parametrize("shown", range(4))
def test_an_enumeration_that_breaks_off_loses_nothing(tmp_path: Path, shown: int) -> None:
    """However much was shown before: no row is marked, the store is named, others are compared."""

    async def story() -> tuple[list[tuple[FindingKind, str, str]], set[VolumeState]]:
        image = write_image(tmp_path)
        change = partial(Changed, show=shown)
        async with staged(image, lambda _: ("primary", change)) as (zone, scrubbing, _):
            report = await scrub(scrubbing)
            return told(report), await states(zone)

    found, rows = run_inline(story())

    assert found == [STRANGER, (FindingKind.UNREACHABLE, "primary", "primary")]
    assert rows == {VolumeState.READY}


@pytest.mark.parametrize("shown", [0, 2])
def test_a_store_that_hangs_stops_no_other(tmp_path: Path, shown: int) -> None:
    """It is given up when it was silent for as long as the patience lasts; others are compared."""

    async def story() -> tuple[list[tuple[FindingKind, str, str]], set[VolumeState], float, str]:
        image = write_image(tmp_path)
        change = partial(Changed, show=shown, hangs=True)
        async with staged(image, lambda _: ("primary", change)) as (zone, scrubbing, _):
            started = runtime().now()
            report = await scrub(scrubbing, patience_s=20)
            took_s = runtime().now() - started
            (silent,) = [o for o in report.findings if o.kind is FindingKind.UNREACHABLE]
            return told(report), await states(zone), took_s, silent.detail

    found, rows, took_s, detail = run_virtual(story(), seed=1)

    assert found == [STRANGER, (FindingKind.UNREACHABLE, "primary", "primary")]
    assert rows == {VolumeState.READY}
    assert 20 <= took_s < 30
    assert detail == "there was no answer in time"


def test_a_store_that_cannot_be_opened_stops_no_other(tmp_path: Path) -> None:
    """A provider that is not installed, and a configuration that is none."""

    async def story(**damage: Any) -> tuple[list[tuple[FindingKind, str, str]], set[VolumeState]]:
        async with memory_zone() as zone:
            props = Props(zone, write_image(tmp_path))
            async with zone.orchestrator() as orchestrator:
                await script(props, 8)(orchestrator)

            def spoil(tx: Any) -> None:
                row = tx.get(Store, props.ids["primary"])
                tx.update(msgspec.structs.replace(row, **damage))

            await zone.catalogue.transact(spoil)
            async with zone.orchestrator() as scrubbing:
                report = await scrub(scrubbing)
            return told(report), await states(zone)

    for damage in ({"provider": "gone"}, {"config": msgspec.Raw(b"[]")}):
        found, rows = run_inline(story(**damage))

        assert found == [(FindingKind.UNREACHABLE, "primary", "primary")]
        assert rows == {VolumeState.READY}


def test_an_object_that_cannot_be_read_stops_no_other(tmp_path: Path) -> None:
    """A deep scrub names it, calls it unreadable and not corrupt, and reads the others."""

    async def story() -> tuple[list[tuple[FindingKind, str]], int]:
        image = write_image(tmp_path)

        def change(props: Props) -> tuple[str, Callable[[Any], Any]]:
            return "images", partial(Changed, unread=props.ids["template"])

        async with staged(image, change) as (_, scrubbing, props):
            report = await scrub(scrubbing, deep=True)
            names = {value: name for name, value in props.ids.items()}
            return [
                (one.kind, names[one.key]) for one in report.findings if one.store == "images"
            ], report.digests

    assert run_inline(story()) == ([(FindingKind.UNREADABLE, "template")], 1)


def test_a_store_in_the_place_of_another_loses_nothing() -> None:
    """Folders that were swapped are named; no row is lost, and nothing goes into quarantine."""

    async def story() -> tuple[list[tuple[FindingKind, str, str]], set[VolumeState], int]:
        async with local_zone() as zone:
            async with zone.orchestrator() as orchestrator:
                for name in ("one", "two"):
                    store = await zone.add(orchestrator, name, Role.PRIMARY)
                    made = create_volume(name=name, store=store, size_bytes=4096)
                    (await orchestrator.run(made)).expect()
            one, two = (folder(zone, Role.PRIMARY, name) for name in ("one", "two"))
            aside = one.with_name("aside")
            one.rename(aside)
            two.rename(one)
            aside.rename(two)
            async with zone.orchestrator() as scrubbing:
                report = await scrub(scrubbing, deep=True)
            return told(report), await states(zone), len(await zone.rows(Quarantined))

    assert asyncio.run(story()) == (
        [(FindingKind.UNREACHABLE, "one", "one"), (FindingKind.UNREACHABLE, "two", "two")],
        {VolumeState.READY},
        0,
    )


def test_what_is_known_again_leaves_quarantine() -> None:
    """A row that accounts for a thing after all takes it out; its age does not come back."""

    async def story() -> tuple[int, int, list[tuple[FindingKind, str, str]]]:
        async with memory_zone() as zone, zone.orchestrator() as orchestrator:
            store = await zone.add(orchestrator, "primary", Role.PRIMARY)
            driver = await orchestrator.stores.primary(store)
            ctx = behind_our_back()
            await driver.create_volume(ctx, CreateVolume(key="vol-known", size_bytes=4096))
            await scrub(orchestrator)
            before = len(await zone.rows(Quarantined))
            await zone.catalogue.transact(lambda tx: adopted(tx, store))
            report = await scrub(orchestrator)
            return before, len(await zone.rows(Quarantined)), told(report)

    def adopted(tx: Any, store: str) -> None:
        row = tx.insert(
            Volume(id="vol-known", name="v", store=store, key="vol-known", size_bytes=4096)
        )
        tx.fire(tx.fire(row, Event.CREATE_REQUESTED), Event.OPERATION_SUCCEEDED)
        ledger.enter(tx, store=store, holder="vol-known", amount_bytes=4096)

    assert run_inline(story()) == (1, 0, [])
