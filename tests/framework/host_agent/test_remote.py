"""An agent and its client on this machine: answers, errors, deadlines and endings."""

import asyncio
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NoReturn

import pytest

from echo_entry import Ask
from holdfast.concurrency.runtime import runtime
from holdfast.contract.errors import (
    DriverError,
    Exhausted,
    Internal,
    InUse,
    Invalid,
    Precondition,
    Unknown,
)
from holdfast.host_agent.client import RemoteClient
from holdfast.host_agent.listener import listen
from holdfast.host_channel.local import LocalChannel

pytestmark = pytest.mark.slow
SUPPORT = str(Path(__file__).parents[2] / "support")


@pytest.fixture(autouse=True)
def _path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", SUPPORT)


@asynccontextmanager
async def agent(config: bytes = b"store") -> AsyncIterator[RemoteClient]:
    """A client of an agent that this machine runs."""
    client = RemoteClient(LocalChannel(), "echo_entry:entry", config, python=(sys.executable,))
    try:
        yield client
    finally:
        await client.close()


async def ask(client: RemoteClient, verb: str, asked: Ask, seconds: float = 30.0) -> str:
    """One call."""
    answer: str = await client.call(verb, asked, str, deadline=runtime().now() + seconds)
    return answer


def test_many_calls_share_one_agent() -> None:
    """Calls that are under way at once each get their own answer."""

    async def story() -> None:
        async with agent() as client:
            asked = [ask(client, "echo", Ask(str(number))) for number in range(20)]
            assert await asyncio.gather(*asked) == [f"store:{number}" for number in range(20)]

    asyncio.run(story())


def test_errors_arrive_with_all_they_carry() -> None:
    """A driver error is raised here as it was raised there."""

    async def failing(client: RemoteClient, name: str) -> DriverError:
        with pytest.raises(DriverError) as raised:
            await ask(client, "fail", Ask(name))
        return raised.value

    async def story() -> None:
        async with agent() as client:
            held = await failing(client, "InUse")
            rests = await failing(client, "Precondition")
            full = await failing(client, "Exhausted")
        assert isinstance(held, InUse)
        assert held.holders == ("host-a", "host-b")
        assert isinstance(rests, Precondition)
        assert rests.state == "maintenance"
        assert isinstance(full, Exhausted)
        assert (full.what, full.object, full.cause) == ("slots", "vol", "no room")

    asyncio.run(story())


def test_a_defect_there_is_told_without_its_words() -> None:
    """What an unexpected exception says may be a secret; its kind and place are enough."""

    async def story() -> None:
        async with agent() as client:
            with pytest.raises(Internal, match=r"RuntimeError \(echo_entry.py") as raised:
                await ask(client, "break", Ask("hunter2"))
            assert "hunter2" not in str(raised.value)

    asyncio.run(story())


def test_an_agent_that_dies_leaves_an_unknown_outcome_and_is_replaced() -> None:
    """The call that was under way is ``Unknown``; the next one has a new agent."""

    async def story() -> None:
        async with agent() as client:
            with pytest.raises(Unknown, match="signal 9"):
                await ask(client, "die", Ask())
            assert await ask(client, "echo", Ask("again")) == "store:again"

    asyncio.run(story())


def test_a_call_ends_before_its_deadline(tmp_path: Path) -> None:
    """An agent that does not answer in time leaves an unknown outcome, in time."""

    async def story() -> None:
        async with agent() as client:
            await ask(client, "echo", Ask())
            deadline = runtime().now() + 5.0
            with pytest.raises(Unknown, match="in time"):
                await client.call("wait", Ask(path=str(tmp_path / "never")), str, deadline=deadline)
            assert runtime().now() < deadline

    asyncio.run(story())


def test_a_verb_under_way_is_finished_after_its_client_left(tmp_path: Path) -> None:
    """The agent ends when its input does, and not in the middle of a verb."""

    async def story() -> None:
        async with agent() as client:
            waiting = asyncio.ensure_future(ask(client, "wait", Ask("text", str(tmp_path / "go"))))
            # What has not begun when the client leaves never is.
            while not (tmp_path / "go.begun").exists():  # noqa: ASYNC110 - a file is all there is
                await asyncio.sleep(0.01)
            (tmp_path / "go").touch()
            await client.close()
            assert (tmp_path / "go.done").read_text() == "text"
            await asyncio.wait([waiting])
            assert waiting.exception() is None or isinstance(waiting.exception(), Unknown)

    asyncio.run(story())


def test_printing_does_not_get_between_the_answers() -> None:
    """Whatever a verb prints goes to the agent's standard error."""

    async def story() -> None:
        async with agent() as client:
            assert await ask(client, "noise", Ask("quiet")) == "quiet"

    asyncio.run(story())


def test_a_configuration_that_is_refused_is_the_answer() -> None:
    """The entry's own refusal reaches the caller, and nothing is left running."""

    async def story() -> None:
        async with agent(b"refuse") as client:
            with pytest.raises(Invalid, match="can never work"):
                await ask(client, "echo", Ask())

    asyncio.run(story())


@pytest.mark.parametrize("python", ["/nowhere/python3", "/bin/false"])
def test_a_wrong_interpreter_is_named(python: str) -> None:
    """Where no agent can run, the setting is named."""

    async def story() -> None:
        client = RemoteClient(LocalChannel(), "echo_entry:entry", b"", python=(python,))
        with pytest.raises(Invalid, match=python):
            await ask(client, "echo", Ask())
        await client.close()

    asyncio.run(story())


def test_whoever_sees_the_socket_of_an_agent_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name is there from the moment on that the agent listens, also beside one of before."""
    path = tmp_path / "socket"
    seen: list[bool] = []

    class Listener(socket.socket):
        def listen(self, backlog: int = 128, /) -> None:
            seen.append(path.exists())
            super().listen(backlog)

        def accept(self) -> NoReturn:
            seen.append(path.exists())
            raise EOFError

    monkeypatch.setattr(socket, "socket", Listener)
    monkeypatch.setattr(signal, "signal", print)
    with pytest.raises(EOFError):
        listen(str(path), "echo_entry:entry")
    assert seen == [False, True]


def test_an_agent_that_waits_serves_each_client_by_itself(tmp_path: Path) -> None:
    """One listener, a process for each client; a client's process dies alone."""
    path = str(tmp_path / "socket")

    async def story() -> None:
        listener = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "holdfast.host_agent", "--listen", path, "echo_entry:entry"
        )
        try:
            while not Path(path).exists():  # noqa: ASYNC110, ASYNC240 - a file is all there is
                await asyncio.sleep(0.01)
            clients = [
                RemoteClient(LocalChannel(), "echo_entry:entry", name, socket=path)
                for name in (b"one", b"two")
            ]
            with pytest.raises(Unknown):
                await ask(clients[0], "die", Ask())
            assert await ask(clients[1], "echo", Ask("here")) == "two:here"
            assert await ask(clients[0], "echo", Ask("back")) == "one:back"
            for client in clients:
                await client.close()
        finally:
            listener.terminate()
            await listener.wait()

    asyncio.run(story())
