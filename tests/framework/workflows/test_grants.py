"""Grants of a volume come and go; what is over leaves no row behind."""

import pytest

from holdfast.catalogue.port import Transaction
from holdfast.contract import errors
from holdfast.contract.requests import Role
from holdfast.model.rows import VolumeGrant
from holdfast.model.state_tables import Event, GrantState
from holdfast.operations.operation_outcome import Verdict
from holdfast.scrub import scrub
from holdfast.workflows import Refused, attach_volume, create_volume, detach_volume
from zones import HOST, Planned, memory_zone, run_inline


def test_a_grant_that_was_taken_back_is_no_row_any_more() -> None:
    """However often a volume is granted, only the grant in force is there; failures leave none."""

    async def story() -> tuple[list[int], Verdict, list[GrantState], bool]:
        async with memory_zone() as zone, zone.orchestrator() as orchestrator:
            store = await zone.add(orchestrator, "primary", Role.PRIMARY)
            made = await orchestrator.run(create_volume(name="v", store=store, size_bytes=1))
            volume = made.subject
            counts: list[int] = []
            for _ in range(3):
                (await orchestrator.run(attach_volume(volume, host=HOST))).expect()
                counts.append(len(await zone.rows(VolumeGrant)))
                with pytest.raises(Refused, match="attached to host-1 already"):
                    await orchestrator.run(attach_volume(volume, host=HOST))
                (await orchestrator.run(detach_volume(volume, host=HOST))).expect()
                counts.append(len(await zone.rows(VolumeGrant)))
            fault = Planned(call=len(zone.faults.calls) + 1, error=errors.Denied("no"))
            zone.faults.planned = fault
            failed = await orchestrator.run(attach_volume(volume, host=HOST))
            zone.faults.planned = None
            left = [row.state for row in await zone.rows(VolumeGrant)]
            return counts, failed.verdict, left, (await scrub(orchestrator)).clean

    assert run_inline(story()) == ([1, 0] * 3, Verdict.FAILED_CLEAN, [], True)


def test_revoked_grants_of_older_catalogues_go_with_the_next() -> None:
    """Rows that earlier versions kept are dropped by the next grant of their volume."""

    async def story() -> list[GrantState]:
        async with memory_zone() as zone, zone.orchestrator() as orchestrator:
            store = await zone.add(orchestrator, "primary", Role.PRIMARY)
            made = await orchestrator.run(create_volume(name="v", store=store, size_bytes=1))
            for number in range(5):
                row = VolumeGrant(id=f"grant-{number}", volume=made.subject, host=HOST)

                def kept(tx: Transaction, row: VolumeGrant = row) -> None:
                    begun = tx.fire(tx.insert(row), Event.CREATE_REQUESTED)
                    tx.fire(begun, Event.OPERATION_FAILED_CLEAN)

                await zone.catalogue.transact(kept)
            (await orchestrator.run(attach_volume(made.subject, host=HOST))).expect()
            return [row.state for row in await zone.rows(VolumeGrant)]

    assert run_inline(story()) == [GrantState.GRANTED]
