"""Object names for keys: every key has one of its own, and names sort as keys do.

Most characters stand for themselves. ``.`` and ``/`` become ``.e`` and ``.f``, ``~`` and the delete
character ``~e`` and ``~f``, and what is at or below ``!`` becomes ``!`` and two digits. So no name
holds a slash, a dot of its own, a space or a control character, which servers and the stores below
them treat as they like; the order of bytes and every prefix stay; and the folding of keys at ``/``
can be left to the server, as folding at ``.f``. A name has at most three bytes for each of the key.
"""

import hashlib
import re
from typing import Final

PARTS_AREA: Final = "!/"
"""Begins the names of everything in the container that is no object; no key's name does."""
KEYS_AFTER: Final = "!/~"
"""Comes after all of that, and before every key's name."""
FOLD: Final = ".f"
AFTER_FOLD: Final = ".g"
"""Comes after every name that goes on after ``FOLD``, and before everything else that follows."""
_ESCAPED: Final = re.compile(r"[\x00-!./~\x7f]")
_CODE: Final = re.compile(r"!([0-9a-f]{2})|[.~]([ef])")
_PAIRS: Final = {".": ".e", "/": ".f", "~": "~e", "\x7f": "~f"}
_PLAIN: Final = {code: char for char, code in _PAIRS.items()}
_DIGEST_BYTES: Final = 16


def name_of(key: str) -> str:
    """The name for a key, or for the beginning of keys."""
    return _ESCAPED.sub(lambda match: _PAIRS.get(match[0]) or f"!{ord(match[0]):02x}", key)


def key_of(name: str) -> str | None:
    """The key a name stands for, or ``None`` for what is no name of a key."""
    key = _CODE.sub(lambda match: chr(int(match[1], 16)) if match[1] else _PLAIN[match[0]], name)
    return key if name_of(key) == name else None


def digest_of(key: str) -> str:
    """A short name that no other key has, where nobody needs to read the key from it."""
    return hashlib.blake2b(key.encode(), digest_size=_DIGEST_BYTES).hexdigest()
