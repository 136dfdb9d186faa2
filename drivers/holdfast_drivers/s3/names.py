"""Object keys as S3 keys: injective, in the same order, and free of what servers refuse or fold.

Letters and digits stand for themselves. Every other byte is three characters, whose first sorts
where the byte does: ``-`` below the digits, ``=`` between digits and capitals, ``_`` between
capitals and small letters, ``~`` above them; two hexadecimal digits follow. So a listing of encoded
keys is a listing of keys, and a prefix of a key is a prefix of its code. No code has a slash of the
key's own, a dot, or two equal names that differ in case only by accident; long ones are broken into
folders, since servers on file systems allow 255 bytes in a name.
"""

import re
from typing import Final

CHUNK_BYTES: Final = 64
"""How many bytes of a key go into one name of a path."""
_BREAK: Final = "+/"
"""Ends a name that goes on; ``+`` is in no code, so that no object is the folder of another."""
_CODE: Final = re.compile(r"[0-9A-Za-z]|[-=_~][0-9a-f]{2}")
_FIRST_AFTER_DIGITS, _FIRST_AFTER_CAPITALS, _FIRST_AFTER_SMALL = 0x3A, 0x5B, 0x7B


def _code(byte: int) -> str:
    character = chr(byte)
    if byte < 0x80 and character.isalnum():
        return character
    if byte < _FIRST_AFTER_DIGITS:
        mark = "-"
    elif byte < _FIRST_AFTER_CAPITALS:
        mark = "="
    elif byte < _FIRST_AFTER_SMALL:
        mark = "_"
    else:
        mark = "~"
    return f"{mark}{byte:02x}"


_CODES: Final = tuple(_code(byte) for byte in range(256))


def encoded(key: str) -> str:
    """The code of a key, or of the beginning of one."""
    data = key.encode()
    chunks = (data[start : start + CHUNK_BYTES] for start in range(0, len(data), CHUNK_BYTES))
    return _BREAK.join("".join(_CODES[byte] for byte in chunk) for chunk in chunks)


def decoded(name: str) -> str | None:
    """The key that a code stands for; ``None`` where it is none."""
    data = bytearray()
    for code in _CODE.findall(name):
        data += code.encode() if len(code) == 1 else bytes.fromhex(code[1:])
    try:
        key = data.decode()
    except UnicodeDecodeError:
        return None
    return key if encoded(key) == name else None


def after_all_of(prefix: str) -> str:
    """A name after every code that begins with the code of ``prefix``, and before all others."""
    return f"{encoded(prefix)}~~"
