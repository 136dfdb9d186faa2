"""The data plane: all I/O on the handles that drivers return happens here."""

from holdfast.data.block_io import BlockIO, Extent
from holdfast.data.digest import BLOCK_BYTES, block_hash, content_digest, digest_of_hashes
from holdfast.data.in_process_spaces import ExtentSpace, register_extent_space
from holdfast.data.open_handle import open_block_io

__all__ = [
    "BLOCK_BYTES",
    "BlockIO",
    "Extent",
    "ExtentSpace",
    "block_hash",
    "content_digest",
    "digest_of_hashes",
    "open_block_io",
    "register_extent_space",
]
