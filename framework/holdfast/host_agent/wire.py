"""The words between client and agent: frames of a length and a MessagePack value."""

import struct
from collections.abc import Iterator
from typing import Final

import msgspec

from holdfast.contract import errors
from holdfast.contract.errors import DriverError, ErrorKind

VERSION: Final = 2
HELLO: Final = 0
"""The id of the answer to the greeting; calls are numbered from 1."""
PING: Final = "ping"
"""The verb that an agent answers by itself, at once, however much is under way."""
_LENGTH: Final = struct.Struct("<I")
_FRAME_MAX_BYTES: Final = 256 << 20


class Hello(msgspec.Struct, frozen=True, array_like=True):
    """The first frame from the client; the configuration goes to the entry as it is."""

    version: int
    config: bytes


class Call(msgspec.Struct, frozen=True, array_like=True):
    """One call; ``request`` is encoded as its verb wants it."""

    id: int
    verb: str
    request: msgspec.Raw


class Failure(msgspec.Struct, frozen=True, array_like=True):
    """A driver error with all its fields."""

    kind: ErrorKind
    cause: str
    object: str = ""
    holders: tuple[str, ...] = ()
    state: str = ""
    what: str = ""


class Reply(msgspec.Struct, frozen=True, array_like=True):
    """The end of one call: an answer, or a failure."""

    id: int
    answer: msgspec.Raw
    failure: Failure | None = None


_CLASSES: Final[dict[ErrorKind, type[DriverError]]] = {
    error_class.kind: error_class
    for error_class in (
        errors.Invalid,
        errors.OutOfRange,
        errors.Unsupported,
        errors.NotFound,
        errors.Conflict,
        errors.Unauthenticated,
        errors.Denied,
        errors.Busy,
        errors.Unavailable,
        errors.Corrupt,
        errors.Unknown,
        errors.Internal,
    )
}


def failure_of(error: DriverError) -> Failure:
    """What travels of a driver error."""
    return Failure(
        kind=error.kind,
        cause=error.cause,
        object=error.object,
        holders=tuple(getattr(error, "holders", ())),
        state=str(getattr(error, "state", "")),
        what=str(getattr(error, "what", "")),
    )


def error_of(failure: Failure) -> DriverError:
    """The driver error that was raised at the other end."""
    match failure.kind:
        case ErrorKind.IN_USE:
            return errors.InUse(failure.cause, object=failure.object, holders=failure.holders)
        case ErrorKind.PRECONDITION:
            return errors.Precondition(failure.cause, object=failure.object, state=failure.state)
        case ErrorKind.EXHAUSTED:
            return errors.Exhausted(failure.cause, object=failure.object, what=failure.what)
        case _:
            return _CLASSES[failure.kind](failure.cause, object=failure.object)


def frame(value: msgspec.Struct) -> bytes:
    """A value as it travels."""
    data = msgspec.msgpack.encode(value)
    return _LENGTH.pack(len(data)) + data


class Frames:
    """Cuts a stream of bytes into what its frames hold."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The frames that are complete now; ``ValueError`` where the stream is none of ours."""
        self._data += data
        while len(self._data) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._data)
            if length > _FRAME_MAX_BYTES:
                raise ValueError(f"a frame of {length} bytes")
            end = _LENGTH.size + length
            if len(self._data) < end:
                return
            payload = bytes(self._data[_LENGTH.size : end])
            del self._data[:end]
            yield payload
