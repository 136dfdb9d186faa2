"""Every error Holdfast raises on purpose, and nothing else.

HoldfastError
├── UsageError                  the command or call was wrong             exit 2
├── EnvironmentUnavailable      a tool, server or place is missing        exit 3
├── ConfigurationError          an unknown name or key, a wrong value     exit 5
└── DriverError                 what a driver may raise (interfaces, section 2)
    ├── Invalid, OutOfRange, Unsupported
    ├── NotFound, Conflict
    ├── Unauthenticated, Denied
    ├── InUse, Precondition
    ├── Exhausted, Busy, Unavailable, Corrupt
    ├── Unknown                 no answer to be trusted       (uncertain)
    └── Internal                a defect of driver or backend (uncertain)

A *final* driver error promises that nothing was left behind; after an uncertain one the engine
probes.
"""

import enum
from typing import ClassVar


class ExitCode(enum.IntEnum):
    """The exit codes of ``holdfast``; they are part of its interface."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    UNAVAILABLE = 3
    NOTHING_EXERCISED = 4
    CONFIGURATION = 5


class HoldfastError(Exception):
    """The base of every error that is meant for the person who reads it."""

    exit_code: ExitCode = ExitCode.FAILED


class UsageError(HoldfastError):
    """The command line or a call asked for something that makes no sense."""

    exit_code = ExitCode.USAGE


class EnvironmentUnavailable(HoldfastError):
    """Something outside Holdfast is missing: a tool, a server, a place to write."""

    exit_code = ExitCode.UNAVAILABLE


class ConfigurationError(HoldfastError):
    """A name, key or value in a configuration is not known or not allowed."""

    exit_code = ExitCode.CONFIGURATION


class ErrorKind(enum.StrEnum):
    """The closed vocabulary of what can go wrong inside a driver call."""

    INVALID = "Invalid"
    OUT_OF_RANGE = "OutOfRange"
    UNSUPPORTED = "Unsupported"
    NOT_FOUND = "NotFound"
    CONFLICT = "Conflict"
    UNAUTHENTICATED = "Unauthenticated"
    DENIED = "Denied"
    IN_USE = "InUse"
    PRECONDITION = "Precondition"
    EXHAUSTED = "Exhausted"
    BUSY = "Busy"
    UNAVAILABLE = "Unavailable"
    CORRUPT = "Corrupt"
    UNKNOWN = "Unknown"
    INTERNAL = "Internal"


class Retry(enum.StrEnum):
    """What the caller may do about an error."""

    NEVER = "never"
    AFTER_A_FIX = "after a fix"
    AFTER_RELEASE = "after release"
    AFTER_FREEING = "after freeing"
    BACK_OFF = "back off"
    PROBE_FIRST = "probe first"


class DriverError(HoldfastError):
    """What a driver may raise; only the classes below are ever instantiated.

    Args:
        cause: one sentence for a person: what was wrong, and with which object. Never a secret.
        object: the key of the object concerned, or an empty string.
        verb: the verb that failed; the guard fills it in.
    """

    kind: ClassVar[ErrorKind]
    final: ClassVar[bool] = True
    retry: ClassVar[Retry] = Retry.NEVER

    def __init__(self, cause: str, *, object: str = "", verb: str = "") -> None:
        super().__init__(cause)
        self.cause = cause
        self.object = object
        self.verb = verb

    def __str__(self) -> str:
        where = " ".join(
            part for part in (self.verb, repr(self.object) * bool(self.object)) if part
        )
        return f"{where}: {self.cause}" if where else self.cause


class Invalid(DriverError):
    """The request can never work: malformed or self-contradictory."""

    kind = ErrorKind.INVALID


class OutOfRange(DriverError):
    """A number is outside what the store declares."""

    kind = ErrorKind.OUT_OF_RANGE


class Unsupported(DriverError):
    """The store does not declare the capability that the request needs."""

    kind = ErrorKind.UNSUPPORTED


class NotFound(DriverError):
    """The object is absent, and the backend itself says so."""

    kind = ErrorKind.NOT_FOUND


class Conflict(DriverError):
    """The key is taken by something incompatible, which stays untouched."""

    kind = ErrorKind.CONFLICT


class Unauthenticated(DriverError):
    """The backend does not accept the credentials."""

    kind = ErrorKind.UNAUTHENTICATED
    retry = Retry.AFTER_A_FIX


class Denied(DriverError):
    """The credentials are good and do not suffice."""

    kind = ErrorKind.DENIED
    retry = Retry.AFTER_A_FIX


class InUse(DriverError):
    """The object is granted or has dependents, which are named."""

    kind = ErrorKind.IN_USE
    retry = Retry.AFTER_RELEASE

    def __init__(
        self,
        cause: str,
        *,
        object: str = "",
        verb: str = "",
        holders: tuple[str, ...] = (),
    ) -> None:
        super().__init__(cause, object=object, verb=verb)
        self.holders = holders


class Precondition(DriverError):
    """The object or its store is in the wrong state, which is named."""

    kind = ErrorKind.PRECONDITION
    retry = Retry.AFTER_RELEASE

    def __init__(
        self,
        cause: str,
        *,
        object: str = "",
        verb: str = "",
        state: str = "",
    ) -> None:
        super().__init__(cause, object=object, verb=verb)
        self.state = state


class Exhausted(DriverError):
    """Space, count, depth or slots have run out; ``what`` says which."""

    kind = ErrorKind.EXHAUSTED
    retry = Retry.AFTER_FREEING

    def __init__(
        self,
        cause: str,
        *,
        object: str = "",
        verb: str = "",
        what: str = "space",
    ) -> None:
        super().__init__(cause, object=object, verb=verb)
        self.what = what


class Busy(DriverError):
    """Another operation on the object is pending; nothing was done."""

    kind = ErrorKind.BUSY
    retry = Retry.BACK_OFF


class Unavailable(DriverError):
    """The request was provably not acted upon: refused before it was sent."""

    kind = ErrorKind.UNAVAILABLE
    retry = Retry.BACK_OFF


class Corrupt(DriverError):
    """What is stored is not what was stored."""

    kind = ErrorKind.CORRUPT


class Unknown(DriverError):
    """The request was sent and there is no answer to be trusted."""

    kind = ErrorKind.UNKNOWN
    final = False
    retry = Retry.PROBE_FIRST


class Internal(DriverError):
    """A defect of the driver or its backend."""

    kind = ErrorKind.INTERNAL
    final = False
    retry = Retry.PROBE_FIRST
