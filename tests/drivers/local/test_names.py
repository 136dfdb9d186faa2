"""File names for keys: one each, harmless on every file system, and read back."""

from hypothesis import given
from hypothesis import strategies as st

from holdfast.contract.requests import KEY_MAX_BYTES
from holdfast_drivers.local.names import NAME_MAX, key_of, name_of

keys = st.text(min_size=1, max_size=KEY_MAX_BYTES).filter(
    lambda key: len(key.encode()) <= KEY_MAX_BYTES
)
awkward = st.sampled_from(
    [
        "..",
        ".",
        "/",
        "../x",
        "a/b",
        "A",
        "a",
        "é",
        "e\u0301",
        "%2e",
        "%",
        "~",
        "-",
        "con",
        " ",
        "\n",
    ]
)


@given(keys | awkward)
def test_a_name_cannot_leave_its_folder_nor_be_folded(key: str) -> None:
    """A name is short, is no path, starts like no option's value, and has one spelling only."""
    name = name_of(key)
    assert 1 <= len(name) <= NAME_MAX
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-%~")


@given(keys | awkward)
def test_a_name_is_read_back(key: str) -> None:
    """The key comes back exactly, or the name says that it holds only a digest."""
    name = name_of(key)
    assert key_of(name) == (None if "~" in name else key)


@given(keys | awkward, keys | awkward)
def test_two_keys_have_two_names(one: str, other: str) -> None:
    """No two keys share a name."""
    assert (name_of(one) == name_of(other)) == (one == other)


@given(keys, st.integers(min_value=65, max_value=200))
def test_a_shorter_name_is_as_good(key: str, longest: int) -> None:
    """Where less room is given the name fits into it."""
    assert len(name_of(key, longest=longest)) <= longest


@given(st.text())
def test_what_is_no_name_has_no_key(text: str) -> None:
    """Only the one name of a key is taken for it; anything else has none."""
    key = key_of(text)
    assert key is None or name_of(key) == text
