"""File names for keys: every key has one of its own, whatever the key and the file system.

Lower-case letters, digits, ``_`` and ``-`` stand for themselves and every other byte for ``%`` and
two digits. So no name contains a slash or a dot, and file systems that fold case or normalise
Unicode see nothing to fold. What becomes too long ends in ``~`` and a digest of the key.
"""

import hashlib
from typing import Final

NAME_MAX: Final = 165
_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789_-")
_DIGEST_BYTES = 32


_SHOWN_MAX: Final = 100
_ID_MAX_BYTES: Final = 128


def shown(text: str) -> str:
    """A name or text that anybody may have written, without what is not printable."""
    plain = "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )
    return plain if len(plain) <= 4 * _SHOWN_MAX else f"{plain[: 4 * _SHOWN_MAX]}..."


def entry_id(*names: str) -> str:
    """What an entry of a store's folder is called by: its names, cut where they are too long."""
    path = "/".join(map(shown, names))
    if len(path.encode()) <= _ID_MAX_BYTES:
        return path
    whole = "/".join(names).encode(errors="surrogateescape")
    digest = hashlib.blake2b(whole, digest_size=8).hexdigest()
    head = path.encode()[:_SHOWN_MAX].decode(errors="ignore")
    return f"{head}~{digest}"


def name_of(key: str, *, longest: int = NAME_MAX) -> str:
    """The file name for a key, of at most ``longest`` (65 or more) ASCII characters."""
    data = key.encode()
    name = "".join(chr(byte) if byte in _PLAIN else f"%{byte:02x}" for byte in data)
    if len(name) <= longest:
        return name
    digest = hashlib.blake2b(data, digest_size=_DIGEST_BYTES).hexdigest()
    return f"{name[: longest - len(digest) - 1]}~{digest}"


def key_of(name: str) -> str | None:
    """The key a name stands for; ``None`` where the name holds only its digest, or is no name."""
    if "~" in name:
        return None
    head, *escaped = name.split("%")
    try:
        data = head.encode() + b"".join(
            bytes.fromhex(piece[:2]) + piece[2:].encode() for piece in escaped
        )
        key = data.decode()
    except ValueError:
        return None
    return key if name_of(key) == name else None
