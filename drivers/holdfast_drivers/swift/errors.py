"""The one table from what Swift answers to what Holdfast says. No message repeats a header."""

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

SERVER_ERROR = 500


def refusal(status: int, what: str, body: bytes, *, changes: bool) -> DriverError:
    """The error that an answer means; ``what`` names the request and the server.

    A server that failed at a request which changes something may have done it.
    """
    match status:
        case 401:
            return Unauthenticated(f"{what}: the token is not accepted; see settings user and key")
        case 403:
            return Denied(f"{what}: the user may not do this; see setting user")
        case 404:
            return NotFound(f"{what}: there is no such container or object")
        case 409:
            return Conflict(f"{what}: it is in the way of what is there")
        case 413 if b"quota" in body.lower():
            return Exhausted(f"{what}: the account's or container's quota is used up")
        case 413:
            return OutOfRange(f"{what}: the server does not take that much at once")
        case 416:
            return OutOfRange(f"{what}: the range is past the end")
        case 422:
            return Corrupt(f"{what}: other bytes arrived than were sent")
        case 429 | 498:
            return Busy(f"{what}: the server asks for less requests; nothing was done")
        case 507:
            return Exhausted(f"{what}: the server has no space left")
        case _ if status >= SERVER_ERROR and changes:
            return Unknown(f"{what}: the server failed with status {status}")
        case _ if status >= SERVER_ERROR:
            return Unavailable(f"{what}: the server failed with status {status}")
        case _:
            return Internal(f"{what}: status {status} was not expected")
