"""The one rule for names, and the hints for those who mistype one."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.concurrency.runtime import RealRuntime
from holdfast.text.names import NAME_MAX_BYTES, BadName, check_name, is_id
from holdfast.text.nearest import nearest_names

GOOD = (
    "a",
    "root disk 1",
    "dev-1",
    "Größe",
    "部屋",
    "vol-2",
    "vol-0123456789abcdeg",
    "VOL-0123456789abcdef",
    "x" * 128,
    "é" * 64,
    "-",
    "../..",
)
BAD = (
    "",
    " ",
    " a",
    "a ",
    "\u00a0a",
    "a\u3000",
    "a\nb",
    "a\tb",
    "\x1b[2J",
    "a\x00b",
    "a\x7fb",
    "a\x85b",
    "a\u200bb",
    "a\u202eb",
    "a\ufeff",
    "a\u2028b",
    "a\u2029b",
    "a\u00adb",
    "a\u061cb",
    "a\U000e0041",
    "\ud800",
    "\udcff",
    "x" * 129,
    "é" * 65,
    "x" * 20_000,
    "e\u0301",
    "\u212b",
    "vol-0123456789abcdef",
    "op-0123456789abcdef",
)


@pytest.mark.parametrize("name", GOOD)
def test_what_can_be_read_and_typed_is_a_name(name: str) -> None:
    """Text in NFC of 1 to 128 bytes, blanks inside included, is a name."""
    check_name("volume", name)


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_told_apart_is_no_name(name: str) -> None:
    """Nothing empty, too long, unseen, blank at an end, in another normal form or shaped as an id
    is a name; what says so is one short line that can be shown.
    """
    with pytest.raises(BadName) as caught:
        check_name("volume", name)
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < 250


@given(st.text(max_size=40))
def test_a_name_is_one_everywhere(text: str) -> None:
    """What is accepted survives UTF-8, normalization, stripping and printing as it is."""
    try:
        check_name("volume", text)
    except BadName:
        return
    assert 1 <= len(text.encode()) <= NAME_MAX_BYTES
    assert text == unicodedata.normalize("NFC", text) == text.strip()
    assert len(text.splitlines()) == 1
    assert not is_id(text)


def test_every_id_has_the_shape_of_one() -> None:
    """No new id could be taken for a name."""
    runtime = RealRuntime()
    prefixes = ("vol", "snap", "tmpl", "obj", "bak", "store", "op", "grant")
    assert all(is_id(runtime.new_id(prefix)) for prefix in prefixes)


def test_a_mistyped_name_is_answered_with_the_nearest_few() -> None:
    """Of 5,000 names the nearest three are named; where none is near, the first and how many."""
    names = [f"disk-{number:04}" for number in range(5000)]
    near = nearest_names("disk-01234", names)
    assert near.startswith("did you mean ")
    assert 1 <= near.count("disk-") <= 3
    far = nearest_names("~~~~", names)
    assert far == "known: disk-0000, disk-0001, disk-0002 and 4,997 more"
    assert nearest_names("q" * 100_000, names) == far
    assert nearest_names("~", ["b", "a"]) == "known: a, b"
    assert nearest_names("~", []) == "there is none"
