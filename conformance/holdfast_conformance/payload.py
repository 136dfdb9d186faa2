"""Object content expanded from a number, so that plans and traces carry no payload.

The bytes do not compress, and every 16 of them differ, so that a shift, a mix-up of parts or a cut
changes the digest.
"""

import hashlib
from functools import lru_cache

_SEED_BYTES = 16


@lru_cache(maxsize=64)
def expand(content: int, size_bytes: int) -> bytes:
    """The first ``size_bytes`` of content number ``content``; a shorter one is a prefix of it.

    They are what SHAKE128 (FIPS 202) makes of the number.
    """
    return hashlib.shake_128(content.to_bytes(_SEED_BYTES, "little")).digest(size_bytes)


def middle(size_bytes: int) -> tuple[int, int]:
    """The offset and the length of a range inside an object that is read beside the whole."""
    return size_bytes // 3, -(-size_bytes // 3)


@lru_cache(maxsize=4096)
def digest_of_parts(parts: tuple[tuple[int, int], ...], start: int, length: int) -> str:
    """The SHA-256 of ``length`` bytes from ``start`` of the parts ``(content, size)`` in a row."""
    whole = b"".join(expand(content, size_bytes) for content, size_bytes in parts)
    return hashlib.sha256(whole[start : start + length]).hexdigest()
