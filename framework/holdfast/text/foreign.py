"""The one door for text: whatever a person is shown passes it, so that no text of others acts.

Names, errors of drivers, answers of servers and files of strangers may hold what moves a cursor,
clears a screen, sets a title, turns the direction of reading or begins a line of its own. Here it
becomes an escape that can be read. Everything the program says goes through ``tell`` and its
siblings; pages and files for other programs use ``visible``. A test allows no other way out.
"""

import json
import logging
import re
import sys
import traceback
import warnings
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, TextIO

import msgspec

if TYPE_CHECKING:
    from rich.console import Console

Cell = str | Sequence[str]
"""What a table shows in one place: a text, or several lines of it."""

_CUT: Final = "... (cut, {} characters)"
_SAID_MAX: Final = 16_384
"""How long a message is that a person is told; files of strangers are quoted in some."""
_WIDE: Final = 400
"""How wide a table may be where its output is read by another program."""

_ACTING: Final = (
    r"\x00-\x1f\x7f-\xa0\xad"  # controls, C1 too; blanks that do not look like what they are
    r"\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u1680\u17b4\u17b5"
    r"\u180b-\u180f\u2000-\u200f\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164"
    r"\ud800-\uf8ff"  # halves of surrogate pairs, and what means what somebody agreed upon
    r"\ufdd0-\ufdef\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    r"\U000110bd\U000110cd\U00013430-\U0001345f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    r"\U000e0000-\U0010ffff"  # tags, variation selectors, private planes
)
_MARKS: Final = r"\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
"""Marks that are drawn over what stands before them; nothing of a language stacks many."""
_UNSEEN: Final = re.compile(rf"[{_ACTING}]|^[{_MARKS}]+|(?<=[{_MARKS}]{{3}})[{_MARKS}]+")
_UNSEEN_IN_JSON: Final = re.compile(rf"[{_ACTING}]")
_BMP_MAX: Final = 0xFFFF


def visible(text: str) -> str:
    r"""One line in which nothing acts: line ends, controls, invisible and turning characters are
    written as escapes, ``\x1b`` or ``\u202e``.

    The result is the same on every version of Python.
    """
    return _UNSEEN.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    return match.group().encode("unicode_escape", "surrogatepass").decode("ascii")


def shortened(text: str) -> str:
    """The beginning of what a person typed, never the whole: it may be a misplaced secret."""
    return f"{visible(text[: min(12, len(text) // 2)])}…"


def capped(text: str, characters_max: int) -> str:
    """The text, or its beginning with a mark that says how long it was."""
    if len(text) <= characters_max:
        return text
    return text[:characters_max] + _CUT.format(len(text))


def tell(*lines: str, error: bool = False) -> None:
    """Print lines, on standard error with ``error``; a line end inside one begins no other."""
    for line in lines:
        _put(visible(line) + "\n", sys.stderr if error else sys.stdout)


def complain(message: str) -> None:
    """Say something in the program's own voice, on standard error."""
    tell(f"holdfast: {capped(message, _SAID_MAX)}", error=True)


def tell_json(value: Any) -> None:
    """Print a value for machines; the escapes are JSON's own, so that it reads back unchanged."""
    try:
        text = msgspec.json.encode(value).decode()
    except UnicodeEncodeError:  # a damaged row's id may be no text; its octets come as escapes
        text = json.dumps(msgspec.to_builtins(value), separators=(",", ":"))
    _put(_UNSEEN_IN_JSON.sub(_json_escaped, text) + "\n", sys.stdout)


def tell_table(headings: Sequence[str], rows: Iterable[Sequence[Cell]], numbers: int = 0) -> None:
    """Print a table; the last ``numbers`` columns are aligned to the right."""
    from rich.table import Table  # noqa: PLC0415 - costs time, used by few commands

    table = Table(box=None, pad_edge=False)
    for place, heading in enumerate(headings):
        right = place >= len(headings) - numbers
        table.add_column(visible(heading), justify="right" if right else "left")
    for row in rows:
        table.add_row(*(_cell(cell) for cell in row))
    _console().print(table)


def tell_progress(text: str) -> None:
    """Show one line on standard error in the place of the one before; for a terminal only."""
    _put(f"\r\x1b[K{visible(text)}", sys.stderr)


def keep_output_plain() -> None:
    """Have logs, warnings and tracebacks of this process pass the door, too."""
    handler = logging.StreamHandler()
    handler.setFormatter(_PlainFormatter())
    logging.basicConfig(handlers=[handler])
    warnings.showwarning = _show_warning
    sys.excepthook = _show_uncaught


class _PlainFormatter(logging.Formatter):
    """The message as one line, and each line of a traceback as one."""

    def format(self, record: logging.LogRecord) -> str:
        lines = [visible(record.getMessage())]
        if record.exc_info:
            lines += _traceback_lines(traceback.format_exception(*record.exc_info))
        return "\n".join(lines)


def _show_warning(  # noqa: PLR0917 - the signature is Python's
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    del file, line
    complain(f"{filename}:{lineno}: {category.__name__}: {message}")


def _show_uncaught(
    kind: type[BaseException], problem: BaseException, where: TracebackType | None
) -> None:
    tell(*_traceback_lines(traceback.format_exception(kind, problem, where)), error=True)


def _traceback_lines(parts: Iterable[str]) -> list[str]:
    """Frames and what joins tracebacks have several lines; the text of an exception has one."""
    lines: list[str] = []
    for part in parts:
        whole = part.removesuffix("\n")
        lines += whole.split("\n") if part.startswith(("  File ", "\n")) else [whole]
    return [visible(line) for line in lines]


def _cell(cell: Cell) -> str:
    return visible(cell) if isinstance(cell, str) else "\n".join(map(visible, cell))


def _console() -> "Console":
    """A console that does not cut lines when its output is read by another program."""
    from rich.console import Console  # noqa: PLC0415 - costs time, used by few commands

    console = Console(highlight=False, markup=False, emoji=False)
    if console.is_terminal:
        return console
    return Console(highlight=False, markup=False, emoji=False, width=_WIDE)


def _json_escaped(match: re.Match[str]) -> str:
    number = ord(match.group())
    if number <= _BMP_MAX:
        return f"\\u{number:04x}"
    high, low = divmod(number - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"


def _put(text: str, stream: TextIO) -> None:
    """Write what the stream's encoding can carry, and escapes for the rest."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
    stream.flush()
