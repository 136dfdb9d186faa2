"""What supervisor and worker say to each other: length-prefixed frames on two inherited pipes.

The supervisor sends commands, the worker answers with frames. A trace record travels as the very
bytes that go into the trace file, so that what is judged and what is written cannot differ.
"""

import asyncio
import enum
import fcntl
import os
import struct
from typing import Final

import msgspec

from holdfast.contract.requests import Role
from holdfast.contract.testbed import BackendIdentity
from holdfast_conformance.plan import Plan

_HEADER = struct.Struct(">IB")
_PIPE_BYTES = 1 << 20
FRAME_MAX_BYTES = 256 << 20
REPORT_MAX_BYTES = 8 << 20
"""How long a frame of a worker may be, in which a driver runs."""


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The base of everything said on the pipes, trace records excepted."""


class Setup(Message, frozen=True, kw_only=True, tag="setup"):
    """The first command: what to load and where.

    ``provider`` is the name of an entry point, ``module:Class`` or ``mutant:NAME``. ``testbed`` is
    a kind, or empty for the provider's first. A call may take ``deadline_s``, and ``grace_s``
    beyond it before it counts as hung.
    """

    provider: str
    testbed: str
    run: str
    deadline_s: float
    grace_s: float


class Load(Message, frozen=True, kw_only=True, tag="load"):
    """Open the provider for a role, twice, and read its capabilities: answered by ``Shown``."""

    role: Role
    namespace: str


class Execute(Message, frozen=True, kw_only=True, tag="execute"):
    """Execute a plan in a fresh namespace, and in the neighbour that it may go to: answered by
    trace records and then ``Finished``.
    """

    plan: Plan
    namespace: str


class Stop(Message, frozen=True, kw_only=True, tag="stop"):
    """Execute no further step of the current plan, and clean up without the driver's help."""


class Remove(Message, frozen=True, kw_only=True, tag="remove"):
    """Remove namespaces that an earlier worker left behind: answered by ``Finished``."""

    role: Role
    namespaces: tuple[str, ...]


class Quit(Message, frozen=True, kw_only=True, tag="quit"):
    """Say that this was heard, close the testbed and end."""


Command = Setup | Load | Execute | Stop | Remove | Quit


class Chosen(Message, frozen=True, kw_only=True, tag="chosen"):
    """The provider is loaded; its testbed needs a process unless it runs ``inside`` this one."""

    inside: bool


class Opened(Message, frozen=True, kw_only=True, tag="opened"):
    """The provider is loaded and its testbed runs."""

    provider: str
    distribution: str
    distribution_version: str
    source_sha256: str
    roles: tuple[Role, ...]
    testbed: str
    identity: BackendIdentity
    second_path: str
    hosts: tuple[str, ...]
    faults: tuple[str, ...]
    secret_fields: tuple[str, ...]


class Blame(enum.StrEnum):
    """Whose fault it is that a worker cannot go on."""

    CONFIGURATION = "configuration"
    ENVIRONMENT = "environment"
    DRIVER = "driver"
    HARNESS = "harness"


class Refused(Message, frozen=True, kw_only=True, tag="refused"):
    """The worker cannot go on; it ends after this."""

    blame: Blame
    reason: str


class Shown(Message, frozen=True, kw_only=True, tag="shown"):
    """What loading a role showed; the fields are those of ``trace.Loaded``."""

    defects: tuple[str, ...]
    documents: tuple[str, ...]
    stdout: str


class Finished(Message, frozen=True, kw_only=True, tag="finished"):
    """The command is carried out; ``calls`` is how many driver calls it took."""

    calls: int = 0


class Leaving(Message, frozen=True, kw_only=True, tag="leaving"):
    """It was told to end and does so, as soon as its testbed has cleaned up."""


Report = Chosen | Opened | Refused | Shown | Finished | Leaving


BACKEND_HEARD: Final = b"+"
BACKEND_LEAVES: Final = b"-"
"""What a testbed's process says to the supervisor: it serves the worker whose socket it was given
last, or it was told to end and does so.
"""


class Channel:
    """One end of the two pipes: frames out, frames in.

    Args:
        read: the descriptor that the other side writes to.
        write: the descriptor that the other side reads from.
        frame_max_bytes: how long a frame from there may be.
    """

    def __init__(self, read: int, write: int, frame_max_bytes: int = FRAME_MAX_BYTES) -> None:
        self._frame_max_bytes = frame_max_bytes
        self.read_fd = read
        self.write_fd = write
        self._pending = bytearray()

    def send(self, payload: bytes, *, record: bool = False) -> None:
        """Send one frame, whole. ``BrokenPipeError`` when the other side is gone."""
        view = memoryview(_HEADER.pack(len(payload), record) + payload)
        while view:
            view = view[os.write(self.write_fd, view) :]

    def fill(self) -> bool:
        """Read what has arrived; false at the end of the pipe. Blocks when nothing has."""
        data = os.read(self.read_fd, 1 << 20)
        self._pending += data
        return bool(data)

    def take(self) -> tuple[bytes, bool] | None:
        """The next whole frame among what was read, and whether it is a trace record.

        Raises:
            ValueError: the bytes are no frame: something else wrote into the pipe.
        """
        if len(self._pending) < _HEADER.size:
            return None
        length, record = _HEADER.unpack_from(self._pending)
        if length > self._frame_max_bytes or record > 1:
            raise ValueError("the channel carries something that is no frame")
        end = _HEADER.size + length
        if len(self._pending) < end:
            return None
        payload = bytes(self._pending[_HEADER.size : end])
        del self._pending[:end]
        return payload, bool(record)


def encode(message: Message) -> bytes:
    """The bytes of a message."""
    return msgspec.json.encode(message)


_COMMANDS: msgspec.json.Decoder[Command] = msgspec.json.Decoder(Command)
_REPORTS: msgspec.json.Decoder[Report] = msgspec.json.Decoder(Report)


def decode_command(payload: bytes) -> Command:
    """The command in a frame."""
    return _COMMANDS.decode(payload)


def decode_report(payload: bytes) -> Report:
    """The report in a frame."""
    return _REPORTS.decode(payload)


async def readable(fd: int) -> None:
    """Return when there is something to read."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(fd, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(fd)


def enlarge_pipe(fd: int) -> None:
    """Let the pipe hold more, so that a chatty step need not wait for the drain."""
    try:
        fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    except OSError:
        return  # Over the user's limit; the drain alone will do.
