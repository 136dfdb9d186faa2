"""``holdfast operations``: the journal, for people."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from holdfast.catalogue.port import Catalogue, Transaction
from holdfast.catalogue.sqlite import open_catalogue
from holdfast.cli.open_zone import CatalogueOption, JsonOption, check_exists
from holdfast.concurrency.interruptions import run_program
from holdfast.model.rows import Operation, Step
from holdfast.text.foreign import tell, tell_json


class StepRow(msgspec.Struct, frozen=True, kw_only=True):
    """One journalled step."""

    number: int
    kind: str
    state: str
    error: str


class OperationRow(msgspec.Struct, frozen=True, kw_only=True):
    """One operation of the journal; the times are seconds since the epoch."""

    id: str
    kind: str
    subject: str
    state: str
    accepted_s: float
    ended_s: float
    error: str
    left: tuple[str, ...]
    steps: tuple[StepRow, ...]
    planned: int


_UNREADABLE = "unreadable"
"""What a step of a plan is called that cannot be read."""


class _Kind(msgspec.Struct, frozen=True):
    """What is read of a planned step, whether or not its kind is installed."""

    kind: str


def register(app: typer.Typer) -> None:
    """Add ``holdfast operations``."""
    app.command("operations")(run_operations)


def run_operations(
    catalogue: CatalogueOption,
    steps: Annotated[bool, typer.Option("--steps", help="Show each step too.")] = False,
    archived: Annotated[
        bool, typer.Option("--archived", help="Show those in the archive too.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what was done, in the order it was accepted, and how it ended."""
    rows = run_program(_read(catalogue, archived=archived))
    if as_json:
        tell_json(rows)
        return
    for row in rows:
        tell(*_lines(row, with_steps=steps))
    unfinished = sum(not row.ended_s for row in rows)
    tail = f", {unfinished} unfinished: run holdfast recover" if unfinished else ""
    tell(f"{len(rows)} operations{tail}")


async def _read(path: Path, *, archived: bool) -> list[OperationRow]:
    check_exists(path)
    async with open_catalogue(path) as catalogue:
        rows = await catalogue.transact(_rows)
        before = [one async for one in _archived(catalogue)] if archived else []
    # A move that a crash broke off leaves an operation in both; the catalogue's is the one.
    known = {row.id for row in rows}
    return sorted(
        (*(one for one in before if one.id not in known), *rows),
        key=lambda row: (row.accepted_s, row.id),
    )


def _rows(tx: Transaction) -> list[OperationRow]:
    return [
        _row(operation, tx.intact(Step, operation=operation.id))
        for operation in tx.intact(Operation)
    ]


async def _archived(catalogue: Catalogue) -> AsyncIterator[OperationRow]:
    after = 0
    while page := await catalogue.archived(after=after):
        for one in page:
            yield _row(one.operation, one.steps)
        after = page[-1].number


def _row(operation: Operation, steps: Sequence[Step]) -> OperationRow:
    plan = _kinds(operation)
    return OperationRow(
        id=operation.id,
        kind=operation.kind,
        subject=operation.subject,
        state=operation.state.value,
        accepted_s=operation.accepted_s,
        ended_s=operation.ended_s,
        error=operation.error,
        left=operation.left,
        steps=tuple(
            StepRow(
                number=step.index + 1,
                kind=plan[step.index].kind if step.index < len(plan) else _UNREADABLE,
                state=step.state.value,
                error=step.error,
            )
            for step in steps
        ),
        planned=len(plan),
    )


def _kinds(operation: Operation) -> tuple[_Kind, ...]:
    """The kinds of an operation's steps; none where its plan cannot be read."""
    try:
        return msgspec.json.decode(operation.plan, type=tuple[_Kind, ...])
    except (msgspec.MsgspecError, UnicodeError):
        return ()


def _lines(row: OperationRow, *, with_steps: bool) -> list[str]:
    when = datetime.fromtimestamp(row.accepted_s, UTC).strftime("%Y-%m-%d %H:%M:%S")
    lines = [
        f"{when}  {row.id}  {row.kind:<28} {row.subject:<22} "
        f"step {len(row.steps)} of {row.planned}  {row.state}"
        + (f": {row.error}" if row.error else "")
    ]
    lines += [f"    left behind: {name}" for name in row.left]
    if with_steps:
        lines += [
            f"    {step.number:2d}  {step.kind:<28} {step.state}"
            + (f": {step.error}" if step.error else "")
            for step in row.steps
        ]
    return lines
