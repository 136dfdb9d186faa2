"""Templates and backups: read by many at once, deleted by none while one reads them."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.catalogue.port import RowDamaged, Transaction
from holdfast.contract.requests import Role
from holdfast.model.rows import StoredObject, Template, Volume
from holdfast.model.state_tables import ObjectState, OperationState
from holdfast.operations.operation_outcome import Outcome, Verdict
from holdfast.operations.orchestrator import Orchestrator
from holdfast.operations.workflow import Workflow
from holdfast.workflows import (
    Refused,
    create_backup,
    create_snapshot,
    create_volume_from_template,
    delete_backup,
    delete_template,
    register_template,
    restore_backup,
    row_holds,
)
from holdfast_simulator.loop import run_virtual
from late import Stuck
from stories import IMAGE_BYTES, write_image
from zones import Planned, Zone, disagreements, memory_zone

Reading = Callable[[str], Workflow]


class Source:
    """A template or a backup in a zone: how a volume is made from it, and how it is deleted."""

    def __init__(self, owner: str, reading: Reading, deleting: Workflow) -> None:
        self.owner = owner
        self.reading = reading
        self.deleting = deleting


async def source_of(zone: Zone, orchestrator: Orchestrator, image: Path, kind: str) -> Source:
    """Something to read."""
    primary = await zone.add(orchestrator, "primary", Role.PRIMARY)
    images = await zone.add(orchestrator, "images", Role.IMAGE)

    async def done(workflow: Workflow) -> str:
        return (await orchestrator.run(workflow)).expect().subject

    template = await done(
        register_template(name="t", store=images, path=str(image), size_bytes=IMAGE_BYTES)
    )
    if kind == "template":
        return Source(
            template,
            lambda name: create_volume_from_template(name=name, store=primary, template=template),
            delete_template(template),
        )
    volume = await done(create_volume_from_template(name="old", store=primary, template=template))
    snapshot = await done(create_snapshot(volume, name="s"))
    backup = await done(create_backup(snapshot, name="b", store=images))
    return Source(
        backup,
        lambda name: restore_backup(backup, name=name, store=primary),
        delete_backup(backup),
    )


@pytest.fixture(params=["template", "backup"])
def kind(request: pytest.FixtureRequest) -> str:
    """What is read."""
    return str(request.param)


def test_many_volumes_are_made_from_one_at_once_and_then_it_is_deleted(
    tmp_path: Path, kind: str
) -> None:
    """Nobody waits for another reader; the deletion waits for all, and leaves nothing."""

    async def story() -> tuple[list[Outcome], list[str]]:
        async with memory_zone() as zone, zone.orchestrator() as orchestrator:
            source = await source_of(zone, orchestrator, write_image(tmp_path), kind)
            stuck = Stuck()
            zone.faults.planned = Planned(call=len(zone.faults.calls) + 1, stuck=stuck.make)
            first = asyncio.ensure_future(orchestrator.run(source.reading("first")))
            await stuck.begun.wait()
            others = [await orchestrator.run(source.reading(f"v{number}")) for number in range(3)]
            deleting = asyncio.ensure_future(orchestrator.run(source.deleting))
            await asyncio.sleep(0.001)
            assert not deleting.done()
            await stuck.end()
            outcomes = [await first, *others, await deleting]
            with pytest.raises(Exception, match=source.owner):
                await orchestrator.run(source.reading("too late"))
            copies = [r for r in await zone.rows(StoredObject) if r.owner == source.owner]
            assert [row.state for row in copies] == [ObjectState.EXPUNGED]
            return outcomes, await disagreements(zone)

    outcomes, wrong = run_virtual(story(), seed=1)

    assert [outcome.verdict for outcome in outcomes] == [Verdict.SUCCEEDED] * 5
    assert wrong == []


def test_what_an_operation_without_an_outcome_reads_is_not_deleted(
    tmp_path: Path, kind: str
) -> None:
    """Its call has no answer and nobody can be asked: until recovery, the source stays."""

    async def story() -> tuple[Verdict, Verdict, list[str]]:
        async with memory_zone() as zone, zone.orchestrator() as orchestrator:
            source = await source_of(zone, orchestrator, write_image(tmp_path), kind)
            lost = Planned(call=len(zone.faults.calls) + 1, lasting=True)
            zone.faults.planned = lost
            stays_open = await orchestrator.run(source.reading("v"))
            with pytest.raises(Refused, match=f"is read by operation {stays_open.operation}"):
                await orchestrator.run(source.deleting)
            zone.faults.planned = None
            await orchestrator.recover()
            deleted = await orchestrator.run(source.deleting)
            return stays_open.verdict, deleted.verdict, await disagreements(zone)

    assert run_virtual(story(), seed=1) == (Verdict.UNKNOWN, Verdict.SUCCEEDED, [])


def test_a_template_is_gone_with_its_last_copy_and_its_volumes_stay(tmp_path: Path) -> None:
    """The row goes, the name is free again, and what was made from it is as it was."""

    async def story() -> tuple[list[Template], list[Volume], Outcome]:
        async with memory_zone() as zone, zone.orchestrator() as orchestrator:
            image = write_image(tmp_path)
            source = await source_of(zone, orchestrator, image, "template")
            (await orchestrator.run(source.reading("v"))).expect()
            (await orchestrator.run(source.deleting)).expect()
            left = await zone.rows(Template)
            images = (await zone.rows(StoredObject))[0].store
            again = await orchestrator.run(
                register_template(name="t", store=images, path=str(image), size_bytes=IMAGE_BYTES)
            )
            return left, await zone.rows(Volume), again

    left, volumes, again = run_virtual(story(), seed=1)

    assert (left, [row.state for row in volumes], again.verdict) == (
        [],
        ["Ready"],
        Verdict.SUCCEEDED,
    )


def test_nothing_is_deleted_while_a_damaged_operation_may_read_it(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an operation reads stands in its own row alone; one that cannot be read is named."""

    async def story() -> Verdict:
        async with memory_zone() as zone, zone.orchestrator() as orchestrator:
            source = await source_of(zone, orchestrator, write_image(tmp_path), kind)

            def unreadable(_: Transaction) -> list[tuple[OperationState, RowDamaged]]:
                problem = RowDamaged("Operation op-1 is damaged in the catalogue", "op-1")
                return [(OperationState.UNCERTAIN, problem)]

            with monkeypatch.context() as patched:
                patched.setattr(row_holds, "unreadable", unreadable)
                with pytest.raises(Refused, match="may be read by operation op-1; Operation op-1"):
                    await orchestrator.run(source.deleting)
            return (await orchestrator.run(source.deleting)).verdict

    assert run_virtual(story(), seed=1) is Verdict.SUCCEEDED
