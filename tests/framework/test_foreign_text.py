"""Text of others is shown, and acts on nothing."""

import io
import json
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.text.foreign import capped, tell, tell_json, tell_table, visible

ACTING = (
    "\x1b[2J\x1b[H",  # clears the screen
    "\x1b]0;title\x07",  # OSC
    "\rverified",
    "\nverified: all is well",
    "\x85verified",  # a line end of C1
    "\x9b2J",  # CSI of C1
    "\u2028verified",
    "\u202egnp.exe",
    "\u061c",
    "\u00ad",
    "\u180e",
    "\ufff9\ufffa\ufffb",
    "\U000e0041\U000e007f",
    "\u200b\u200d\ufeff",
    "\ud800",
    "\u3164",
)
TEXTS = st.text(st.characters(), max_size=30)


def acts(character: str) -> bool:
    category = unicodedata.category(character)
    return category in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"} or (
        category == "Zs" and character != " "
    )


@pytest.mark.parametrize("text", ACTING)
def test_what_would_act_is_written_as_an_escape(text: str) -> None:
    """Controls, line ends, invisible and turning characters can be read, and do nothing."""
    shown = visible(f"a{text}b")

    assert not any(acts(character) for character in shown)
    assert shown.startswith("a\\")
    assert shown.endswith("b")


def test_no_character_that_acts_is_forgotten() -> None:
    """Of all of Unicode, every control, format, private and separating character is escaped."""
    passed = [hex(code) for code in range(sys.maxunicode + 1) if acts(visible("a" + chr(code))[-1])]

    assert passed == []


def test_ordinary_text_of_any_script_stays_as_it_is() -> None:
    """Letters, marks, signs and emoji pass."""
    for text in (
        "vm-1 (größer) 50 %",
        "日本語 עברית עربي हिन्दी",
        "🙂 → ±",
        "e\u0301a\u0308",
        "\\x1b",
    ):
        assert visible(text) == text


def test_marks_do_not_pile_up_over_their_neighbours() -> None:
    """A letter keeps three marks; further ones, and those over nothing of theirs, are escaped."""
    assert visible("e" + "\u0301" * 9) == "e" + "\u0301" * 3 + "\\u0301" * 6
    assert visible("\u0338x") == "\\u0338x"


@given(TEXTS)
def test_a_text_is_one_line(text: str) -> None:
    """Whatever it holds, it begins no line of its own, and its escapes stay as they are."""
    assert len(visible(text).splitlines()) <= 1
    assert visible(visible(text)) == visible(text)


def test_a_cut_text_says_so() -> None:
    """The mark tells how long it was."""
    assert capped("abc", 3) == "abc"
    assert capped("a" * 1000, 3) == "aaa... (cut, 1000 characters)"


@pytest.mark.parametrize("text", ACTING)
def test_terminals_get_no_character_that_acts(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Lines, tables and errors alike."""
    tell(text, f"x{text}")
    tell(text, error=True)
    tell_table((f"head{text}",), [(text,), ((text, text),)])
    told = capsys.readouterr()

    for shown in (told.out, told.err):
        assert not any(acts(character) for character in shown.replace("\n", ""))
    assert told.err.count("\n") == 1
    assert told.out.count("\n") == 2 + 4


@given(TEXTS)
def test_json_reads_back_unchanged(text: str) -> None:
    """For machines the escapes are those of JSON."""
    text = text.encode("utf-8", "replace").decode()
    stream = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        tell_json({"name": text})

    assert json.loads(stream.getvalue()) == {"name": text}
    assert not any(acts(character) for character in stream.getvalue().removesuffix("\n"))


def test_a_terminal_of_another_encoding_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it cannot carry is escaped."""
    data = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(data, encoding="ascii"))
    tell("größer …")

    assert data.getvalue() == b"gr\\xf6\\xdfer \\u2026\n"


PROGRAM = """
import asyncio, logging, warnings
from holdfast.text.foreign import keep_output_plain
keep_output_plain()
logging.getLogger("some.library").error("the server said %s", "\\x1b[2J\\nverified")
try:
    raise ValueError("\\x1b]0;x\\x07")
except ValueError:
    logging.getLogger("x").exception("\\u202e")
warnings.warn("\\x1b[1m")
raise RuntimeError("\\x9bH\\nverified")
"""


def test_logs_warnings_and_tracebacks_pass_the_door() -> None:
    """What libraries and defects say of foreign text acts as little."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, check=False, encoding="utf-8"
    )

    assert not any(acts(character) for character in done.stderr.replace("\n", ""))
    assert "the server said \\x1b[2J\\nverified\n" in done.stderr
    assert "RuntimeError: \\x9bH\\nverified\n" in done.stderr


def test_a_wrong_argument_cannot_steer_the_terminal(tmp_path: Path) -> None:
    """The parser's own errors quote names of files that somebody else may have chosen."""
    hostile = "\x1b[2J\u202e\nverified"
    for arguments in (("verify", "a", hostile), ("verify", f"--{hostile}"), (hostile,)):
        done = subprocess.run(
            [sys.executable, "-m", "holdfast", *arguments],
            capture_output=True,
            check=False,
            encoding="utf-8",
            cwd=tmp_path,
        )
        assert done.returncode == 2
        assert not any(acts(character) for character in done.stderr.replace("\n", ""))
        assert "\nverified" not in done.stderr
