"""The one rule for what people call things: a name is text that can be read, typed and told from
an id.
"""

import re
import unicodedata
from typing import Final

from holdfast.contract.errors import UsageError
from holdfast.text.foreign import capped, visible

NAME_MAX_BYTES: Final = 128
_SHOWN_MAX: Final = 60
_ID: Final = re.compile(r"[a-z][a-z-]*-[0-9a-f]{16}")
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Control and format characters, halves of characters, and separators of lines."""


class BadName(UsageError):
    """What was given can be nobody's name; the message says why."""


def check_name(noun: str, name: str) -> None:
    """Refuse what can be no name of a thing.

    Raises:
        BadName: it is not 1 to 128 bytes of UTF-8 in NFC, has a character that is not seen, a blank
            at an end, or the shape of an id.
    """
    reason = _defect(name)
    if reason:
        raise BadName(f"{shown(name)} cannot be the name of a {noun}: {reason}")


def shown(name: str) -> str:
    """A name that somebody gave, in quotes, so that it can be read and does not fill a screen."""
    return f"'{capped(visible(name), _SHOWN_MAX)}'"


def is_id(text: str) -> bool:
    """Whether a text has the shape of an id."""
    return _ID.fullmatch(text) is not None


def _defect(name: str) -> str:
    if not name:
        return "it is empty"
    for character in "" if name.isascii() and name.isprintable() else name:
        if unicodedata.category(character) in _UNSEEN:
            return f"it has the character U+{ord(character):04X}, which is not seen"
    size = len(name.encode())
    if size > NAME_MAX_BYTES:
        return f"it has {size} bytes, and at most {NAME_MAX_BYTES} are allowed"
    if name != name.strip():
        return "it has a blank at an end"
    if not unicodedata.is_normalized("NFC", name):
        return "it is not in the normal form NFC, so that another could look the same"
    if is_id(name):
        return "it has the shape of an id"
    return ""
