"""What refers to a secret: a variable, a file, a command, or what is kept beside the catalogue."""

import asyncio
import enum
import os
import select
import shlex
import signal
import stat
import subprocess
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import msgspec

from holdfast.concurrency.runtime import runtime
from holdfast.contract.errors import ConfigurationError, EnvironmentUnavailable
from holdfast.credentials.secret_keeper import SecretKeeper

SECRET_BYTES_MAX: Final = 64 << 10
_COMMAND_S: Final = 10.0


class ReferenceKind(enum.StrEnum):
    """Where a secret is looked up."""

    ENV = "env"
    FILE = "file"
    CMD = "cmd"
    KEPT = "kept"


class Reference(msgspec.Struct, frozen=True):
    """``KIND:TARGET``: a variable's name, a file's absolute path, a command, or a kept name."""

    kind: ReferenceKind
    target: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.target}"


class SecretMissing(EnvironmentUnavailable):
    """What a reference refers to is not there now."""


def reference_of(value: str) -> Reference | None:
    """The reference that a value is, or ``None`` where it is a secret itself."""
    kind, colon, target = value.partition(":")
    if not colon or not target or kind not in set(ReferenceKind):
        return None
    return Reference(ReferenceKind(kind), target)


async def resolve(reference: Reference, keeper: SecretKeeper) -> str:
    """The secret that a reference refers to now.

    Raises:
        SecretMissing: it cannot be had; the message names the reference and no secret.
    """
    match reference.kind:
        case ReferenceKind.ENV:
            secret = _variable(reference.target)
        case ReferenceKind.FILE:
            secret = await runtime().run_blocking(_read, reference.target)
        case ReferenceKind.CMD:
            clock = asyncio.get_running_loop().time
            secret = await runtime().run_blocking(_asked, reference.target, clock)
        case ReferenceKind.KEPT:
            secret = await _kept(keeper, reference.target)
    return secret


def _variable(name: str) -> str:
    data = os.environb.get(os.fsencode(name))
    if not data:
        raise SecretMissing(f"the variable {name} is not set; set it")
    return _decoded(data, f"the variable {name}")


async def _kept(keeper: SecretKeeper, name: str) -> str:
    try:
        secret = await keeper.find(name)
    except ConfigurationError as problem:
        raise SecretMissing(str(problem)) from None
    if not secret:
        raise SecretMissing(
            "it is not in the file of secrets beside the catalogue; restore that file"
        )
    return secret


def _read(path: str) -> str:
    if not os.path.isabs(path):  # noqa: PTH117 - nothing is read before it is known
        raise SecretMissing(f"{path} is no absolute path; give the whole path of the file")
    try:
        # A link is the user's own; what is no file would block, or never end.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as file:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise SecretMissing(f"{path} is no regular file")
            data = file.read(SECRET_BYTES_MAX + 1)
    except OSError as error:
        raise SecretMissing(f"{path} cannot be read: {error.strerror}") from error
    except ValueError:
        raise SecretMissing(f"{path!r} is no path") from None
    return _text(data, path)


def _asked(command: str, clock: Callable[[], float]) -> str:
    running = _started(command)
    with running:  # its end waits for the process
        try:
            data = _said(running, clock)
        except BaseException:
            _end(running)
            raise
        if data is None:
            _end(running)
            raise SecretMissing(f"the command {_name(command)} gave no answer in time")
    if len(data) <= SECRET_BYTES_MAX and running.returncode:
        raise SecretMissing(f"the command {_name(command)} ended with status {running.returncode}")
    return _text(data, f"the command {_name(command)}")


def _started(command: str) -> subprocess.Popen[bytes]:
    try:
        words = shlex.split(command)
        return subprocess.Popen(  # noqa: S603 - the command is the user's own, and no shell reads it
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # it may say the secret
            bufsize=0,
            start_new_session=True,
        )
    except (OSError, ValueError, IndexError) as error:
        raise SecretMissing(
            f"the command {_name(command)} cannot be run: {type(error).__name__}"
        ) from None


def _said(running: "subprocess.Popen[bytes]", clock: Callable[[], float]) -> bytes | None:
    """What a command says until it ends, or a little more than a secret may have, after which it is
    ended; ``None`` where it does not end in time.

    A child that it leaves behind may hold its output open; who waits for that has no answer either.
    """
    assert running.stdout is not None
    output = bytearray()
    until = clock() + _COMMAND_S
    watched = select.poll()
    watched.register(running.stdout, select.POLLIN)
    while len(output) <= SECRET_BYTES_MAX:
        if not watched.poll(max(0.0, until - clock()) * 1000):
            return None
        data = os.read(running.stdout.fileno(), SECRET_BYTES_MAX + 1 - len(output))
        if not data:
            break
        output += data
    else:
        _end(running)
    try:
        running.wait(max(0.0, until - clock()))
    except subprocess.TimeoutExpired:
        return None
    return bytes(output)


def _end(running: "subprocess.Popen[bytes]") -> None:
    """End a command with all that it has started; it was not waited for, so its number is its."""
    if running.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)


def _name(command: str) -> str:
    """The program alone: its arguments may be secrets, and so may what a shell would take for a
    variable and its value; there is no shell.
    """
    return command.split(maxsplit=1)[0].partition("=")[0] if command.strip() else "''"


def _text(data: bytes, where: str) -> str:
    """A secret as it was written, without the end of its line."""
    text = _decoded(data, where).removesuffix("\n").removesuffix("\r")
    if not text:
        raise SecretMissing(f"{where} gives nothing")
    return text


def _decoded(data: bytes, where: str) -> str:
    if len(data) > SECRET_BYTES_MAX:
        raise SecretMissing(f"{where} gives more than {SECRET_BYTES_MAX} bytes, which is no secret")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise SecretMissing(f"{where} gives no text in UTF-8") from None
