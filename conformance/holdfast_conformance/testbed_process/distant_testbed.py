"""A testbed in another process, with the interface of one that is here."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

import msgspec

from holdfast.contract.errors import EnvironmentUnavailable
from holdfast.contract.requests import Role
from holdfast.contract.testbed import (
    BadConfig,
    Fault,
    HostPlace,
    Inspector,
    Inventory,
    Testbed,
)
from holdfast_conformance.protocol import Blame, Channel, Refused, encode, readable
from holdfast_conformance.testbed_process.messages import (
    Answer,
    Asked,
    Call,
    Clear,
    Configure,
    Configured,
    Done,
    Failed,
    Heal,
    Inject,
    Introduce,
    Look,
    Misconfigure,
    Misconfigured,
    Seen,
    Standing,
    decode_answered,
)
from holdfast_conformance.testbed_process.provider_and_testbed import Stopped, TestbedTrouble

A = TypeVar("A", bound=Answer)


class Connection:
    """One worker's way to the testbed's process; it asks one thing at a time.

    Args:
        fd: the socket.
    """

    def __init__(self, fd: int) -> None:
        self._channel = Channel(fd, fd)
        self._number = 0

    async def ask(self, call: Call, expected: type[A]) -> A:
        """The answer, while the event loop keeps running.

        Raises:
            EnvironmentUnavailable: the testbed says so.
            TestbedTrouble: it failed in any other way, or its process ended.
        """
        return _as(await self._answer(call), expected)

    async def introduced(self) -> Standing | Refused:
        """What runs, once it does; errors as those of ``ask``."""
        answer = await self._answer(Introduce())
        return answer if isinstance(answer, Refused) else _as(answer, Standing)

    async def _answer(self, call: Call) -> Answer:
        self._send(call)
        while (answer := self._arrived()) is None:
            await readable(self._channel.read_fd)
            self._fill()
        return answer

    def ask_now(self, call: Call, expected: type[A]) -> A:
        """The answer, with nothing else going on: for what is asked where nobody can wait."""
        self._send(call)
        while (answer := self._arrived()) is None:
            self._fill()
        return _as(answer, expected)

    def _send(self, call: Call) -> None:
        self._number += 1
        try:
            self._channel.send(encode(Asked(number=self._number, call=call)))
        except OSError as problem:
            raise TestbedTrouble("its process ended") from problem

    def _fill(self) -> None:
        try:
            if not self._channel.fill():
                raise TestbedTrouble("its process ended")
        except OSError as problem:
            raise TestbedTrouble("its process ended") from problem

    def _arrived(self) -> Answer | None:
        """The answer that is due; one that nobody waits for any more is passed over."""
        while (frame := self._channel.take()) is not None:
            answered = decode_answered(frame[0])
            if answered.number == self._number:
                return answered.answer
        return None


def _as(answer: Answer, expected: type[A]) -> A:
    if isinstance(answer, Failed):
        if answer.missing:
            raise EnvironmentUnavailable(answer.reason)
        raise TestbedTrouble(answer.reason)
    if not isinstance(answer, expected):
        raise TestbedTrouble(f"its process answered with {answer!r}")
    return answer


class DistantInspector(Inspector):
    """The inspector of a namespace, in the testbed's process."""

    def __init__(self, connection: Connection, role: Role, namespace: str) -> None:
        self._connection = connection
        self._look = Look(role=role, namespace=namespace)

    async def inventory(self) -> Inventory:
        """What is there now."""
        return (await self._connection.ask(self._look, Seen)).inventory


class DistantTestbed(Testbed):
    """A running testbed in a process of its own.

    Args:
        connection: to that process.
        standing: what runs there.
        config_type: the provider's.
    """

    def __init__(
        self, connection: Connection, standing: Standing, config_type: type[msgspec.Struct]
    ) -> None:
        self._connection = connection
        self._config_type = config_type
        self._places = standing.places
        self.kind = standing.kind
        self.identity = standing.identity
        self.second_path = standing.second_path
        self.hosts = standing.hosts
        self.faults = frozenset(standing.faults)
        self.data_plane = standing.data_plane

    def place_of(self, host: str) -> HostPlace:
        """Where the testbed said that a host is; whoever reads and is no host is this machine."""
        return self._places.get(host, HostPlace())

    def config(self, role: Role, namespace: str) -> msgspec.Struct:
        """A good configuration."""
        call = Configure(role=role, namespace=namespace)
        return self._decoded(self._connection.ask_now(call, Configured).config)

    def bad_configs(self, role: Role, namespace: str) -> tuple[BadConfig, ...]:
        """Configurations that must be refused."""
        call = Misconfigure(role=role, namespace=namespace)
        return tuple(
            BadConfig(name=row.name, config=self._decoded(row.config), expected=row.expected)
            for row in self._connection.ask_now(call, Misconfigured).rows
        )

    def _decoded(self, config: msgspec.Raw) -> msgspec.Struct:
        return msgspec.json.decode(config, type=self._config_type)

    def inspector(self, role: Role, namespace: str) -> Inspector:
        """The inspector of a namespace."""
        return DistantInspector(self._connection, role, namespace)

    @asynccontextmanager
    async def inject(self, fault: Fault) -> AsyncIterator[None]:
        """Keep a fault in force; it also ends with this process."""
        await self._connection.ask(Inject(fault=fault), Done)
        try:
            yield
        finally:
            await self._connection.ask(Heal(), Done)

    async def remove(self, role: Role, namespace: str) -> None:
        """Remove whatever is left of a namespace."""
        await self._connection.ask(Clear(role=role, namespace=namespace), Done)


async def reach_testbed(fd: int, config_type: type[msgspec.Struct]) -> DistantTestbed:
    """The testbed behind a socket, once it runs.

    Raises:
        Stopped: it does not start.
    """
    connection = Connection(fd)
    try:
        answer = await connection.introduced()
    except TestbedTrouble as problem:
        raise Stopped(Blame.DRIVER, f"its testbed does not start: {problem}") from problem
    if isinstance(answer, Refused):
        raise Stopped(answer.blame, answer.reason)
    return DistantTestbed(connection, answer, config_type)
