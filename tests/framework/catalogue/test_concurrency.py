"""What every catalogue keeps while many use it at once."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import msgspec

from holdfast.catalogue.port import Catalogue, StaleVersion, Transaction
from holdfast.model.rows import LedgerEntry, Zone

Check = Callable[[Catalogue], Awaitable[None]]
Run = Callable[[Check], None]


def insert_zone(tx: Transaction, row_id: str) -> Zone:
    return tx.insert(Zone(id=row_id, name="a"))


def test_one_that_raises_does_not_harm_its_neighbours(run: Run) -> None:
    """In one commit, the functions beside one that raises are kept, each with its own answer."""

    async def check(catalogue: Catalogue) -> None:
        def function(tx: Transaction, number: int) -> str:
            tx.insert(Zone(id=f"{number:02d}", name="a"))
            if number % 3 == 0:
                raise ValueError(number)
            return f"{number:02d}"

        answers = await asyncio.gather(
            *(catalogue.transact(partial(function, number=n)) for n in range(20)),
            return_exceptions=True,
        )
        kept = await catalogue.transact(lambda tx: [zone.id for zone in tx.select(Zone)])

        expected = [f"{n:02d}" for n in range(20) if n % 3]
        assert expected == [answer for answer in answers if isinstance(answer, str)]
        assert [answer.args[0] for answer in answers if isinstance(answer, ValueError)] == [
            0,
            3,
            6,
            9,
            12,
            15,
            18,
        ]
        assert expected == kept

    run(check)


def test_64_clients_lose_nothing(run: Run) -> None:
    """Clients that count in one row, each on what it read, end at the sum of what they counted."""

    async def check(catalogue: Catalogue) -> None:
        def start(tx: Transaction) -> None:
            tx.insert(LedgerEntry(id="sum", store="s", holder="v", amount_bytes=0))

        await catalogue.transact(start)

        def add(tx: Transaction, client: int, turn: int) -> None:
            total = tx.get(LedgerEntry, "sum")
            tx.update(msgspec.structs.replace(total, amount_bytes=total.amount_bytes + 1))
            tx.insert(Zone(id=f"{client}-{turn}", name=str(client)))

        async def client(number: int) -> None:
            for turn in range(8):
                await catalogue.transact(partial(add, client=number, turn=turn))

        await asyncio.gather(*(client(number) for number in range(64)))
        total, rows = await catalogue.transact(
            lambda tx: (tx.get(LedgerEntry, "sum"), len(tx.select(Zone)))
        )

        assert (total.amount_bytes, total.version, rows) == (512, 513, 512)

    run(check)


def test_of_64_writers_of_one_version_one_wins(run: Run) -> None:
    """Optimistic versions hold among transactions that share a commit."""

    async def check(catalogue: Catalogue) -> None:
        row = await catalogue.transact(lambda tx: tx.insert(Zone(id="z", name="")))

        def rename(tx: Transaction, name: str) -> Zone:
            return tx.update(msgspec.structs.replace(row, name=name))

        answers = await asyncio.gather(
            *(catalogue.transact(partial(rename, name=str(n))) for n in range(64)),
            return_exceptions=True,
        )
        won = [answer for answer in answers if isinstance(answer, Zone)]

        assert sum(isinstance(answer, StaleVersion) for answer in answers) == 63
        assert won == [await catalogue.transact(lambda tx: tx.get(Zone, "z"))]

    run(check)


def test_a_waiter_who_leaves_disturbs_nobody(run: Run) -> None:
    """Cancelling one who waits for a commit leaves all others their answers."""

    async def check(catalogue: Catalogue) -> None:
        tasks = [
            asyncio.create_task(catalogue.transact(partial(insert_zone, row_id=f"{n:02d}")))
            for n in range(10)
        ]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        answers = await asyncio.gather(*tasks, return_exceptions=True)

        assert [f"{n:02d}" for n in range(1, 10, 2)] == [
            answer.id for answer in answers if isinstance(answer, Zone)
        ]
        assert {f"{n:02d}" for n in range(1, 10, 2)} <= {
            zone.id for zone in await catalogue.transact(lambda tx: tx.select(Zone))
        }

    run(check)


def test_transactions_run_in_the_order_asked(run: Run) -> None:
    """Waiting transactions run in the order in which they were asked for, over several commits."""

    async def check(catalogue: Catalogue) -> None:
        def note(_tx: Transaction, number: int) -> None:
            order.append(number)

        order: list[int] = []
        await asyncio.gather(*(catalogue.transact(partial(note, number=n)) for n in range(600)))

        assert order == list(range(600))

    run(check)
