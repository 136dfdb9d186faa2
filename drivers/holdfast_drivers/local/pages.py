"""Pages of sorted names. A token carries the last name and a seal of the list it continues."""

import base64
import binascii
import hashlib

import msgspec

from holdfast.errors import Invalid

_SEAL_BYTES = 12


class Page(msgspec.Struct, frozen=True):
    """Some names of a list, and the token of the next page or nothing."""

    names: tuple[str, ...]
    token: str


def page_of(names: list[str], scope: str, *, token: str, limit: int) -> Page:
    """The page after ``token`` of a list in byte order; ``scope`` tells one list from another.

    Raises:
        Invalid: the token was never issued for this list.
    """
    after = _opened(scope, token) if token else b""
    rest = [name for name in names if name.encode() > after] if token else names
    page = tuple(rest[:limit])
    return Page(page, _sealed(scope, page[-1].encode()) if len(rest) > limit else "")


def _seal(scope: str, name: bytes) -> bytes:
    return hashlib.blake2b(name, key=hashlib.sha256(scope.encode()).digest()).digest()[:_SEAL_BYTES]


def _sealed(scope: str, name: bytes) -> str:
    return base64.urlsafe_b64encode(_seal(scope, name) + name).decode()


def _opened(scope: str, token: str) -> bytes:
    try:
        data = base64.b64decode(token.encode(), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        data = b""
    seal, name = data[:_SEAL_BYTES], data[_SEAL_BYTES:]
    if not name or seal != _seal(scope, name):
        raise Invalid("the page token was never issued for this list; start again without one")
    return name
