"""Pages of a list in byte order, folded at a delimiter, and tokens that only one list takes."""

import base64
import binascii
import hashlib
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from holdfast.contract.errors import Invalid
from holdfast.contract.requests import ListObjects

_SEAL_BYTES: Final = 12


class Page(msgspec.Struct, frozen=True):
    """Some names of a list, and the token of the next page or nothing."""

    names: tuple[str, ...]
    token: str


class KeyPage(msgspec.Struct, frozen=True):
    """Keys of objects, common prefixes that stand for others, and the token of the next page."""

    keys: tuple[str, ...]
    prefixes: tuple[str, ...]
    token: str


def page_of(names: Sequence[str], scope: str, *, token: str, limit: int) -> Page:
    """The page after ``token``.

    Args:
        names: the whole list, in byte order.
        scope: tells this list from all others, of other stores too.
        token: of the page before, or empty.
        limit: how many names at the most.

    Raises:
        Invalid: the token was never issued for this list.
    """
    # Code points of texts stand in the order of their bytes in UTF-8.
    after = name_in_token(scope, token) if token else ""
    rest = [name for name in names if name > after] if token else names
    page = tuple(rest[:limit])
    return Page(page, page_token(scope, page[-1]) if len(rest) > limit else "")


def key_page(keys: Iterable[str], scope: str, request: ListObjects) -> KeyPage:
    """What is listed of a store's keys, which are in no order.

    Args:
        keys: all keys of the store.
        scope: tells this store from all others.
        request: what is asked for; prefix and delimiter are of the list's scope too.

    Raises:
        Invalid: the token was never issued for this list.
    """
    is_prefix = dict(folded(key, request) for key in keys if key.startswith(request.prefix))
    whole = f"{scope}\0{request.prefix}\0{request.delimiter}"
    page = page_of(sorted(is_prefix), whole, token=request.token, limit=request.limit)
    return KeyPage(
        keys=tuple(name for name in page.names if not is_prefix[name]),
        prefixes=tuple(name for name in page.names if is_prefix[name]),
        token=page.token,
    )


def folded(key: str, request: ListObjects) -> tuple[str, bool]:
    """The name a key is listed under, and whether it is a common prefix up to the delimiter."""
    if not request.delimiter:
        return key, False
    head, found, _ = key[len(request.prefix) :].partition(request.delimiter)
    return (f"{request.prefix}{head}{found}", True) if found else (key, False)


def page_token(scope: str, name: str) -> str:
    """The token of the page after a name."""
    data = name.encode()
    return base64.urlsafe_b64encode(_seal(scope, data) + data).decode()


def name_in_token(scope: str, token: str) -> str:
    """The name after which the page begins.

    Raises:
        Invalid: the token was never issued for this list.
    """
    try:
        data = base64.b64decode(token.encode(), altchars=b"-_", validate=True)
        seal, name = data[:_SEAL_BYTES], data[_SEAL_BYTES:]
        if name and seal == _seal(scope, name):
            return name.decode()
    except (ValueError, binascii.Error):
        pass
    raise Invalid("the page token was never issued for this list; start again without one")


def _seal(scope: str, name: bytes) -> bytes:
    key = hashlib.sha256(scope.encode()).digest()
    return hashlib.blake2b(name, key=key, digest_size=_SEAL_BYTES).digest()
