"""How steps are put into words, and what XML cannot carry is kept out of it."""

import enum
import re
from typing import Any, cast

import msgspec

_ILLEGAL_IN_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TEXT_MAX = 80
_BYTES_MAX = 16


def describe_step(step: msgspec.Struct) -> str:
    """One step as a call, defaults left out: ``create_volume(key='a', size_bytes=4096)``."""
    return f"{step.__struct_config__.tag}({_arguments(step)})"


def xml_safe(text: str) -> str:
    """The text with every character that XML cannot carry written as an escape."""
    return _ILLEGAL_IN_XML.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    return match.group().encode("unicode_escape", "surrogatepass").decode("ascii")


def _arguments(value: msgspec.Struct) -> str:
    arguments: list[str] = []
    for field in msgspec.structs.fields(value):
        argument = getattr(value, field.name)
        if field.default is not msgspec.NODEFAULT and argument == field.default:
            continue
        arguments.append(f"{field.name}={_argument(argument)}")
    return ", ".join(arguments)


def _argument(value: Any) -> str:
    match value:
        case msgspec.Struct():
            return f"{type(value).__name__}({_arguments(value)})"
        case enum.Enum():
            return str(value.value)
        case bytes() if len(value) > _BYTES_MAX:
            return f"<{len(value)} bytes>"
        case str() if len(value) > _TEXT_MAX:
            return f"{value[:_TEXT_MAX]!r}... ({len(value)} characters)"
        case tuple():
            items = cast("tuple[Any, ...]", value)  # type: ignore[redundant-cast]  # pyright
            return "(" + ", ".join(map(_argument, items)) + ")"
        case _:
            return repr(value)
