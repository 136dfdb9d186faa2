"""The gateway under everything at once: writers, removals, and an S3 server that fails it."""

import asyncio
import random

import pytest

from gateway_world import Container, Running
from holdfast_drivers.servers.fault_requests import RequestFaults, http_answer

pytestmark = pytest.mark.slow
ROUNDS = 25
WRITERS = 4
METHODS = (b"GET ", b"PUT ", b"POST ", b"DELETE ")


def fail_at_random(faults: RequestFaults, chance: random.Random) -> None:
    """One answer of ten is lost, and one request of twenty is refused with 500."""

    def sometimes(part: float, chunk: bytes) -> bool:
        return chunk.startswith(METHODS) and chance.random() < part

    faults.lose_answer(lambda chunk: sometimes(0.1, chunk), times=1 << 30)
    faults.answer(lambda chunk: sometimes(0.05, chunk), http_answer(500, "InternalError"))


async def value(container: Container, name: str) -> bytes | None:
    """What is there; asked again while S3 fails the question itself."""
    while True:
        got = await container.ask("GET", name)
        if got.status_code != 503:
            assert got.status_code in {200, 404}, got.status_code
            return got.content if got.status_code == 200 else None


async def write(container: Container, name: str, chance: random.Random) -> None:
    """One writer of one object: what it was told is true each time."""
    known: bytes | None = None
    for number in range(ROUNDS):
        wanted = None if chance.random() < 0.2 else b"%s %d" % (name.encode(), number)
        if wanted is None:
            told = (await container.ask("DELETE", name)).status_code
            done = told in {204, 404}
        else:
            told = await container.put(name, wanted)
            done = told == 201
        assert done or told in {409, 503}, told
        seen = await value(container, name)
        assert seen == wanted if done else seen in {known, wanted}, (name, number, told, known)
        known = seen


def test_what_a_client_was_told_is_true_in_a_storm(running: Running) -> None:
    """Writers of one object each, beside removals of their container, while S3 fails at random."""
    chance = random.Random(9)

    async def story() -> None:
        async with running.gateway.container() as container:
            assert await container.put("stays", b"x") == 201
            ended = asyncio.Event()

            async def remove() -> None:
                while not ended.is_set():
                    said = (await container.ask("DELETE")).status_code
                    assert said in {409, 503}, said

            fail_at_random(running.gateway.requests, chance)
            removing = asyncio.create_task(remove())
            async with asyncio.TaskGroup() as group:
                for number in range(WRITERS):
                    group.create_task(write(container, f"o{number}", chance))
            ended.set()
            await removing
            running.gateway.requests.clear()
            assert await container.get("stays") == b"x"
            for name in await container.names():
                assert (await container.ask("DELETE", name)).status_code == 204
            assert (await container.ask("DELETE")).status_code == 204

    running.run(story())
