"""Plans as data: both forms, and what happens when one cannot be read."""

from pathlib import Path

import msgspec
import pytest

from holdfast.catalogue.port import Transaction
from holdfast.errors import Unknown
from holdfast.model.rows import ROWS, Operation
from holdfast.orchestrator import Orchestrator
from holdfast.plan_text import human_bytes, plan_text
from holdfast.plans import (
    Plan,
    UnknownStep,
    plan_from_json,
    plan_from_msgpack,
    plan_to_json,
    plan_to_msgpack,
)
from holdfast.requests import Role
from holdfast.steps.builtin import builtin_registry
from holdfast.workflows import create_volume
from stories import ACTS, Props, script, write_image
from zones import Planned, Zone, memory_zone, recovered, run_inline


async def every_plan(image: Path) -> dict[str, Plan]:
    """One plan of each workflow, as journalled."""
    async with memory_zone() as zone, zone.orchestrator() as orchestrator:
        await script(Props(zone, image))(orchestrator)
        return {
            row.kind: plan_from_json(row.plan, builtin_registry())
            for row in await zone.rows(Operation)
        }


def test_plans_survive_both_forms(tmp_path: Path) -> None:
    """Every workflow's plan is equal after JSON and after MessagePack."""
    plans = run_inline(every_plan(write_image(tmp_path)))
    types = builtin_registry()

    assert {kind for _, kind, _ in ACTS} == set(plans)
    for plan in plans.values():
        assert plan_from_json(plan_to_json(plan), types) == plan
        assert plan_from_msgpack(plan_to_msgpack(plan), types) == plan


@pytest.mark.parametrize(
    ("kind", "version", "hint"),
    [
        ("primary.create_volme", 1, "nearest known: primary.create_volume"),
        ("primary.create_volume", 2, "known in version 1 and not in version 2"),
    ],
)
def test_an_unknown_step_stops_recovery_and_touches_nothing(
    kind: str, version: int, hint: str
) -> None:
    """One plan that cannot be read stops the whole recovery before it changes anything."""

    async def story() -> tuple[str, bool, list[str]]:
        async with memory_zone() as zone:
            async with zone.orchestrator() as orchestrator:
                await leave_two_unfinished(orchestrator, zone)
            await zone.catalogue.transact(lambda tx: spoil(tx, kind, version))
            before = [await zone.rows(table) for table in ROWS if table.table != "leases"]
            zone.faults.log.clear()
            with pytest.raises(UnknownStep) as problem:
                await recovered(zone)
            after = [await zone.rows(table) for table in ROWS if table.table != "leases"]
            return str(problem.value), before == after, zone.faults.log

    message, untouched, log = run_inline(story())

    assert hint in message
    assert "Nothing was touched" in message
    assert untouched
    assert log == []


async def leave_two_unfinished(orchestrator: Orchestrator, zone: Zone) -> None:
    """Two operations whose outcome is unknown."""
    store = await zone.add(orchestrator, "primary", Role.PRIMARY)
    zone.faults.planned = Planned(call=1, error=Unknown("silence"), lasting=True)
    for name in ("a", "b"):
        await orchestrator.run(create_volume(name=name, store=store, size_bytes=1))
    zone.faults.planned = None


def spoil(tx: Transaction, kind: str, version: int) -> None:
    """Make the newest plan one of another release."""
    row = max(tx.select(Operation), key=lambda found: found.accepted_s)
    plan = msgspec.json.decode(row.plan)
    plan[0] |= {"kind": kind, "version": version}
    tx.update(msgspec.structs.replace(row, plan=msgspec.Raw(msgspec.json.encode(plan))))


def test_a_plan_is_shown_with_its_bytes(tmp_path: Path) -> None:
    """The text of a plan names each step, its bytes and what is undone on failure."""

    async def story() -> list[str]:
        async with memory_zone() as zone, zone.orchestrator() as orchestrator:
            props = Props(zone, write_image(tmp_path))
            await script(props, 7)(orchestrator)
            workflow = ACTS[7][2](props)
            draft = await orchestrator.plan(workflow)
            return plan_text(workflow.kind, draft, builtin_registry()).lines()

    head, *steps = run_inline(story())

    assert head.startswith("create_backup: 6 steps, at most 96.0 KiB moved, about 0.")
    assert [line.split()[1] for line in steps] == [
        "create_volume",
        "grant",
        "store",
        "read",
        "revoke",
        "delete_volume",
    ]
    assert [line.endswith("undone on failure") for line in steps] == [True] * 3 + [False] * 3


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (3 << 20, "3.0 MiB"), (1 << 50, "1.0 PiB")],
)
def test_bytes_are_shown_in_the_unit_that_fits(amount: int, text: str) -> None:
    """Amounts for people have a binary unit."""
    assert human_bytes(amount) == text
