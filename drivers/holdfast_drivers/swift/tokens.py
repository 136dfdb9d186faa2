"""Page tokens: the name after which a page begins, and a seal of the list that it continues."""

import base64
import binascii
import hashlib
from typing import Final

from holdfast.errors import Invalid

_SEAL_BYTES: Final = 12


def _seal(scope: str, name: bytes) -> bytes:
    return hashlib.blake2b(scope.encode() + b"\0" + name, digest_size=_SEAL_BYTES).digest()


def sealed(scope: str, name: str) -> str:
    """The token of the page after ``name`` in the list that ``scope`` tells from all others."""
    data = name.encode()
    return base64.urlsafe_b64encode(_seal(scope, data) + data).decode()


def opened(scope: str, token: str) -> str:
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
