"""Catalogues as files, for tests that harm them: made, killed, looked at."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from holdfast.catalogue.port import Catalogue, Damage, Transaction
from holdfast.catalogue.sqlite import open_catalogue
from holdfast.contract.errors import HoldfastError
from holdfast.contract.requests import Role, ScopeKind
from holdfast.model.rows import Lease, LedgerEntry, Operation, Scope, Step, Store, Volume, Zone
from holdfast.model.state_tables import Event
from holdfast.operations.lease import OWNER

T = TypeVar("T")


def within(path: Path, use: Callable[[Catalogue], Awaitable[T]]) -> T:
    """Open a catalogue and use it."""

    async def run() -> T:
        async with open_catalogue(path) as catalogue:
            return await use(catalogue)

    return asyncio.run(run())


def transacted(path: Path, function: Callable[[Transaction], T]) -> T:
    """One transaction on a catalogue that is opened for it."""

    async def use(catalogue: Catalogue) -> T:
        return await catalogue.transact(function)

    return within(path, use)


def fill(tx: Transaction, first: int = 0, count: int = 60) -> None:
    """Rows of several kinds, with content of several pages each."""
    for number in range(first, first + count):
        name = f"{number:05d}"
        tx.insert(Zone(id=f"zone-{name}", name=f"zone {name}"))
        volume = Volume(id=f"vol-{name}", name=name, store="st", key=name, size_bytes=number)
        tx.fire(tx.insert(volume), Event.CREATE_REQUESTED)
        tx.insert(LedgerEntry(id=volume.id, store="st", holder=volume.id, amount_bytes=number))
        plan = msgspec.Raw(b'[{"kind":"noop","version":1,"inputs":{"n":' + b"1" * 300 + b"}}]")
        done = tx.insert(Operation(id=f"op-{name}", kind="k", subject=volume.id, plan=plan))
        tx.insert(Step(id=f"op-{name}.000", operation=done.id, index=0))
        tx.fire(done, Event.OPERATION_SUCCEEDED)
    if tx.find(Lease, OWNER) is None:
        tx.insert(Lease(id=OWNER, owner="somebody", fence=1))
    tx.insert(
        Store(
            id=f"st-{first}",
            name=f"st-{first}",
            role=Role.PRIMARY,
            provider="local",
            scope=Scope(ScopeKind.ZONE, "z"),
            config=msgspec.Raw(b"{}"),
        )
    )


def harm_of(path: Path) -> HoldfastError | tuple[Damage, ...]:
    """What is said of a catalogue: why it is not opened, or what its check names."""

    async def check(catalogue: Catalogue) -> tuple[Damage, ...]:
        return await catalogue.check()

    try:
        return within(path, check)
    except HoldfastError as refused:
        message = str(refused)
        assert str(path) in message, message
        assert "\n" not in message, message
        return refused


def killed(path: Path, *functions: Callable[[Transaction], Any]) -> None:
    """Commit one after another in a process that is then killed: its WAL stays."""
    child = os.fork()
    if not child:
        code = 70
        try:

            async def run() -> None:
                async with open_catalogue(path) as catalogue:
                    for function in functions:
                        await catalogue.transact(function)
                    os.kill(os.getpid(), signal.SIGKILL)

            asyncio.run(run())
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL
