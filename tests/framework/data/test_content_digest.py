"""The content digest: the same from extents behind a handle and from bytes that pass."""

import asyncio
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.contract.handles import FileHandle
from holdfast.data import content_digest, open_block_io
from holdfast.data.digest import BLOCK_BYTES, ContentHasher

SIZES = (0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 5 * BLOCK_BYTES + 77)


@given(
    size=st.sampled_from(SIZES),
    runs=st.lists(st.tuples(st.integers(0, SIZES[-1]), st.binary(min_size=1, max_size=5000))),
    cuts=st.lists(st.integers(1, 9000), min_size=1),
)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_bytes_that_pass_have_the_digest_of_what_is_behind_a_handle(
    tmp_path: Path, size: int, runs: list[tuple[int, bytes]], cuts: list[int]
) -> None:
    """Wherever they are cut, and where the file has holes."""
    path = tmp_path / "content"
    with path.open("wb") as file:
        file.truncate(size)
        for offset, data in runs:
            if offset < size:
                file.seek(offset)
                file.write(data[: size - offset])

    async def behind() -> str:
        handle = FileHandle(path=str(path), size_bytes=size, read_only=True)
        async with open_block_io(handle) as content:
            return await content_digest(content)

    data, hasher, at = path.read_bytes(), ContentHasher(size), 0
    while at < size:
        for cut in cuts:
            hasher.update(data[at : at + cut])
            at += cut
    assert hasher.digest() == asyncio.run(behind())
