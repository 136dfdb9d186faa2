"""The gateway while its S3 server fails it, and while clients do several things at once."""

import asyncio
import hashlib
import itertools
import threading

import pytest

from fault_world import context
from gateway_world import Container, Gateway, Running
from holdfast.contract.errors import Busy
from holdfast_drivers.object_server_call import Call
from holdfast_drivers.servers.fault_requests import Match, http_answer, requests
from holdfast_drivers.swift.connection import open_connection
from holdfast_drivers.swift.containers import Container as Stored
from holdfast_drivers.swift.gateway.server_image.swift_on_s3.records import Object
from holdfast_drivers.swift.gateway.server_image.swift_on_s3.store import Hands, Store

pytestmark = pytest.mark.slow
RECORD = requests("PUT", "/o/")
"""The request that shows an object."""
DATA = requests("PUT", "/d/")
LISTING = requests("GET", "list-type=2", "prefix=o%2F")
PLACE = requests("PUT", "/c/")
"""The request that changes a container."""


def test_a_refused_removal_of_a_container_changes_nothing(running: Running) -> None:
    """A PUT that meets the removal of its container, which is not empty, is stored all the same."""

    async def story() -> None:
        async with running.gateway.container() as container:
            assert await container.put("a", b"older") == 201
            put = running.gateway.requests.hold(RECORD)
            writing = asyncio.create_task(container.put("a", b"newer"))
            await put.arrived()
            looking = running.gateway.requests.hold(LISTING)
            removing = asyncio.create_task(container.ask("DELETE"))
            await looking.arrived()
            put.release()
            stored = await writing
            looking.release()
            assert (await removing).status_code == 409
            assert stored == 201
            assert await container.get("a") == b"newer"

    running.run(story())


def test_removals_that_are_refused_all_the_time_lose_no_overwrite(running: Running) -> None:
    """What was stored last is there, however often somebody asks that the container be removed."""

    async def story() -> None:
        async with running.gateway.container() as container:
            assert await container.put("a", b"0") == 201
            ended = asyncio.Event()

            async def remove() -> set[int]:
                said: set[int] = set()
                while not ended.is_set():
                    said.add((await container.ask("DELETE")).status_code)
                return said

            removing = [asyncio.create_task(remove()) for _ in range(2)]
            for number in range(1, 60):
                wanted = b"%d" % number
                assert await container.put("a", wanted) == 201
                assert await container.get("a") == wanted
            ended.set()
            assert await asyncio.gather(*removing) == [{409}, {409}]

    running.run(story())


def test_a_container_is_either_removed_or_written_to(running: Running) -> None:
    """Of a PUT into an empty container and its removal at one moment one succeeds, not both."""

    async def story() -> None:
        seen: set[tuple[int, int]] = set()
        for number in range(20):
            async with running.gateway.container() as container:
                stored, removed = await asyncio.gather(
                    container.put("a", b"%d" % number), container.ask("DELETE")
                )
                seen.add((stored, removed.status_code))
                if stored == 201:
                    assert await container.get("a") == b"%d" % number
                else:
                    assert (await container.ask("GET", "a")).status_code == 404
        assert seen <= {(201, 409), (404, 204)}

    running.run(story())


@pytest.mark.parametrize("kind", ["PUT", "PUT over one", "POST"])
def test_a_lost_answer_to_a_record_is_no_refusal(running: Running, kind: str) -> None:
    """Where S3 stored the record and its answer is lost, the request succeeds, and so do reads."""

    async def story() -> None:
        async with running.gateway.container() as container:
            if kind != "PUT":
                assert await container.put("a", b"older") == 201
            lost = running.gateway.requests.lose_answer(RECORD)
            if kind == "POST":
                said = await container.ask("POST", "a", x_object_meta_x="1")
                assert said.status_code == 202
            else:
                assert await container.put("a", b"newer") == 201
            assert lost.met == 1
            assert await container.get("a") == (b"older" if kind == "POST" else b"newer")
            assert await container.names() == ["a"]
            head = await container.ask("HEAD", "a")
            assert head.headers.get("x-object-meta-x") == ("1" if kind == "POST" else None)

    running.run(story())


@pytest.mark.parametrize("over", [False, True])
def test_what_another_gateway_removed_is_not_shown_again_without_its_bytes(
    running: Running, *, over: bool
) -> None:
    """A PUT whose answer is lost, and whose object is removed before anybody looks, is not there:
    what the client is told is true.
    """
    gateway = running.gateway
    look = requests("GET", "/o/")

    async def story() -> None:
        async with gateway.container() as container:
            if over:
                assert await container.put("a", b"older") == 201
            others = set(gateway.keys("o/"))
            lost = gateway.requests.lose_answer(RECORD)
            looking = gateway.requests.hold(lambda chunk: lost.met > 0 and look(chunk))
            putting = asyncio.create_task(container.put("a", b"newer"))
            await looking.arrived()
            await asyncio.to_thread(_remove_newest, gateway, b"newer")
            looking.release()
            stored = await putting
            got = await container.ask("GET", "a")
            assert (stored, got.status_code) in {(201, 200), (503, 404)}
            assert others >= set(gateway.keys("o/")) or stored == 201

    running.run(story())


def _remove_newest(gateway: Gateway, content: bytes) -> None:
    """Remove the object of this content as another gateway on the bucket does."""
    other = Store(gateway.bucket, Hands(threading.Lock, map))
    wanted = hashlib.md5(content, usedforsecurity=False).hexdigest()
    for key in gateway.keys("o/"):
        found = other.read(Object, key)
        if found is not None and found[0].etag == wanted:
            assert other.discard(key, *found)
            return
    raise AssertionError("the record was not stored")


def test_every_request_may_lose_its_answer_once(running: Running) -> None:
    """Whichever answer of S3 is lost, what the client was told is true, for each verb."""

    async def story() -> None:
        for at in range(12):
            async with running.gateway.container() as container:
                await _each_verb(running.gateway, container, at)

    running.run(story())


async def _each_verb(gateway: Gateway, container: Container, at: int) -> None:
    assert await container.put("a", b"older") == 201
    lost = gateway.requests.lose_answer(_number(at))
    stored = await container.put("a", b"newer")
    assert await _read(container, "a") in ([b"newer"] if stored == 201 else [b"older", b"newer"])
    posted = (await container.ask("POST", "a", x_object_meta_x="1")).status_code
    assert await _read(container, "a") in ([b"newer"] if stored == 201 else [b"older", b"newer"])
    deleted = (await container.ask("DELETE", "a")).status_code
    left = await _read(container, "a")
    assert (left is None) if deleted in {204, 404} else (deleted, posted)
    gateway.requests.clear()
    if left is not None:
        assert (await container.ask("DELETE", "a")).status_code == 204
    assert await container.put("b", b"after") == 201
    assert await container.names() == ["b"]
    assert lost.met == 1 or at > 3


def _number(at: int) -> Match:
    """The request that comes after so many others."""
    counter = itertools.count()
    return lambda chunk: _is_request(chunk) and next(counter) == at


def _is_request(chunk: bytes) -> bool:
    return chunk.startswith((b"GET ", b"HEAD ", b"PUT ", b"POST ", b"DELETE "))


async def _read(container: Container, name: str) -> bytes | None:
    got = await container.ask("GET", name)
    if got.status_code == 503:  # it was this read whose answer was lost
        got = await container.ask("GET", name)
    assert got.status_code in {200, 404}
    return got.content if got.status_code == 200 else None


def test_a_lost_answer_to_a_containers_record_is_no_refusal(running: Running) -> None:
    """Making, changing and removing a container succeed where S3 did it and the answer was lost."""

    async def story() -> None:
        async with running.gateway.container() as container:
            running.gateway.requests.lose_answer(PLACE)
            changed = await container.ask("POST", x_container_meta_x="1")
            assert changed.status_code == 204
            running.gateway.requests.lose_answer(PLACE)
            assert (await container.ask("DELETE")).status_code == 204
            running.gateway.requests.lose_answer(PLACE)
            assert (await container.ask("PUT")).status_code == 201
            assert (await container.ask("HEAD")).headers.get("x-container-meta-x") is None

    running.run(story())


def test_a_failed_put_leaves_the_old_version(running: Running) -> None:
    """Where S3 refuses the bytes or the record of a PUT, the object is as it was."""

    async def story() -> None:
        for match, status in itertools.product((DATA, RECORD), (500, 503, 403)):
            async with running.gateway.container() as container:
                assert await container.put("a", b"older") == 201
                running.gateway.requests.answer(match, http_answer(status, "Failed"))
                assert await container.put("a", b"newer") == 503
                running.gateway.requests.clear()
                assert await container.get("a") == b"older"

    running.run(story())


@pytest.mark.parametrize("filled", [True, False])
def test_a_put_that_fails_anywhere_changes_nothing(running: Running, *, filled: bool) -> None:
    """Whichever request of a PUT S3 fails, once, what the client was told is what is there."""

    async def story() -> None:
        for at, status in itertools.product(range(10), (500, 403)):
            async with running.gateway.container() as container:
                if filled:
                    assert await container.put("a", b"older") == 201
                failed = http_answer(status, "Failed")
                running.gateway.requests.answer(_number(at), failed, times=1)
                stored = await container.put("a", b"newer")
                running.gateway.requests.clear()
                left = await _read(container, "a")
                older = b"older" if filled else None
                assert (stored, left) in {(201, b"newer"), (503, older)}, at

    running.run(story())


@pytest.mark.parametrize("at", range(6))
def test_a_failure_in_the_middle_of_a_removal_closes_no_container(
    running: Running, at: int
) -> None:
    """Whichever request of a container's removal S3 fails, objects are stored in it afterwards."""

    async def story() -> None:
        for filled in (False, True):
            async with running.gateway.container() as container:
                if filled:
                    assert await container.put("a", b"older") == 201
                failed = http_answer(500, "InternalError")
                running.gateway.requests.answer(_number(at), failed)
                said = (await container.ask("DELETE")).status_code
                running.gateway.requests.clear()
                if said == 204:
                    assert (await container.ask("PUT")).status_code == 201
                assert await container.put("b", b"newer") == 201
                assert (await container.ask("POST", x_container_meta_x="1")).status_code == 204
                assert await container.get("b") == b"newer"
                assert not filled or await container.get("a") == b"older"

    running.run(story())


def test_a_kill_in_the_middle_of_a_removal_closes_no_container(running: Running) -> None:
    """A gateway that dies while it removes a container leaves one that takes objects."""

    async def story() -> None:
        gateway = running.gateway
        async with gateway.container() as container:
            looking = gateway.requests.hold(LISTING)
            removing = asyncio.create_task(container.ask("DELETE"))
            await looking.arrived()
            await gateway.server.kill()
            looking.release()
            await asyncio.gather(removing, return_exceptions=True)
            await gateway.again()
            await gateway.sign_in_again(container)
            assert await container.put("a", b"newer") == 201
            assert (await container.ask("POST", x_container_meta_x="1")).status_code == 204
            assert await container.get("a") == b"newer"

    running.run(story())


def _encrypted(answer: bytes) -> bytes:
    """An answer with another entity tag of 32 characters, as where the server encrypts."""
    head, end, body = answer.partition(b"\r\n\r\n")
    lines = [
        b'ETag: "0123456789abcdef0123456789abcdef"' if line.lower().startswith(b"etag:") else line
        for line in head.split(b"\r\n")
    ]
    return b"\r\n".join(lines) + end + body


def test_an_entity_tag_of_s3_need_be_no_digest(running: Running) -> None:
    """A bucket that encrypts by default takes objects: its tags are long as an MD5 and are none."""

    async def story() -> None:
        async with running.gateway.container() as container:
            running.gateway.requests.change_answer(DATA, _encrypted)
            assert await container.put("a", b"stored") == 201
            assert await container.get("a") == b"stored"
            assert (await container.ask("HEAD", "a")).headers["etag"].strip('"') == (
                "c9ee90255cdc1ef5f247317065e74111"
            )

    running.run(story())


def test_copies_to_one_name_at_the_same_moment_do_not_stop_the_gateway(running: Running) -> None:
    """Two copies to one key at once, again and again, are both answered, and so is what follows."""

    async def story() -> None:
        async with running.gateway.container() as container:
            assert await container.put("a", b"first") == 201
            assert await container.put("b", b"second") == 201
            for _ in range(20):
                target = f"{container.url.rpartition('/')[2]}/c"
                said = await asyncio.gather(
                    container.ask("COPY", "a", destination=target),
                    container.ask("COPY", "b", destination=target),
                    container.ask("GET"),
                )
                assert [one.status_code in {200, 201, 202} for one in said] == [True] * 3
                assert await container.get("c") in {b"first", b"second"}

    running.run(story())


def test_an_object_that_a_newer_one_overtakes_is_busy(running: Running) -> None:
    """Of two PUTs of one name at once the later is stored, and the earlier may be repeated."""

    async def story() -> None:
        gateway = running.gateway
        async with gateway.container() as container:
            name = container.url.rpartition("/")[2]
            async with open_connection(gateway.config(name)) as connection:
                place = Stored(connection, name)
                held = gateway.requests.hold(DATA)
                earlier = place.put(Call(context("earlier")), "a", b"earlier", {})
                sending = asyncio.create_task(earlier)
                await held.arrived()
                assert await place.put(Call(context("later")), "a", b"later", {})
                held.release()
                with pytest.raises(Busy, match="newer"):
                    await sending
            assert await container.get("a") == b"later"

    running.run(story())
