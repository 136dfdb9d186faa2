"""The bytes of objects: in, while their MD5 is computed; out, whole or in ranges."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from .s3 import Bucket, Download

_PART = 16 << 20
"""Bytes of a part where the length is not known: S3 takes 10,000 parts of at least 5 MiB."""


class Short(Exception):
    """The client sent fewer bytes than it said."""


class TooLarge(Exception):
    """The client sent more bytes than an object may have."""


@dataclass(frozen=True)
class Received:
    """What was written."""

    size: int
    md5: str


class _Meter:
    """Counts and digests what passes."""

    def __init__(self, chunks: Iterable[bytes], most: int) -> None:
        self._chunks, self._most = chunks, most
        self._digest = hashlib.md5(usedforsecurity=False)
        self.size = 0

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self.size += len(chunk)
            if self.size > self._most:
                raise TooLarge
            self._digest.update(chunk)
            yield chunk

    def received(self) -> Received:
        return Received(self.size, self._digest.hexdigest())


def store_body(
    bucket: Bucket, key: str, chunks: Iterable[bytes], size: int | None, most: int
) -> Received:
    """Write a body to a key that nothing names yet; nothing is left of one that fails.

    ``size`` is the number of bytes that the client promised, None where it promised none. Swift's
    versioning promises 0 for a body that it hands on, so 0 counts as no promise.
    """
    meter = _Meter(chunks, most)
    if not size:
        _store_unknown(bucket, key, meter)
    else:
        tag = bucket.upload(key, size, _exactly(meter, size))
        received = meter.received()
        if len(tag) == len(received.md5) and tag != received.md5:
            # A tag of that length is the MD5 of what the server holds, unless it encrypts.
            bucket.delete(key)
            raise Short
    return meter.received()


def _exactly(meter: _Meter, size: int) -> Iterator[bytes]:
    left = size
    for chunk in meter:
        left -= len(chunk)
        if left < 0:
            raise TooLarge
        yield chunk
    if left:
        raise Short


def _store_unknown(bucket: Bucket, key: str, meter: _Meter) -> None:
    """One PUT where it fits into a part, else an upload in parts."""
    pieces = _pieces(meter)
    first = next(pieces, b"")
    if len(first) < _PART:
        if first:
            bucket.put(key, first)
        return
    with bucket.parts(key) as parts:
        parts.add(first)
        for piece in pieces:
            parts.add(piece)


def _pieces(chunks: Iterable[bytes]) -> Iterator[bytes]:
    held = bytearray()
    for chunk in chunks:
        held += chunk
        while len(held) >= _PART:
            yield bytes(held[:_PART])
            del held[:_PART]
    if held:
        yield bytes(held)


class Reader:
    """What Swift's responses want of a body: all of it, a range of it, or several.

    ``several`` is Swift's own writer of ``multipart/byteranges``.
    """

    def __init__(self, bucket: Bucket, key: str, several: Callable[..., Iterable[bytes]]) -> None:
        self._bucket, self._key, self._several = bucket, key, several
        self._open: Download | None = None

    def prepare(self) -> None:
        """Open the whole body now, while a version that was just replaced can be noticed."""
        if self._key:
            self._open = self._bucket.open(self._key)

    def __iter__(self) -> Iterator[bytes]:
        if self._open is None:
            self.prepare()
        return iter(self._open) if self._open is not None else iter(())

    def app_iter_range(self, start: int | None, stop: int | None) -> Iterator[bytes]:
        """The bytes from ``start`` to before ``stop``."""
        if not self._key or stop is None or stop <= (start or 0):
            return
        download = self._bucket.open(self._key, start or 0, stop - 1)
        try:
            yield from download
        finally:
            download.close()

    def app_iter_ranges(
        self,
        ranges: list[tuple[int, int]],
        content_type: str | bytes,
        boundary: str | bytes,
        size: int,
    ) -> Iterable[bytes]:
        """Several ranges, each with a header of its own."""
        if not ranges:
            return iter(())
        kind = content_type.encode() if isinstance(content_type, str) else content_type
        mark = boundary.encode() if isinstance(boundary, str) else boundary
        return self._several(ranges, kind, mark, size, self.app_iter_range)

    def close(self) -> None:
        """End what is still open."""
        if self._open is not None:
            self._open.close()
            self._open = None
