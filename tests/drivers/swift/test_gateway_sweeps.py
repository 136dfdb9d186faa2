"""What the gateway removes by itself, how it starts, and what it may share with real threads."""

import ast
import asyncio
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engines import require_engine
from gateway_world import Gateway, Running
from holdfast_drivers.servers.fault_requests import http_answer, requests
from holdfast_drivers.servers.running_servers import until_ready
from holdfast_drivers.swift.gateway.pipeline import Sweeping
from holdfast_drivers.swift.gateway.server import answers
from holdfast_drivers.swift.gateway.server_image.swift_on_s3 import keys
from holdfast_drivers.swift.gateway.server_image.swift_on_s3 import store as store_module
from holdfast_drivers.swift.gateway.server_image.swift_on_s3.records import Container as Record
from holdfast_drivers.swift.gateway.server_image.swift_on_s3.records import packed, unpacked

OFTEN = Sweeping(interval_s=0.2, age_s=1.0)
SWEEP_S = 300.0
FORBIDDEN = frozenset({"threading", "concurrent", "queue", "multiprocessing", "asyncio", "_thread"})


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    """A gateway that sweeps all the time."""
    require_engine()
    run = f"gateway-sweeps-{os.getpid()}"
    with asyncio.Runner() as runner, Running(runner, "seaweedfs", run, OFTEN) as found:
        yield found


async def until(look: Callable[[], bool]) -> None:
    """Wait until the bucket is as it should be."""
    async with asyncio.timeout(SWEEP_S):
        while True:
            if await asyncio.to_thread(look):
                return
            await asyncio.sleep(0.1)


@pytest.mark.slow
def test_bytes_that_no_record_names_are_removed(running: Running) -> None:
    """What a PUT left that lost its record goes when it is old, and what is named stays."""

    async def story() -> None:
        gateway = running.gateway
        async with gateway.container() as container:
            assert await container.put("a", b"kept") == 201
            refused = gateway.requests.answer(requests("PUT", "/o/"), http_answer(500))
            assert await container.put("b", b"lost") == 503
            gateway.requests.clear()
            assert refused.met >= 1
            assert len(await gateway.data()) == 2
            await until(lambda: len(gateway.keys("d/")) == 1)
            # The named one is older than the removed one was: it is looked at in each sweep, too.
            assert await container.get("a") == b"kept"

    running.run(story())


@pytest.mark.slow
def test_an_upload_in_parts_that_nobody_ends_is_given_up(running: Running) -> None:
    """Parts that a gateway left when it died go, too."""

    async def story() -> None:
        bucket = running.gateway.bucket
        key = keys.data_key("0" * 32, "left")
        await asyncio.to_thread(bucket.ask, "POST", key, query={"uploads": ""})
        await until(lambda: not bucket.unfinished("d/"))

    running.run(story())


@pytest.mark.slow
def test_a_version_that_may_come_back_is_not_swept(running: Running) -> None:
    """An overwrite that S3 lets wait through many sweeps, and then fails, leaves the old one."""

    async def story() -> None:
        gateway = running.gateway
        async with gateway.container() as container:
            assert await container.put("a", b"oldest") == 201
            writing = gateway.requests.hold(requests("PUT", "/o/"))
            told = asyncio.create_task(container.put("a", b"newest"))
            await writing.arrived()
            looking = gateway.requests.hold(requests("GET", "/c/"))
            writing.release()
            await looking.arrived()
            left = keys.data_key("0" * 32, "left")
            await asyncio.to_thread(gateway.bucket.put_data, left, b"x")
            await until(lambda: left not in gateway.keys("d/"))  # so old is what was replaced, too
            gateway.requests.answer(requests("GET", "/c/"), http_answer(500))
            looking.release()
            said = await told
            gateway.requests.clear()
            assert await container.get("a") == (b"newest" if said == 201 else b"oldest")

    running.run(story())


@pytest.mark.slow
def test_a_container_that_a_kill_left_half_removed_is_whole_again(running: Running) -> None:
    """The sweeper takes the mark away that a gateway left when it died; nobody need write to it."""

    async def story() -> None:
        gateway = running.gateway
        async with gateway.container() as container:
            await gateway.server.kill()
            await asyncio.to_thread(mark, gateway, container.url.rpartition("/")[2])
            assert len(await asyncio.to_thread(marks, gateway)) == 1
            await gateway.again()
            await until(lambda: not marks(gateway))
            await gateway.sign_in_again(container)
            assert (await container.ask("GET")).status_code == 204

    running.run(story())


def mark(gateway: Gateway, name: str) -> None:
    """Write what a gateway writes before it looks whether a container is empty."""
    key = keys.container_key("AUTH_test", name)
    data, tag = gateway.bucket.get(key)
    gateway.bucket.put(key, packed(replace(unpacked(Record, data), closing=True)), replaces=tag)


def marks(gateway: Gateway) -> list[str]:
    """The containers that say that they are being removed."""
    found = [gateway.bucket.get(key)[0] for key in gateway.keys("c/")]
    return [one.decode() for one in found if b'"closing": true' in one]


@pytest.mark.slow
def test_a_removed_container_leaves_nothing(running: Running) -> None:
    """Where its record could not be removed with it, the sweeper does it; nobody sees it before."""

    async def story() -> None:
        gateway = running.gateway
        async with gateway.container() as container:
            before = len(await asyncio.to_thread(gateway.keys, "c/"))
            name = container.url.rpartition("/")[2]
            gateway.requests.answer(requests("DELETE", "/c/"), http_answer(403), times=1)
            assert (await container.ask("DELETE")).status_code == 204
            assert (await container.ask("GET")).status_code == 404
            listed = await container.neighbours()
            assert name not in listed
            await until(lambda: len(gateway.keys("c/")) < before)

    running.run(story())


@pytest.mark.slow
def test_a_gateway_waits_for_an_s3_server_that_is_starting(running: Running) -> None:
    """MinIO answers 503 "not initialized" at first: the gateway waits, and does not end."""

    async def story() -> None:
        gateway = running.gateway
        await gateway.server.kill()
        early = http_answer(503, "XMinioServerNotInitialized")
        refused = gateway.requests.answer(requests("PUT", "/swift "), early, times=5)
        await gateway.server.start()
        await until_ready(gateway.server, answers)
        assert refused.met == 5

    running.run(story())


def test_nothing_in_the_gateway_makes_real_threads_or_their_locks() -> None:
    """Its modules import nothing that has real threads: that would be there before the patch."""
    folder = Path(store_module.__file__).parent
    found = {
        (path.name, name.partition(".")[0])
        for path in folder.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for name in _imported(node)
    }
    assert [one for one in sorted(found) if one[1] in FORBIDDEN] == []


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and not node.level:
        return [node.module or ""]
    return []


@pytest.mark.slow
def test_the_application_is_loaded_after_the_patch_and_its_pool_is_green(running: Running) -> None:
    """Several readers that wait for S3 do not stop the gateway: it answers others meanwhile."""

    async def story() -> None:
        gateway = running.gateway
        async with gateway.container() as container:
            for number in range(4):
                assert await container.put(f"o{number}", b"x") == 201
            await gateway.server.kill()
            await gateway.again()  # so that no record is known any more
            await gateway.sign_in_again(container)
            reading = gateway.requests.hold(requests("GET", "/o/"))
            listing = asyncio.create_task(container.names())
            await reading.arrived()
            assert await container.put("other", b"y") == 201
            reading.release()
            assert "o0" in await listing

    running.run(story())
