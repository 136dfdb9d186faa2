"""Calls that are not answered in time: what they cost, and what ends them."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from echo_entry import Ask
from holdfast.concurrency.runtime import UnderWay, runtime, watching
from holdfast.contract.errors import Unknown
from holdfast.host_agent.agent import serve_connection
from holdfast.host_agent.client import RemoteClient
from holdfast.host_agent.wire import VERSION, Call, Hello, frame
from holdfast.host_channel.local import LocalChannel

pytestmark = pytest.mark.slow
SUPPORT = str(Path(__file__).parents[2] / "support")
LONG_S = 600.0
SHORT_S = 5.0
MORE_THAN_THREADS = 40


@pytest.fixture(autouse=True)
def _path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", SUPPORT)


@asynccontextmanager
async def agent() -> AsyncIterator[RemoteClient]:
    """A client of an agent that this machine runs."""
    client = RemoteClient(LocalChannel(), "echo_entry:entry", b"store", python=(sys.executable,))
    try:
        yield client
    finally:
        await client.close()


async def ask(client: RemoteClient, verb: str, asked: Ask, seconds: float = LONG_S) -> str:
    """One call."""
    answer: str = await client.call(verb, asked, str, deadline=runtime().now() + seconds)
    return answer


async def until(path: Path) -> None:
    """Return when a file is there."""
    while not path.exists():  # noqa: ASYNC110, ASYNC240 - a file is all there is
        await asyncio.sleep(0.01)


def test_one_late_answer_costs_its_own_call_only(tmp_path: Path) -> None:
    """Calls that run beside a late one are answered, by the same agent; so are those after it."""

    async def story() -> None:
        async with agent() as client:
            before = await ask(client, "pid", Ask())
            beside = asyncio.ensure_future(ask(client, "wait", Ask("beside", str(tmp_path / "go"))))
            with pytest.raises(Unknown, match="in time"):
                await ask(client, "wait", Ask("late", str(tmp_path / "late")), SHORT_S)
            (tmp_path / "go").touch()
            assert await beside == "beside"
            (tmp_path / "late").touch()
            assert await ask(client, "echo", Ask("after")) == "store:after"
            assert await ask(client, "pid", Ask()) == before

    asyncio.run(story())


def test_a_late_call_is_known_to_act_until_it_is_answered(tmp_path: Path) -> None:
    """Whoever holds the object's turn is told that the call has ended, and not before it has."""

    async def story() -> None:
        async with agent() as client:
            await ask(client, "echo", Ask())
            acting = UnderWay()
            with watching(acting), pytest.raises(Unknown, match="in time"):
                await ask(client, "wait", Ask("late", str(tmp_path / "late")), SHORT_S)
            assert acting.pending
            (tmp_path / "late").touch()
            assert await acting.ended()
            assert (tmp_path / "late.done").read_text() == "late"

    asyncio.run(story())


def test_a_call_that_was_cancelled_is_known_to_act_until_it_is_answered(tmp_path: Path) -> None:
    """Whoever cancels who waits has not stopped the call."""

    async def story() -> None:
        async with agent() as client:
            acting = UnderWay()
            with watching(acting):
                waiting = asyncio.ensure_future(
                    ask(client, "wait", Ask("late", str(tmp_path / "late")))
                )
            await until(tmp_path / "late.begun")
            waiting.cancel()
            await asyncio.wait([waiting])
            assert acting.pending
            (tmp_path / "late").touch()
            assert await acting.ended()
            assert await ask(client, "echo", Ask("after")) == "store:after"

    asyncio.run(story())


def test_an_agent_that_says_nothing_at_all_is_given_up() -> None:
    """A frozen agent is found out by its silence; what it had is ``Unknown``, the next is new."""

    async def story() -> None:
        async with agent() as client:
            frozen = int(await ask(client, "pid", Ask()))
            os.kill(frozen, signal.SIGSTOP)
            beside = asyncio.ensure_future(ask(client, "echo", Ask("beside")))
            with pytest.raises(Unknown):
                await ask(client, "echo", Ask("late"), SHORT_S)
            with pytest.raises(Unknown):
                await beside
            assert int(await ask(client, "pid", Ask())) != frozen

    asyncio.run(story())


def test_an_agent_that_leaves_too_many_calls_unanswered_is_given_up(tmp_path: Path) -> None:
    """It answers pings and no calls: all its threads are stuck, and a new agent has new ones."""

    async def late(client: RemoteClient) -> str:
        return await ask(client, "wait", Ask("late", str(tmp_path / "never")), SHORT_S)

    async def story() -> None:
        async with agent() as client:
            stuck = await ask(client, "pid", Ask())
            ends = await asyncio.gather(
                *(late(client) for _ in range(MORE_THAN_THREADS)), return_exceptions=True
            )
            assert {type(end) for end in ends} == {Unknown}
            assert await ask(client, "pid", Ask()) != stuck

    asyncio.run(story())


def test_what_was_not_begun_when_the_client_left_never_is(tmp_path: Path) -> None:
    """Calls that wait for a thread are dropped with their client; those under way are finished."""
    calls = [
        *(("wait", Ask("text", str(tmp_path / "go"))) for _ in range(MORE_THAN_THREADS)),
        ("note", Ask("text", str(tmp_path / "note"))),
    ]
    sent = b"".join(
        frame(Call(number, verb, msgspec.Raw(msgspec.msgpack.encode(asked))))
        for number, (verb, asked) in enumerate(calls, 1)
    )

    async def story() -> None:
        ours, theirs = socket.socketpair()
        with ours:
            serving = asyncio.ensure_future(serve_connection("echo_entry:entry", theirs))
            ours.sendall(frame(Hello(VERSION, b"store")) + sent)
            ours.shutdown(socket.SHUT_WR)
            # The end of the input is an event before the first look after a call was begun.
            await until(tmp_path / "go.begun")
            (tmp_path / "go").touch()
            await serving
        assert (tmp_path / "go.done").read_text() == "text"
        assert not (tmp_path / "note").exists()

    asyncio.run(story())
