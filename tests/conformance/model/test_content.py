"""The model of a volume's bytes agrees with plain bytes, whatever is written, discarded or cut."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from holdfast.data import BLOCK_BYTES, BlockIO, content_digest
from holdfast.data.block_io import Extent
from holdfast_conformance.model.content import EMPTY, Content
from holdfast_conformance.stamps import ZEROES, stamped_bytes

SIZE_BYTES = 5 * BLOCK_BYTES + 700
RUN = "run"
Change = tuple[str, int, int, int]
"""What is done, where, how long, and the generation of a write."""


class Plain(BlockIO):
    """Bytes as they are, all of them data."""

    def __init__(self, data: bytes) -> None:
        self.size_bytes = len(data)
        self._data = data

    async def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
        return self._data[offset_bytes : offset_bytes + length_bytes]

    async def write_at(self, offset_bytes: int, data: bytes) -> None:
        raise NotImplementedError

    async def flush(self) -> None:
        raise NotImplementedError

    async def discard(self, offset_bytes: int, length_bytes: int) -> None:
        raise NotImplementedError

    async def extents(self) -> tuple[Extent, ...]:
        return (Extent(0, self.size_bytes),)


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["put", "blocks", "zeroes", "discard", "cut"]),
        st.integers(0, SIZE_BYTES - 1),
        st.integers(0, 3 * BLOCK_BYTES),
        st.integers(1, 4),
    ),
    max_size=8,
)


def changed(content: Content, data: bytearray, change: Change) -> Content:
    """Both after a change."""
    what, offset, length, generation = change
    length = min(length, len(data) - offset)
    match what:
        case "put" | "zeroes":
            number = generation if what == "put" else ZEROES
            data[offset : offset + length] = stamped_bytes(RUN, "v", offset, length, number)
            return content.put("v", offset, length, number)
        case "blocks":
            first = offset // BLOCK_BYTES
            count = min(2, len(data) // BLOCK_BYTES - first)
            if count < 1:
                return content
            start, length = first * BLOCK_BYTES, count * BLOCK_BYTES
            data[start : start + length] = stamped_bytes(RUN, "v", start, length, generation)
            return content.written("v", first, count, generation)
        case "discard":
            data[offset : offset + length] = bytes(length)
            return content.discarded(offset, length)
        case _:
            data[offset:] = bytes(len(data) - offset)  # cut off, and grown again
            return content.cut(offset)


@given(CHANGES)
def test_it_is_what_plain_bytes_are(changes: list[Change]) -> None:
    """Digest and bytes follow every change; so does what is read of any range."""
    content, data = EMPTY, bytearray(SIZE_BYTES)
    for change in changes:
        content = changed(content, data, change)

    assert content.digest(RUN, SIZE_BYTES) == asyncio.run(content_digest(Plain(bytes(data))))
    assert content.read(RUN, 0, SIZE_BYTES, SIZE_BYTES) == bytes(data)


@given(CHANGES)
def test_what_nobody_wrote_may_be_anything(changes: list[Change]) -> None:
    """What is known of a volume that was not zeroed is right; the rest is not known."""
    content, data = Content(unknown_bytes=SIZE_BYTES), bytearray(SIZE_BYTES)
    for change in changes:
        content = changed(content, data, change)

    for offset in range(0, SIZE_BYTES, 512):
        length = min(512, SIZE_BYTES - offset)
        known = content.read(RUN, offset, length, SIZE_BYTES)
        assert known in (None, bytes(data[offset : offset + length]))
    touched = {"put", "zeroes", "discard", "blocks", "cut"} & {change[0] for change in changes}
    assert (content.read(RUN, 0, SIZE_BYTES, SIZE_BYTES) is None) or touched


def test_a_block_is_known_when_all_of_it_was_written() -> None:
    """Halves of a block that were written one after the other make it known."""
    content = Content(unknown_bytes=SIZE_BYTES).put("v", 0, 100, 1)
    assert content.block(0) is None
    assert content.put("v", 100, BLOCK_BYTES - 100, 2).block(0) is not None
