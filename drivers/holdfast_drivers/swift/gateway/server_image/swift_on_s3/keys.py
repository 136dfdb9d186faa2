"""Where everything is in the bucket: keys that sort as Swift sorts names.

S3 servers refuse or rewrite some keys that are good Swift names (``//``, ``..``, NUL, long path
segments). So a name is escaped byte by byte into letters, digits and four lead characters, such
that the order of keys is the order of names and the key of a prefix is a prefix of the key.
"""

import hashlib
from typing import Final

_SEGMENT: Final = 200
"""A server that keeps keys as paths takes 255 bytes between two slashes."""
_LONGEST: Final = 840
"""Escaped names are cut here, because S3 keys end at 1,024 bytes; a digest takes the rest's
place."""
_END: Final = "!"
"""Ends every name, so that no key is ever the folder of another; sorts before all that follows."""
_CUT: Final = "~~"
_ALPHABET: Final = frozenset("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")


def _lead(byte: int) -> str:
    if byte < 0x30:
        return "!"
    if byte < 0x41:
        return ":"
    if byte < 0x61:
        return "_"
    return "~"


_ESCAPES: Final = tuple(
    chr(byte) if chr(byte) in _ALPHABET else f"{_lead(byte)}{byte:02x}" for byte in range(256)
)
_WIDTH: Final = {"!": 3, ":": 3, "_": 3, "~": 3}


def escaped(name: str) -> str:
    """A name in characters that every S3 server keeps, in the same order."""
    return "".join(map(_ESCAPES.__getitem__, name.encode()))


def _folded(text: str) -> str:
    """Slashes at fixed distances, which keep both order and prefixes."""
    return "/".join(text[at : at + _SEGMENT] for at in range(0, len(text), _SEGMENT))


def leaf(name: str) -> str:
    """The last part of the key of a name."""
    text = escaped(name)
    if len(text) <= _LONGEST:
        return _folded(text + _END)
    digest = hashlib.sha256(name.encode()).hexdigest()
    return _folded(text[:_LONGEST] + _CUT + digest[:40])


def stem(prefix: str) -> str:
    """What the last part of the key of every name with a prefix begins with."""
    return _folded(escaped(prefix)[:_LONGEST])


def name_of(part: str) -> str | None:
    """The name that a last part stands for; None where it was cut and only its record knows."""
    text = part.replace("/", "")
    if len(text) > _LONGEST and text[_LONGEST:].startswith(_CUT):
        return None
    raw = bytearray()
    at = 0
    text = text.removesuffix(_END)
    while at < len(text):
        width = _WIDTH.get(text[at], 1)
        raw.append(int(text[at + 1 : at + 3], 16) if width > 1 else ord(text[at]))
        at += width
    return raw.decode()


def family(part: str) -> str | None:
    """What names that were cut share with their neighbours: among these, keys do not sort."""
    text = part.replace("/", "")
    return text[:_LONGEST] if len(text) > _LONGEST + len(_END) - 1 else None


def account_key(account: str) -> str:
    """The record of an account."""
    return f"a/{leaf(account)}"


def containers_prefix(account: str) -> str:
    """What the records of an account's containers begin with; a digest, as names can be long."""
    return f"c/{hashlib.sha256(account.encode()).hexdigest()[:32]}/"


def container_key(account: str, container: str) -> str:
    """The record of a container."""
    return containers_prefix(account) + leaf(container)


def objects_prefix(container_id: str) -> str:
    """What the records of a container's objects begin with."""
    return f"o/{container_id}/"


def object_key(container_id: str, name: str) -> str:
    """The record of an object."""
    return objects_prefix(container_id) + leaf(name)


def data_key(container_id: str, unique: str, name: str | None = None) -> str:
    """The bytes of one version of an object, written once and never changed; it says of which."""
    return f"d/{container_id}/{unique}" + ("" if name is None else f"-{leaf(name)}")


def record_of(data: str) -> str | None:
    """The key of the record that may name these bytes; None for those of an older gateway."""
    _, container_id, rest = data.split("/", 2)
    _, mark, name = rest.partition("-")
    return objects_prefix(container_id) + name if mark else None
