"""The management protocol of tgt, spoken on its Unix socket. Runs on the storage host; blocking.

A request is a header of 120 bytes and ``key=value`` pairs that end with a zero byte; an answer is
an error number, its own length and text (tgt 1.0.85, ``usr/tgtadm.h``). Secrets travel in the
request, and so are in no process's arguments. tgt keeps everything in memory only.
"""

import enum
import hashlib
import re
import socket
import struct
from itertools import zip_longest
from typing import Final

import msgspec

_HEADER: Final = struct.Struct("<ii64sIiQQIIIIII")
_ANSWER: Final = struct.Struct("<II")
_DRIVER: Final = b"iscsi"
_READ_BYTES: Final = 1 << 16
_ALL_TARGETS: Final = -1
TARGET_MAX: Final = (1 << 31) - 1


class Mode(enum.IntEnum):
    """What a request is about."""

    SYSTEM = 0
    TARGET = 1
    LUN = 2
    SESSION = 5
    CONNECTION = 6
    ACCOUNT = 7


class Op(enum.IntEnum):
    """What is to be done with it."""

    NEW = 0
    DELETE = 1
    SHOW = 2
    BIND = 3
    UNBIND = 4
    UPDATE = 5


class TgtErrno(enum.IntEnum):
    """The errors that callers tell apart."""

    NO_TARGET = 4
    NO_LUN = 5
    NO_SESSION = 6
    NO_CONNECTION = 7
    TARGET_EXISTS = 9
    BINDING_EXISTS = 10
    ACL_EXISTS = 12
    NO_ACL = 13
    ACCOUNT_EXISTS = 14
    NO_ACCOUNT = 15
    INVALID_REQUEST = 17
    TARGET_ACTIVE = 19
    LUN_ACTIVE = 20


class TgtRefused(Exception):
    """tgt answered with an error; ``number`` is its own, and may be none of ``TgtErrno``."""

    def __init__(self, number: int, what: str) -> None:
        super().__init__(f"tgt refuses to {what}: error {number}")
        self.number = number


class TgtUnreachable(Exception):
    """tgt does not listen, or gave no answer; ``absent``: nobody listens, so nobody serves."""

    def __init__(self, what: str, *, absent: bool) -> None:
        super().__init__(what)
        self.absent = absent


class Connection(msgspec.Struct, frozen=True):
    """One connection of a session to a target."""

    session: int
    connection: int
    initiator: str


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A target as tgt has it: ``luns`` maps a LUN to its backing file, LUN 0 left out."""

    number: int
    name: str
    luns: tuple[tuple[int, str], ...] = ()
    accounts: tuple[str, ...] = ()
    initiators: tuple[str, ...] = ()
    connections: tuple[Connection, ...] = ()


class Tgt:
    """One tgtd, by its management socket.

    Args:
        path: of the socket.
        timeout_s: how long one answer may take.
    """

    def __init__(self, path: str, timeout_s: float = 10.0) -> None:
        self._path = path
        self._timeout_s = timeout_s

    def is_ready(self) -> bool:
        """Whether tgt serves; false also where nobody listens."""
        try:
            return "State: ready" in self._call("show the system", Mode.SYSTEM, Op.SHOW)
        except TgtUnreachable:
            return False

    def targets(self) -> tuple[Target, ...]:
        """All targets with what is bound to them."""
        return parse_targets(self._call("show targets", Mode.TARGET, Op.SHOW, target=_ALL_TARGETS))

    def has_target(self, number: int) -> bool:
        """Whether there is a target with this number; much cheaper than looking at all."""
        try:
            self._call("ask for a target", Mode.TARGET, Op.SHOW, target=number)
        except TgtRefused as refused:
            if refused.number == TgtErrno.NO_TARGET:
                return False
            raise
        return True

    def target(self, number: int) -> Target | None:
        """The target with this number, if there is one; tgt describes all or none."""
        if not self.has_target(number):
            return None
        return next((target for target in self.targets() if target.number == number), None)

    def new_target(self, number: int, name: str, parameters: tuple[tuple[str, str], ...]) -> None:
        """Make a target that nobody may log in to yet; ``parameters`` are those of a session."""
        self._call("make a target", Mode.TARGET, Op.NEW, f"targetname={name}", target=number)
        for key, value in parameters:
            what = f"set {key} of a target"
            self._call(what, Mode.TARGET, Op.UPDATE, f"{key}={value}", target=number)

    def delete_target(self, number: int) -> bool:
        """Delete a target with its LUNs and sessions; false while a command is at work.

        Commands to a LUN that is gone are answered by LUN 0, which is then at work itself.
        """
        with _none(TgtErrno.NO_TARGET):
            return self._unless_active("delete a target", Mode.TARGET, number, force=1)
        return True

    def new_lun(self, number: int, lun: int, path: str, *, serial: str, read_only: bool) -> None:
        """Serve a file, thinly, under a serial number of at most 36 characters of its own."""
        options = f"path={path},bstype=rdwr"
        self._call("make a LUN", Mode.LUN, Op.NEW, options, target=number, lun=lun)
        identity = f"vendor_id=HOLDFAST,product_id=VOLUME,scsi_sn={serial},scsi_id={serial}"
        flags = f"thin_provisioning=1,readonly={int(read_only)}"
        options = f"{identity},{flags}"
        self._call("set up a LUN", Mode.LUN, Op.UPDATE, options, target=number, lun=lun)

    def delete_lun(self, number: int, lun: int) -> bool:
        """Take a file away, at once and for every session; false while a command is at work.

        Commands that come later are answered with "logical unit not supported". An initiator that
        is never idle keeps its LUN active for ever, unless it is forbidden and hung up on.
        """
        with _none(TgtErrno.NO_LUN, TgtErrno.NO_TARGET):
            return self._unless_active("delete a LUN", Mode.LUN, number, lun=lun)
        return True

    def allow(self, number: int, initiator: str) -> None:
        """Let one initiator name log in, whatever its address."""
        options = f"initiator-name={initiator}"
        with _none(TgtErrno.ACL_EXISTS):
            self._call("allow an initiator", Mode.TARGET, Op.BIND, options, target=number)

    def forbid(self, number: int, initiator: str) -> None:
        """Let an initiator log in no more; its sessions go on."""
        options = f"initiator-name={initiator}"
        with _none(TgtErrno.NO_TARGET, TgtErrno.NO_ACL):
            self._call("forbid an initiator", Mode.TARGET, Op.UNBIND, options, target=number)

    def set_account(self, user: str, secret: str) -> None:
        """Make an account, or give it another secret."""
        self.delete_account(user)
        self._call("make an account", Mode.ACCOUNT, Op.NEW, f"user={user},password={secret}")

    def keep_account(self, user: str, secret: str) -> None:
        """Make an account that several targets share; one that is there stays as it is."""
        with _none(TgtErrno.ACCOUNT_EXISTS):
            self._call("make an account", Mode.ACCOUNT, Op.NEW, f"user={user},password={secret}")

    def bind_account(self, number: int, user: str, *, outgoing: bool = False) -> None:
        """Ask initiators for an account; ``outgoing``: with it the target proves itself."""
        what = "bind an account"
        self._call(
            what, Mode.ACCOUNT, Op.BIND, f"user={user}", target=number, outgoing=int(outgoing)
        )

    def delete_account(self, user: str) -> None:
        """Delete an account wherever it is bound; none is no error."""
        with _none(TgtErrno.NO_ACCOUNT):
            self._call("delete an account", Mode.ACCOUNT, Op.DELETE, f"user={user}")

    def hang_up(self, number: int, connection: Connection) -> None:
        """End a connection; one that is gone is no error."""
        with _none(TgtErrno.NO_TARGET, TgtErrno.NO_SESSION, TgtErrno.NO_CONNECTION):
            self._call(
                "end a connection",
                Mode.CONNECTION,
                Op.DELETE,
                target=number,
                session=connection.session,
                connection=connection.connection,
            )

    def _unless_active(
        self, what: str, mode: Mode, target: int, *, lun: int = 0, force: int = 0
    ) -> bool:
        try:
            self._call(what, mode, Op.DELETE, target=target, lun=lun, force=force)
        except TgtRefused as refused:
            if refused.number == TgtErrno.LUN_ACTIVE:
                return False
            raise
        return True

    def _call(
        self,
        what: str,
        mode: Mode,
        op: Op,
        options: str = "",
        *,
        target: int = 0,
        session: int = 0,
        lun: int = 0,
        connection: int = 0,
        outgoing: int = 0,
        force: int = 0,
    ) -> str:
        body = options.encode() + b"\0" if options else b""
        header = _HEADER.pack(
            mode, op, _DRIVER, _HEADER.size + len(body), target, session, lun,
            connection, 0, 0, outgoing, 0, force,
        )  # fmt: skip
        answer = self._exchange(header + body)
        number, _ = _ANSWER.unpack_from(answer)
        if number:
            raise TgtRefused(number, what)
        return answer[_ANSWER.size :].rstrip(b"\0").decode(errors="replace")

    def _exchange(self, request: bytes) -> bytes:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
            stream.settimeout(self._timeout_s)
            try:
                stream.connect(self._path)
                stream.sendall(request)
                return _whole_answer(stream)
            except OSError as error:
                reason = error.strerror or str(error)
                absent = isinstance(error, ConnectionRefusedError | FileNotFoundError)
                raise TgtUnreachable(f"tgt on {self._path}: {reason}", absent=absent) from error


class _none:  # noqa: N801 - reads as a word at its uses
    """Take some errors of tgt for success: what was to go is not there."""

    def __init__(self, *numbers: TgtErrno) -> None:
        self._numbers = numbers

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        """Whether the error is one of those."""
        return isinstance(error, TgtRefused) and error.number in self._numbers


def _whole_answer(stream: socket.socket) -> bytes:
    answer = bytearray()
    while len(answer) < _ANSWER.size or len(answer) < _ANSWER.unpack_from(answer)[1]:
        piece = stream.recv(_READ_BYTES)
        if not piece:
            raise ConnectionResetError("it hung up in the middle of an answer")
        answer += piece
    return bytes(answer)


_TARGET = re.compile(r"^Target (\d+): (\S+)$", re.MULTILINE)
_CONNECTION = re.compile(
    r"^ +I_T nexus: (\d+)\n +Initiator: (\S+).*?\n(?: +Connection: (\d+)\n)?", re.MULTILINE
)
_LUN = re.compile(r"^ +LUN: (\d+)\n(?:.*\n)*? +Backing store path: (.*)$", re.MULTILINE)


def parse_targets(text: str) -> tuple[Target, ...]:
    """What ``show targets`` answers."""
    heads = list(_TARGET.finditer(text))
    ends = [head.start() for head in heads[1:]]
    return tuple(
        _target(int(head[1]), head[2], text[head.end() : end])
        for head, end in zip_longest(heads, ends)
    )


def _target(number: int, name: str, text: str) -> Target:
    connections = tuple(
        Connection(int(match[1]), int(match[3] or 0), match[2])
        for match in _CONNECTION.finditer(text)
    )
    luns = tuple((int(lun), path) for lun, path in _LUN.findall(text) if lun != "0")
    return Target(
        number=number,
        name=name,
        luns=luns,
        accounts=_lines_under("Account information:", text),
        initiators=_lines_under("ACL information:", text),
        connections=connections,
    )


def _lines_under(title: str, text: str) -> tuple[str, ...]:
    """The entries under a title: they are indented deeper than it."""
    _, heading, rest = text.partition(f"    {title}\n")
    if not heading:
        return ()
    entries: list[str] = []
    for line in rest.splitlines():
        if not line.startswith(" " * 8):
            break
        entries.append(line.split()[0])
    return tuple(entries)


def number_of(name: str) -> int:
    """The number that a target of this name has."""
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") % TARGET_MAX + 1
