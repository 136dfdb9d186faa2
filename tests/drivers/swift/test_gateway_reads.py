"""Reads of the gateway whose object is replaced before they have its bytes."""

import asyncio

import pytest

from gateway_world import Container, Running
from holdfast_drivers.servers.fault_requests import requests

pytestmark = pytest.mark.slow
READS: dict[str, dict[str, str]] = {
    "whole": {},
    "range": {"range": "bytes=1-4"},
    "last bytes": {"range": "bytes=-3"},
    "several ranges": {"range": "bytes=0-1,3-4"},
    "a tag that is another": {"if_none_match": '"0"'},
    "since": {"if_modified_since": "Thu, 01 Jan 1970 00:00:00 GMT"},
    "range and condition": {"range": "bytes=1-4", "if_match": "*"},
}


@pytest.mark.parametrize("kind", READS)
def test_what_is_read_while_it_is_replaced_is_one_version(running: Running, kind: str) -> None:
    """A read whose bytes are replaced before it gets them gives the old ones or the new ones."""

    async def story() -> None:
        async with running.gateway.container() as container:
            wanted = [(await _both(container, data, kind)) for data in (b"oldest", b"newest")]
            assert await container.put("a", b"oldest") == 201
            reading = running.gateway.requests.hold(requests("GET", "/d/"))
            got = asyncio.create_task(container.ask("GET", "a", None, **READS[kind]))
            await reading.arrived()
            assert await container.put("a", b"newest") == 201
            reading.release()
            answer = await got
            assert _told(answer.status_code, answer.content) in wanted

    running.run(story())


async def _both(container: Container, data: bytes, kind: str) -> tuple[int, bytes]:
    assert await container.put("b", data) == 201
    answer = await container.ask("GET", "b", None, **READS[kind])
    return _told(answer.status_code, answer.content)


def _told(status: int, content: bytes) -> tuple[int, bytes]:
    """An answer without what separates its parts, which is new each time."""
    lines = content.split(b"\r\n")
    return status, b"\n".join(line for line in lines if not line.startswith(b"--"))


def test_bytes_that_were_replaced_go_with_their_last_reader(running: Running) -> None:
    """A version that was replaced while it was read leaves nothing behind."""

    async def story() -> None:
        async with running.gateway.container() as container:
            before = await running.gateway.data()
            assert await container.put("a", b"oldest") == 201
            for headers in READS.values():
                reading = running.gateway.requests.hold(requests("GET", "/d/"))
                got = asyncio.create_task(container.ask("GET", "a", None, **headers))
                await reading.arrived()
                assert await container.put("a", b"newest") == 201
                reading.release()
                await got
            assert (await container.ask("DELETE", "a")).status_code == 204
            assert await running.gateway.data() == before

    running.run(story())


def test_overwrites_beside_all_kinds_of_reads(running: Running) -> None:
    """No read of an object that is overwritten all the time fails."""

    async def story() -> None:
        async with running.gateway.container() as container:
            assert await container.put("a", bytes(1000)) == 201
            ended = asyncio.Event()

            async def read(headers: dict[str, str]) -> set[int]:
                said: set[int] = set()
                while not ended.is_set():
                    said.add((await container.ask("GET", "a", None, **headers)).status_code)
                return said

            reading = [asyncio.create_task(read(headers)) for headers in READS.values()]
            for number in range(1, 100):
                assert await container.put("a", bytes([number]) * 1000) == 201
            ended.set()
            assert set().union(*await asyncio.gather(*reading)) <= {200, 206, 304}

    running.run(story())
