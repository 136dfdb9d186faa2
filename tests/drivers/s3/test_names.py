"""How keys are written into a bucket."""

from hypothesis import given
from hypothesis import strategies as st

from holdfast_drivers.s3.names import after_all_of, decoded, encoded

KEYS = st.text(min_size=1, max_size=128).filter(
    lambda key: len(key.encode("utf-8", "surrogatepass")) <= 128 and key.isprintable()
)


@given(KEYS)
def test_a_key_comes_back_as_it_was_given(key: str) -> None:
    """A key's code stands for that key and for no other, in names that every server takes."""
    name = encoded(key)
    assert decoded(name) == key
    assert all(len(part) <= 255 and part.strip(".") for part in name.split("/"))


@given(KEYS, KEYS)
def test_codes_sort_as_keys_do(first: str, second: str) -> None:
    """A listing of codes is in the byte order of the keys."""
    assert (encoded(first) < encoded(second)) == (first.encode() < second.encode())


@given(KEYS, KEYS)
def test_a_prefix_stays_a_prefix(prefix: str, key: str) -> None:
    """The code of a key begins with the code of exactly the prefixes that the key has."""
    assert encoded(prefix + key).startswith(encoded(prefix))
    assert encoded(key).startswith(encoded(prefix)) == key.startswith(prefix)
    assert encoded(prefix + key) < after_all_of(prefix)


def test_what_is_no_code_stands_for_nothing() -> None:
    """Names that somebody else put into the bucket are no keys."""
    assert [decoded(name) for name in ("a b", "-zz", "a/b", "=41", "~ff", "..")] == [None] * 6
