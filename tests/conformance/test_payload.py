"""Content of objects, expanded from a number."""

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast_conformance.payload import Shape, expand, same_bytes, shaped

CONTENTS = st.integers(0, (1 << 40) - 1)
SIZES = st.one_of(st.integers(0, 300), st.integers(0, 1 << 17))


@given(content=CONTENTS, size_bytes=SIZES, shape=st.sampled_from(Shape))
def test_a_content_has_the_size_that_is_asked_for(
    content: int, size_bytes: int, shape: Shape
) -> None:
    assert len(expand(shaped(content, shape), size_bytes)) == size_bytes


@given(content=CONTENTS, size_bytes=st.integers(24, 1 << 17))
def test_a_gzip_file_can_be_unpacked_into_something_smaller(content: int, size_bytes: int) -> None:
    """Somebody who unpacks what is stored has other bytes, and no error that tells of it."""
    inside = gzip.decompress(expand(shaped(content, Shape.GZIP), size_bytes))

    assert 0 < len(inside) < size_bytes


@pytest.mark.parametrize(
    "size_bytes", [(1 << 16) * blocks + 23 + near for blocks in (1, 2) for near in range(-9, 9)]
)
def test_a_gzip_file_is_whole_around_the_ends_of_its_blocks(size_bytes: int) -> None:
    packed = expand(shaped(1, Shape.GZIP), size_bytes)

    assert len(packed) == size_bytes
    assert gzip.decompress(packed)


def test_lines_have_ends_of_every_kind() -> None:
    lines = expand(shaped(1, Shape.LINES), 4096)

    assert lines.isascii()
    assert b"\r\n" in lines
    assert b"\n\n" in lines.replace(b"\r\n", b"")
    assert b"\r" in lines.replace(b"\r\n", b"")


@given(content=CONTENTS, one=st.sampled_from(Shape), other=st.sampled_from(Shape))
def test_shapes_of_one_content_are_the_same_bytes_only_where_they_are_equal(
    content: int, one: Shape, other: Shape
) -> None:
    first, second = (shaped(content, shape) for shape in (one, other))
    equal = expand(first, 20_000) == expand(second, 20_000)

    assert same_bytes((first, 20_000), (second, 20_000)) == equal == (one is other)
