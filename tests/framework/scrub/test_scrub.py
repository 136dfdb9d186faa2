"""Scrub: both ways, nothing deleted, lost things marked, unknown things kept with an age."""

from pathlib import Path

from holdfast.concurrency.runtime import runtime
from holdfast.contract import errors
from holdfast.contract.capabilities import ObjectKind
from holdfast.contract.requests import (
    CallContext,
    CreateVolume,
    DeleteObject,
    DeleteSnapshot,
    DeleteVolume,
    ResizeVolume,
    Revoke,
    Role,
    StartUpload,
)
from holdfast.contract.testbed import Fault
from holdfast.model.rows import Capacity, Quarantined, Snapshot, StoredObject, Volume
from holdfast.model.state_tables import ObjectState, VolumeState
from holdfast.operations.operation_outcome import Verdict
from holdfast.operations.orchestrator import Orchestrator
from holdfast.scrub import Finding, FindingKind, ScrubReport, scrub
from holdfast.workflows import (
    attach_volume,
    create_snapshot,
    create_volume,
    delete_backup,
    remove_store,
)
from holdfast_drivers.memory.testbed import MemoryTestbed
from stories import ACTS, Props, script, write_image
from zones import HOST, Planned, Zone, memory_zone, run_inline


def behind_our_back() -> CallContext:
    """The context of calls that the catalogue does not know of."""
    return CallContext(operation="elsewhere", deadline=runtime().now() + 60)


async def stage(zone: Zone, orchestrator: Orchestrator, image: Path) -> Props:
    """Stores, a template, volumes, a snapshot and a backup; scrub finds nothing."""
    props = Props(zone, image)
    await script(props, 8)(orchestrator)
    assert (await scrub(orchestrator, deep=True)).clean
    return props


def told(report: ScrubReport) -> list[tuple[FindingKind, str, str]]:
    """The findings in an order of our own: a report has them as the stores' ids are sorted."""
    return sorted((one.kind, one.what, one.store) for one in report.findings)


def test_bytes_without_a_row_are_kept_with_an_age(tmp_path: Path) -> None:
    """An unknown volume and an unknown upload go to quarantine, keep their age, and are not
    deleted.
    """

    async def story() -> tuple[ScrubReport, list[Quarantined], list[Quarantined], int]:
        async with memory_zone() as zone, zone.orchestrator() as orchestrator:
            props = await stage(zone, orchestrator, write_image(tmp_path))
            primary = await orchestrator.stores.primary(props.ids["primary"])
            await primary.create_volume(
                behind_our_back(), CreateVolume(key="stranger", size_bytes=4096)
            )
            images = await orchestrator.stores.image(props.ids["images"])
            upload = StartUpload(upload="half", key="half", kind=ObjectKind.TEMPLATE)
            await images.start_upload(behind_our_back(), upload)
            report = await scrub(orchestrator)
            first = await zone.rows(Quarantined)
            await scrub(orchestrator)
            second = await zone.rows(Quarantined)
            await primary.delete_volume(behind_our_back(), DeleteVolume(key="stranger"))
            await scrub(orchestrator)
            return report, first, second, len(await zone.rows(Quarantined))

    report, first, second, left = run_inline(story())

    assert not report.clean
    assert told(report) == [
        (FindingKind.UNKNOWN, "upload", "images"),
        (FindingKind.UNKNOWN, "volume", "primary"),
    ]
    assert sorted(row.key for row in first) == ["half", "stranger"]
    assert second == first
    assert left == 1


def test_rows_without_bytes_are_lost_and_said_so(tmp_path: Path) -> None:
    """A volume, snapshot or object whose bytes are gone is Lost; a lost grant is reported."""

    async def story() -> tuple[ScrubReport, ScrubReport, list[VolumeState], list[ObjectState]]:
        async with memory_zone() as zone, zone.orchestrator() as orchestrator:
            props = await stage(zone, orchestrator, write_image(tmp_path))
            ids = props.ids
            await orchestrator.run(attach_volume(ids["root"], host=HOST))
            primary = await orchestrator.stores.primary(ids["primary"])
            images = await orchestrator.stores.image(ids["images"])
            ctx = behind_our_back()
            await primary.revoke(ctx, Revoke(volume=ids["root"], host=HOST))
            await primary.delete_snapshot(ctx, DeleteSnapshot(key=ids["snapshot"]))
            await primary.delete_volume(ctx, DeleteVolume(key=ids["empty"]))
            await images.delete(ctx, DeleteObject(key=ids["backup"]))
            report = await scrub(orchestrator)
            again = await scrub(orchestrator)
            volumes = {row.id: row.state for row in await zone.rows(Volume)}
            objects = [row.state for row in await zone.rows(Snapshot)]
            objects += [
                row.state for row in await zone.rows(StoredObject) if row.owner == ids["backup"]
            ]
            return report, again, [volumes[ids["empty"]], volumes[ids["root"]]], objects

    report, again, volumes, objects = run_inline(story())

    assert told(report) == [
        (FindingKind.LOST, "grant", "primary"),
        (FindingKind.LOST, "object", "images"),
        (FindingKind.LOST, "snapshot", "primary"),
        (FindingKind.LOST, "volume", "primary"),
    ]
    assert volumes == [VolumeState.LOST, VolumeState.READY]
    assert objects == [ObjectState.LOST, ObjectState.LOST]
    assert not again.clean


def test_what_returns_is_ready_again(tmp_path: Path) -> None:
    """Bytes that come back end the alert."""

    async def story() -> tuple[list[tuple[FindingKind, str, str]], bool]:
        async with memory_zone() as zone, zone.orchestrator() as orchestrator:
            props = await stage(zone, orchestrator, write_image(tmp_path))
            primary = await orchestrator.stores.primary(props.ids["primary"])
            key = props.ids["empty"]
            await primary.delete_volume(behind_our_back(), DeleteVolume(key=key))
            await scrub(orchestrator)
            await primary.create_volume(behind_our_back(), CreateVolume(key=key, size_bytes=10_000))
            report = await scrub(orchestrator)
            return told(report), report.clean and (await scrub(orchestrator)).findings == ()

    assert run_inline(story()) == ([(FindingKind.FOUND_AGAIN, "volume", "primary")], True)


def test_a_store_that_cannot_be_asked_loses_nothing(tmp_path: Path) -> None:
    """While a backend is down its rows stay as they are, and the scrub is not clean."""

    async def story() -> tuple[set[FindingKind], set[str]]:
        async with memory_zone() as zone, zone.orchestrator() as orchestrator:
            await stage(zone, orchestrator, write_image(tmp_path))
            async with zone.testbed.inject(Fault.DOWN):
                report = await scrub(orchestrator, deep=True)
            states = {str(row.state) for row in await zone.rows(Volume)}
            return {one.kind for one in report.findings}, states

    assert run_inline(story()) == ({FindingKind.UNREACHABLE}, {"Ready"})


def test_another_size_is_reported(tmp_path: Path) -> None:
    """A volume that was resized behind the catalogue's back differs."""

    async def story() -> list[Finding]:
        async with memory_zone() as zone, zone.orchestrator() as orchestrator:
            props = await stage(zone, orchestrator, write_image(tmp_path))
            primary = await orchestrator.stores.primary(props.ids["primary"])
            larger = ResizeVolume(key=props.ids["empty"], size_bytes=20_000)
            await primary.resize_volume(behind_our_back(), larger)
            return list((await scrub(orchestrator)).findings)

    (found,) = run_inline(story())

    assert found.kind is FindingKind.DIFFERS
    assert found.detail == "20480 bytes there, 12288 in the catalogue"


def test_what_was_cut_short_is_reported(tmp_path: Path) -> None:
    """A volume, a snapshot and an object that lost their bytes, wholly or in part, differ."""

    async def story() -> list[tuple[FindingKind, str, str]]:
        async with memory_zone() as zone, zone.orchestrator() as orchestrator:
            props = await stage(zone, orchestrator, write_image(tmp_path))
            assert isinstance(zone.testbed, MemoryTestbed)
            primary = zone.testbed.backend.stores[Role.PRIMARY, "primary"]
            primary.volumes[props.ids["empty"]].content.resize(0)
            primary.snapshots[props.ids["snapshot"]].content.resize(0)
            backup = zone.testbed.backend.stores[Role.IMAGE, "images"].objects[props.ids["backup"]]
            backup.data = backup.data[:-1]
            return told(await scrub(orchestrator))

    assert run_inline(story()) == [
        (FindingKind.DIFFERS, "object", "images"),
        (FindingKind.DIFFERS, "snapshot", "primary"),
        (FindingKind.DIFFERS, "volume", "primary"),
    ]


def test_a_store_in_error_is_reported() -> None:
    """A store whose making failed and could not be taken back is named, and can be removed."""

    async def story() -> tuple[Verdict, list[tuple[FindingKind, str, str]], bool]:
        async with memory_zone() as zone, zone.orchestrator() as orchestrator:
            zone.faults.planned = Planned(call=2, error=errors.Denied("refused"), lasting=True)
            made = await orchestrator.run(zone.adding("primary", Role.PRIMARY))
            zone.faults.planned = None
            before = told(await scrub(orchestrator))
            (await orchestrator.run(remove_store(made.subject))).expect()
            return made.verdict, before, (await scrub(orchestrator)).clean

    assert run_inline(story()) == (
        Verdict.FAILED_DIRTY,
        [(FindingKind.DIFFERS, "store", "primary")],
        True,
    )


def test_a_deep_scrub_reads_every_object(tmp_path: Path) -> None:
    """A changed byte in a stored backup is corrupt; the quick scrub does not see it."""

    async def story() -> tuple[bool, list[tuple[FindingKind, str, str]], int]:
        async with memory_zone() as zone, zone.orchestrator() as orchestrator:
            props = await stage(zone, orchestrator, write_image(tmp_path))
            assert isinstance(zone.testbed, MemoryTestbed)
            stored = zone.testbed.backend.stores[Role.IMAGE, "images"].objects
            damaged = stored[props.ids["backup"]]
            damaged.data = b"X" + damaged.data[1:]
            quick = await scrub(orchestrator)
            deep = await scrub(orchestrator, deep=True)
            return quick.clean, told(deep), deep.digests

    assert run_inline(story()) == (True, [(FindingKind.CORRUPT, "object", "images")], 2)


def test_what_a_dirty_failure_left_can_be_cleared_away(tmp_path: Path) -> None:
    """The leftovers are named, unknown to scrub, and hold capacity until they are gone."""

    async def story() -> tuple[bool, list[tuple[FindingKind, str, str]], bool, set[int]]:
        async with memory_zone() as zone, zone.orchestrator() as orchestrator:
            props = Props(zone, write_image(tmp_path))
            await script(props, 7)(orchestrator)
            refusal = errors.Denied("refused")
            zone.faults.planned = Planned(
                call=len(zone.faults.calls) + 3, error=refusal, lasting=True
            )
            failed = await orchestrator.run(ACTS[7][2](props))
            zone.faults.planned = None
            clone = f"{failed.operation}-clone"
            named = any(clone in left for left in failed.left)
            before = told(await scrub(orchestrator))
            primary = await orchestrator.stores.primary(props.ids["primary"])
            await primary.revoke(behind_our_back(), Revoke(volume=clone, host=HOST))
            await primary.delete_volume(behind_our_back(), DeleteVolume(key=clone))
            (await orchestrator.run(delete_backup(failed.subject))).expect()
            after = await scrub(orchestrator)
            return (
                named,
                before,
                after.clean,
                {row.reserved_bytes for row in await zone.rows(Capacity)},
            )

    named, before, clean, reserved = run_inline(story())

    assert named
    assert (FindingKind.UNKNOWN, "volume", "primary") in before
    assert clean
    assert reserved == {0}


def test_unfinished_work_is_no_loss() -> None:
    """What an operation without an outcome holds is unfinished, neither lost nor unknown."""

    async def story() -> list[tuple[FindingKind, str, str]]:
        async with memory_zone() as zone, zone.orchestrator() as orchestrator:
            store = await zone.add(orchestrator, "primary", Role.PRIMARY)
            made = await orchestrator.run(create_volume(name="v", store=store, size_bytes=1))
            zone.faults.planned = Planned(call=1, error=errors.Unknown("lost"), lasting=True)
            await orchestrator.run(create_snapshot(made.subject, name="s"))
            zone.faults.planned = None
            return told(await scrub(orchestrator))

    assert run_inline(story()) == [(FindingKind.UNFINISHED, "operation", "")]
