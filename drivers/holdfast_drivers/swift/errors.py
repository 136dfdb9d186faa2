"""The one table from what Swift answers to what Holdfast says. No message repeats a header."""

from collections.abc import Sequence
from typing import Final

import msgspec

from holdfast.contract.errors import (
    Busy,
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
_MISMATCHES: Final = ("Etag Mismatch", "Size Mismatch")
_REFUSALS: Final[dict[int, tuple[type[DriverError], str]]] = {
    202: (Busy, "a newer one was stored meanwhile; nothing was done; try again"),
    401: (Unauthenticated, "the token is not accepted; see settings user and key"),
    403: (Denied, "the user may not do this; see setting user"),
    404: (NotFound, "there is no such container or object"),
    409: (Busy, "a newer one was stored meanwhile; nothing was done; try again"),
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
    if status == 413 and b"quota" in body.lower():
        return Exhausted(f"{what}: the account's or container's quota is used up")
    if status == 400 and (answers := _answers_of_parts(body)):
        return _manifest_refusal(what, answers)
    kind, why = _REFUSALS.get(status, (Internal, f"status {status} was not expected"))
    return kind(f"{what}: {why}")


class _PartErrors(msgspec.Struct, frozen=True):
    """Why a manifest is refused: of each part that is in the way its path and what is wrong."""

    errors: list[tuple[str, str]] = msgspec.field(name="Errors")


def _answers_of_parts(body: bytes) -> list[str]:
    try:
        return [why for _, why in msgspec.json.decode(body, type=_PartErrors).errors]
    except msgspec.DecodeError:
        return []


def _manifest_refusal(what: str, answers: Sequence[str]) -> DriverError:
    """The error of a manifest that was not stored, for what its parts were answered."""
    statuses = [int(answer[:3]) for answer in answers if answer[:3].isdigit()]
    if any(status >= SERVER_ERROR for status in statuses):
        return Unavailable(f"{what}: the server cannot look at the parts; nothing was done")
    if 413 in statuses:
        # It stands for the quota: parts that are stored already are not too large.
        return Exhausted(f"{what}: the account's or container's quota is used up")
    if 404 in statuses or any(answer in _MISMATCHES for answer in answers):
        return Busy(f"{what}: a part was removed or sent again while it was joined; try again")
    refused = [_REFUSALS[status] for status in statuses if status in _REFUSALS]
    kind, why = refused[0] if refused else (Internal, f"a part was refused: {answers[0]}")
    return kind(f"{what}: {why}")
