"""Plans as data: both forms, and what happens when one cannot be read."""

from pathlib import Path

import msgspec
import pytest

from holdfast.catalogue.port import Transaction
from holdfast.contract.errors import Unknown
from holdfast.contract.requests import Role
from holdfast.model.rows import Operation, Step, Volume
from holdfast.operations.operation_outcome import Verdict
from holdfast.operations.orchestrator import Orchestrator
from holdfast.operations.plan_text import human_bytes, plan_text
from holdfast.operations.plans import (
    Plan,
    plan_from_json,
    plan_from_msgpack,
    plan_to_json,
    plan_to_msgpack,
)
from holdfast.operations.recovery import Recovered
from holdfast.steps.builtin import builtin_registry
from holdfast.workflows import create_volume
from stories import ACTS, Props, script, write_image
from zones import Planned, Zone, memory_zone, run_inline


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
def test_an_unknown_step_stays_untouched_and_stops_no_other(
    kind: str, version: int, hint: str
) -> None:
    """A plan that cannot be read is named and left as it is, with the rows it holds; all others
    are recovered, and each is told of as it ends.
    """

    async def story() -> tuple[list[Recovered], list[bool], list[str]]:
        async with memory_zone() as zone:
            async with zone.orchestrator() as orchestrator:
                await leave_two_unfinished(orchestrator, zone)
            spoilt = await zone.catalogue.transact(lambda tx: spoil(tx, kind, version))
            before = await held_by(zone, spoilt)
            told: list[Recovered] = []
            async with zone.orchestrator() as orchestrator:
                found = await orchestrator.recover(told.append)
            unequal = [one for one in found if one not in told]
            assert len(found) == len(told)
            assert unequal == []
            failed = [one for one in found if one.failure is not None]
            states = [row.state.value for row in await zone.rows(Volume)]
            return failed, [before == await held_by(zone, spoilt)], states

    failed, untouched, states = run_inline(story())

    (one,) = failed
    assert hint in one.outcome.error
    assert one.outcome.operation in one.outcome.error
    assert "Nothing of it was touched" in one.outcome.error
    assert one.outcome.verdict is Verdict.UNKNOWN
    assert untouched == [True]
    assert sorted(states) == ["Ready", "Uncertain"]


@pytest.mark.parametrize("document", [b"{}", b'[{"kind": 7}]', b'["\xff"]', b"null"])
def test_a_plan_that_is_no_plan_stops_no_other(document: bytes) -> None:
    """Whatever stands in a plan's place: its operation is named, and the others are recovered."""

    async def story() -> list[bool]:
        async with memory_zone() as zone:
            async with zone.orchestrator() as orchestrator:
                await leave_two_unfinished(orchestrator, zone)
            await zone.catalogue.transact(lambda tx: replace_plan(tx, document))
            async with zone.orchestrator() as orchestrator:
                return [one.failure is None for one in await orchestrator.recover()]

    assert sorted(run_inline(story())) == [False, True]


def test_what_the_listener_raises_is_raised_as_it_is() -> None:
    """Who cannot be told (a pipe that nobody reads) ends the recovery with its own error."""

    async def story() -> None:
        async with memory_zone() as zone:
            async with zone.orchestrator() as orchestrator:
                await leave_two_unfinished(orchestrator, zone)

            def told(_one: Recovered) -> None:
                raise BrokenPipeError("nobody reads this")

            async with zone.orchestrator() as orchestrator:
                await orchestrator.recover(told)

    with pytest.raises(BrokenPipeError):
        run_inline(story())


async def held_by(zone: Zone, operation: str) -> list[object]:
    """An operation's row, its steps, and the rows that it holds."""
    (found,) = [row for row in await zone.rows(Operation) if row.id == operation]
    ids = {one.id for one in found.involved}
    steps = [row for row in await zone.rows(Step) if row.operation == operation]
    volumes = [row for row in await zone.rows(Volume) if row.id in ids]
    return [found, steps, volumes]


async def leave_two_unfinished(orchestrator: Orchestrator, zone: Zone) -> None:
    """Two operations whose outcome is unknown."""
    store = await zone.add(orchestrator, "primary", Role.PRIMARY)
    zone.faults.planned = Planned(call=1, error=Unknown("silence"), lasting=True)
    for name in ("a", "b"):
        await orchestrator.run(create_volume(name=name, store=store, size_bytes=1))
    zone.faults.planned = None


def spoil(tx: Transaction, kind: str, version: int) -> str:
    """Make the newest plan one of another release; its operation."""
    row = max(tx.select(Operation), key=lambda found: found.accepted_s)
    plan = msgspec.json.decode(row.plan)
    plan[0] |= {"kind": kind, "version": version}
    return replace_plan(tx, msgspec.json.encode(plan))


def replace_plan(tx: Transaction, document: bytes) -> str:
    """Put something else in the place of the newest plan; its operation."""
    row = max(tx.select(Operation), key=lambda found: found.accepted_s)
    tx.update(msgspec.structs.replace(row, plan=msgspec.Raw(document)))
    return row.id


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
