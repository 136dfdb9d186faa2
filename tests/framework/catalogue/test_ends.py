"""Whatever a catalogue has begun has ended where its context ends."""

import asyncio
import threading
from pathlib import Path

from holdfast.catalogue.observer import observe
from holdfast.catalogue.port import Catalogue
from holdfast.catalogue.sqlite import open_catalogue
from holdfast.concurrency.runtime import RealRuntime, runtime, use_runtime
from holdfast.model.rows import Zone

TURNS = 20


class Gate:
    """Holds up the next commit until it is told to go on."""

    def __init__(self) -> None:
        self.reached, self.open = threading.Event(), threading.Event()

    def before(self) -> None:
        self.reached.set()
        self.open.wait()

    def after(self) -> None:
        """Nothing more."""


async def cancelled_again_and_again(task: asyncio.Task[None]) -> bool:
    """Whether a task goes on although it is cancelled whenever it waits."""
    for _ in range(3):
        task.cancel()
        for _ in range(TURNS):
            await asyncio.sleep(0)
    return not task.done()


async def insert(catalogue: Catalogue, row_id: str) -> str:
    return (await catalogue.transact(lambda tx: tx.insert(Zone(id=row_id, name=row_id)))).id


async def ids(path: Path) -> list[str]:
    async with open_catalogue(path) as catalogue:
        return await catalogue.transact(lambda tx: [zone.id for zone in tx.select(Zone)])


def test_who_is_cancelled_while_it_opens_leaves_the_catalogue_to_others(tmp_path: Path) -> None:
    """What the thread opens meanwhile is closed again: another can open it at once."""
    path = tmp_path / "zone.db"

    async def own() -> None:
        async with open_catalogue(path):
            raise AssertionError("nobody waits for this")

    async def story() -> tuple[bool, bool, list[str]]:
        gate = Gate()
        with observe(gate):
            owner = asyncio.create_task(own())
            await runtime().run_blocking(gate.reached.wait)
            waits = await cancelled_again_and_again(owner)
            gate.open.set()
            await asyncio.wait([owner])
        return waits, owner.cancelled(), await ids(path)

    with use_runtime(RealRuntime(seed=1)):
        assert asyncio.run(story()) == (True, True, [])


def test_a_commit_under_way_has_ended_when_its_catalogue_is_closed(tmp_path: Path) -> None:
    """Cancelled again and again, an owner leaves it only after the commits of others, who have
    their answers.
    """
    path = tmp_path / "zone.db"

    async def own(opened: "asyncio.Future[Catalogue]") -> None:
        async with open_catalogue(path) as catalogue:
            opened.set_result(catalogue)
            await asyncio.Event().wait()

    async def story() -> tuple[bool, bool, list[str], list[str]]:
        opened: asyncio.Future[Catalogue] = asyncio.get_running_loop().create_future()
        owner = asyncio.create_task(own(opened))
        catalogue = await opened
        gate = Gate()
        with observe(gate):
            asked = [asyncio.create_task(insert(catalogue, name)) for name in ("a", "b")]
            await runtime().run_blocking(gate.reached.wait)
            waits = await cancelled_again_and_again(owner)
            gate.open.set()
            await asyncio.wait([owner])
        answered = [task.result() for task in asked if task.done()]
        return waits, owner.cancelled(), answered, await ids(path)

    with use_runtime(RealRuntime(seed=1)):
        assert asyncio.run(story()) == (True, True, ["a", "b"], ["a", "b"])
