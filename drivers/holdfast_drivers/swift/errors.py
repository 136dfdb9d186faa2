"""The one table from what Swift answers to what Holdfast says. No message repeats a header."""

from typing import Final

from holdfast.errors import (
    Busy,
    Conflict,
    Corrupt,
    Denied,
    DriverError,
    Exhausted,
    Internal,
    NotFound,
    OutOfRange,
    Unauthenticated,
    Unavailable,
    Unknown,
)

SERVER_ERROR: Final = 500
_REFUSALS: Final[dict[int, tuple[type[DriverError], str]]] = {
    401: (Unauthenticated, "the token is not accepted; see settings user and key"),
    403: (Denied, "the user may not do this; see setting user"),
    404: (NotFound, "there is no such container or object"),
    409: (Conflict, "it is in the way of what is there"),
    413: (OutOfRange, "the server does not take that much at once"),
    416: (OutOfRange, "the range is past the end"),
    422: (Corrupt, "other bytes arrived than were sent"),
    429: (Busy, "the server asks for less requests; nothing was done"),
    498: (Busy, "the server asks for less requests; nothing was done"),
    507: (Exhausted, "the server has no space left"),
}


def refusal(status: int, what: str, body: bytes, *, changes: bool) -> DriverError:
    """The error that an answer means; ``what`` names the request and the server.

    A server that failed at a request which changes something may have done it.
    """
    if status >= SERVER_ERROR and status not in _REFUSALS:
        failed = f"{what}: the server failed with status {status}"
        return Unknown(failed) if changes else Unavailable(failed)
    if status == 409 and not changes:
        return Corrupt(f"{what}: a part of it is lost or another one; restore it from a backup")
    if status == 413 and b"quota" in body.lower():
        return Exhausted(f"{what}: the account's or container's quota is used up")
    if status == 400 and b"413 request entity too large" in body.lower():
        # A manifest is refused with what its segments were answered, and they are small.
        return Exhausted(f"{what}: the account's or container's quota is used up")
    kind, why = _REFUSALS.get(status, (Internal, f"status {status} was not expected"))
    return kind(f"{what}: {why}")
