"""The channel to another machine: one SSH connection, with a key of ours and a known host key."""

import asyncio
import contextlib
import shlex
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import asyncssh
import msgspec
from asyncssh.constants import EXTENDED_DATA_STDERR

from holdfast.contract.errors import Denied, DriverError, Invalid, Unauthenticated, Unavailable
from holdfast.host_channel.farewell import FAREWELL_S, bid_farewell
from holdfast.host_channel.port import Channel, ChannelProcess, Receiver
from holdfast.host_channel.stderr_tail import Tail, ending


class SshPlace(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where a storage host is and how it lets us in; the files are on this machine."""

    host: str
    port: int = 22
    user: str
    key_file: str
    known_hosts_file: str


class _Talk(ChannelProcess):
    """What runs, or listens, at the other end; the connection calls back with what it says."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._tail = Tail()
        self._channel: Any = None  # asyncssh's own channel is typed in parts only
        self._gone = asyncio.get_running_loop().create_future()

    @property
    def stderr(self) -> bytes:
        return self._tail.data

    def _over(self) -> None:
        if not self._gone.done():
            self._gone.set_result(None)
            self._receiver.ended(ending(self.status, self._tail))

    def write(self, data: bytes) -> None:
        if self._channel is None or self._channel.is_closing() or self._gone.done():
            raise Unavailable("what ran on the storage host has ended")
        try:
            self._channel.write(data)
        except OSError as error:
            raise Unavailable("the connection to the storage host has ended") from error

    def end_input(self) -> None:
        if self._channel is not None:
            with contextlib.suppress(OSError):
                self._channel.write_eof()

    async def close(self) -> None:
        await bid_farewell(self, self._gone)

    def abort(self) -> None:
        if self._channel is not None:
            self._channel.abort()


class _Process(asyncssh.SSHClientSession[bytes], _Talk):
    """A program at the other end."""

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        self._channel = chan

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        if datatype == EXTENDED_DATA_STDERR:
            self._tail.add(data)
        else:
            self._receiver.data_received(data)

    def exit_status_received(self, status: int) -> None:
        self.status = status

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:
        self.status = -1
        self._tail.add(f"killed by signal {signal}\n".encode())

    def connection_lost(self, exc: Exception | None) -> None:
        self._over()


class _Socket(asyncssh.SSHUNIXSession[bytes], _Talk):
    """A Unix socket at the other end."""

    def connection_made(self, chan: asyncssh.SSHUNIXChannel[bytes]) -> None:
        self._channel = chan

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        self._receiver.data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._over()


class SshChannel(Channel):
    """One connection for all programs, made when first needed.

    Args:
        place: where to and with what; nothing is read before the first use.
    """

    def __init__(self, place: SshPlace) -> None:
        self._place = place
        self._connection: asyncssh.SSHClientConnection | None = None
        self._connecting = asyncio.Lock()

    @property
    def where(self) -> str:
        return f"{self._place.user}@{self._place.host}:{self._place.port}"

    async def start(
        self, argv: Sequence[str], receiver: Receiver, *, deadline: float
    ) -> ChannelProcess:
        process = _Process(receiver)
        await self._opened(
            lambda connection: connection.create_session(
                lambda: process, shlex.join(argv), encoding=None
            ),
            deadline,
        )
        return process

    async def connect_unix(
        self, path: str, receiver: Receiver, *, deadline: float
    ) -> ChannelProcess:
        talk = _Socket(receiver)
        await self._opened(
            lambda connection: connection.create_unix_connection(lambda: talk, path), deadline
        )
        return talk

    async def _opened(self, make: Callable[[Any], Awaitable[object]], deadline: float) -> None:
        try:
            async with asyncio.timeout_at(deadline):
                await make(await self._connected())
        except TimeoutError:
            self.abort()
            raise Unavailable(f"{self.where} does not answer (settings host and port)") from None
        except asyncssh.ChannelOpenError as error:
            raise Unavailable(f"{self.where} refuses what was asked: {error.reason}") from error
        except (OSError, asyncssh.Error) as error:
            self.abort()
            raise _refused(self._place, error) from error

    async def _connected(self) -> asyncssh.SSHClientConnection:
        async with self._connecting:
            if self._connection is None or self._connection.is_closed():
                self._connection = await _connect(self._place)
            return self._connection

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        connection.close()
        try:
            async with asyncio.timeout(FAREWELL_S):
                await connection.wait_closed()
        except TimeoutError:
            connection.abort()
            await connection.wait_closed()

    def abort(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort()


async def _connect(place: SshPlace) -> asyncssh.SSHClientConnection:
    try:
        known_hosts = asyncssh.read_known_hosts(place.known_hosts_file)
    except (OSError, ValueError) as error:
        raise Invalid(
            f"known_hosts_file {place.known_hosts_file} cannot be read: {_told(error)}"
        ) from error
    try:
        key = asyncssh.read_private_key(place.key_file)
    except (OSError, asyncssh.KeyImportError) as error:
        raise Invalid(f"key_file {place.key_file} cannot be read: {_told(error)}") from error
    return await asyncssh.connect(
        place.host,
        place.port,
        username=place.user,
        client_keys=[key],
        known_hosts=known_hosts,
        config=None,
        agent_path=None,
        preferred_auth="publickey",
        connect_timeout=None,
        login_timeout=0,
        compression_algs=None,
    )


def _told(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _refused(place: SshPlace, error: Exception) -> DriverError:
    """Which setting an attempt to connect shows to be wrong."""
    where = f"{place.host}:{place.port}"
    match error:
        case asyncssh.PermissionDenied():
            return Unauthenticated(
                f"{where} does not let user {place.user!r} in with this key; "
                f"check the settings user and key_file ({place.key_file})"
            )
        case asyncssh.HostKeyNotVerifiable():
            return Denied(
                f"{where} does not have the host key that is expected of it; "
                f"check the setting known_hosts_file ({place.known_hosts_file})"
            )
        case asyncssh.Error():
            return Unavailable(f"{where} broke the connection off: {error.reason}")
        case _:
            return Unavailable(
                f"{where} cannot be reached (settings host and port): {_told(error)}"
            )
