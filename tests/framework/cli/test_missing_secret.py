"""A secret that is missing: every command says so alike, and the work goes on once it is there."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import Result

from holdfast.capacity import ledger
from holdfast.catalogue.port import Transaction
from holdfast.catalogue.sqlite import open_catalogue
from holdfast.cli.open_zone import open_zone
from holdfast.contract.errors import ExitCode, HoldfastError
from holdfast.contract.requests import Role, ScopeKind
from holdfast.model.rows import Scope, Snapshot, Store, Volume
from holdfast.model.state_tables import Event
from holdfast.operations.lease import take_lease
from holdfast.workflows import create_volume
from holdfast_drivers.memory.config import PRIMARY_CAPABILITIES
from secret_places import zone_rows
from zone_program import Program
from zones import HOST

VARIABLE = "HOLDFAST_TEST_TOKEN"
LACKING = (ExitCode.UNAVAILABLE, True)


def ended(answer: Result) -> tuple[int, bool]:
    """The exit code of a command, and whether it named the variable."""
    problem = answer.exception
    if isinstance(problem, HoldfastError):
        return problem.exit_code, VARIABLE in str(problem)
    assert problem is None or isinstance(problem, SystemExit), answer.exception
    return answer.exit_code, VARIABLE in answer.output


def unset(monkeypatch: pytest.MonkeyPatch, _file: Path) -> None:
    monkeypatch.delenv(VARIABLE)


def removed(_: pytest.MonkeyPatch, file: Path) -> None:
    file.unlink()


def in_use(tx: Transaction, reference: str) -> None:
    """A store in service with a volume and its snapshot, as far as rows say."""
    take_lease(tx, "")
    zone_rows(tx)
    row = Store(
        id="store-1",
        name="primary",
        role=Role.PRIMARY,
        provider="memory",
        scope=Scope(ScopeKind.ZONE, "zone-1"),
        config=msgspec.Raw(msgspec.json.encode({"space": "none", "token": reference})),
        capabilities=msgspec.Raw(msgspec.json.encode(PRIMARY_CAPABILITIES)),
        hosts=(HOST,),
    )
    ledger.open_account(tx, row.id)
    held: dict[str, Any] = {"store": row.id, "size_bytes": 1 << 20}
    for one in (
        row,
        Volume(id="vol-1", name="disk", key="vol-1.1", **held),
        Snapshot(id="snap-1", name="snap", volume="vol-1", key="snap-1.1", **held),
    ):
        made = tx.fire(tx.insert(one), Event.CREATE_REQUESTED)
        tx.fire(made, Event.OPERATION_SUCCEEDED)


async def prepare(catalogue: Path, reference: str) -> None:
    """A zone whose process was killed while a volume was made."""
    async with open_catalogue(catalogue) as opened:
        await opened.transact(lambda tx: in_use(tx, reference))
    async with open_zone(catalogue) as orchestrator:
        work = create_volume(name="late", store="store-1", size_bytes=1 << 20)
        await orchestrator.engine.accept(work, "op-cut-off")


COMMANDS = [
    ("recover", "--json"),
    ("scrub",),
    ("scrub", "--deep", "--json"),
    ("volume", "create", "new", "--store", "primary", "--bytes", "1048576"),
    ("volume", "create", "new", "--store", "primary", "--bytes", "4096", "--json"),
    ("volume", "resize", "disk", "--bytes", "2097152"),
    ("volume", "attach", "disk", "--host", HOST),
    ("volume", "revert", "disk", "--snapshot", "snap"),
    ("volume", "delete", "disk"),
    ("snapshot", "create", "other", "--volume", "disk"),
    ("snapshot", "delete", "snap"),
    ("store", "maintain", "primary"),
]
REFERENCES = [f"env:{VARIABLE}", f"file:/nowhere/{VARIABLE}", f"cmd:/nowhere/{VARIABLE}"]


@pytest.mark.parametrize(
    ("command", "reference"),
    [
        *((command, REFERENCES[0]) for command in COMMANDS),
        *((("recover",), reference) for reference in REFERENCES),
    ],
)
def test_every_command_ends_with_the_code_for_what_is_missing(
    tmp_path: Path, command: tuple[str, ...], reference: str
) -> None:
    """It is 3, and what is missing is named; of recover and scrub too."""
    program = Program(tmp_path)
    asyncio.run(prepare(program.catalogue, reference))

    answer = program(*command)

    # A scrub also tells of the operation that waits for recovery.
    code = ExitCode.FAILED if "scrub" in command else ExitCode.UNAVAILABLE
    assert ended(answer) == (code, True)


def test_a_scrub_that_finds_nothing_but_that_says_so_too(tmp_path: Path) -> None:
    program = Program(tmp_path)

    async def rows() -> None:
        async with open_catalogue(program.catalogue) as opened:
            await opened.transact(lambda tx: in_use(tx, f"env:{VARIABLE}"))
            await opened.transact(enter_all)

    asyncio.run(rows())
    assert ended(program("scrub")) == LACKING


def enter_all(tx: Transaction) -> None:
    rows: list[Volume | Snapshot] = [*tx.select(Volume), *tx.select(Snapshot)]
    for row in rows:
        promised = ledger.promised_bytes(tx, row)
        ledger.enter(tx, store=row.store, holder=row.id, amount_bytes=promised)
