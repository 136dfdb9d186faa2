"""The bytes of objects: in, while their MD5 is computed; out, whole or in ranges."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from .s3 import Bucket, Download, S3Error

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
        # What is sent while it is read has no digest in its signature. Its tag says what the
        # server holds, unless that encrypts: then it is asked for the bytes.
        if tag != received.md5 and _digest(bucket, key) != received.md5:
            raise S3Error(500, "OtherBytes", f"PUT {key}")
    return meter.received()


def _digest(bucket: Bucket, key: str) -> str:
    """The MD5 of what the server holds."""
    digest = hashlib.md5(usedforsecurity=False)
    for chunk in bucket.open(key):
        digest.update(chunk)
    return digest.hexdigest()


def _exactly(meter: _Meter, size: int) -> Iterator[bytes]:
    rest = size
    for chunk in meter:
        rest -= len(chunk)
        if rest < 0:
            raise TooLarge
        yield chunk
    if rest:
        raise Short


def _store_unknown(bucket: Bucket, key: str, meter: _Meter) -> None:
    """One PUT where it fits into a part, else an upload in parts."""
    pieces = _pieces(meter)
    first = next(pieces, b"")
    if len(first) < _PART:
        if first:
            bucket.put_data(key, first)
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

    ``several`` is Swift's own writer of ``multipart/byteranges``. ``ended`` is called once, when
    nobody reads any more: until then the bytes stay, whatever happens to the object.
    """

    def __init__(
        self,
        bucket: Bucket,
        key: str,
        several: Callable[..., Iterable[bytes]],
        ended: Callable[[], None],
    ) -> None:
        self._bucket, self._key, self._several = bucket, key, several
        self._ended = ended
        self._open: Download | None = None
        self._chunks: Iterator[bytes] = iter(())
        self._closed = False

    def prepare(self) -> None:
        """Open the whole body now, while it can still be said that it is not there."""
        if self._key:
            self._open = self._bucket.open(self._key)
            self._chunks = iter(self._open)

    def __iter__(self) -> "Reader":
        return self  # what is closed is often the iterator, and not what it was made of

    def __next__(self) -> bytes:
        try:
            return next(self._chunks)
        except BaseException:
            self.close()
            raise

    def app_iter_range(self, start: int | None, stop: int | None) -> "Reader":
        """The bytes from ``start`` to before ``stop``, opened now."""
        if self._key and stop is not None and stop > (start or 0):
            self._open = self._bucket.open(self._key, start or 0, stop - 1)
            self._chunks = iter(self._open)
        return self

    def app_iter_ranges(
        self,
        ranges: list[tuple[int, int]],
        content_type: str | bytes,
        boundary: str | bytes,
        size: int,
    ) -> "Reader":
        """Several ranges, each with a header of its own; the first is opened now."""
        kind = content_type.encode() if isinstance(content_type, str) else content_type
        mark = boundary.encode() if isinstance(boundary, str) else boundary
        start, stop = ranges[0]
        self._open = self._bucket.open(self._key, start, stop - 1)
        self._chunks = iter(self._several(ranges, kind, mark, size, self._range))
        return self

    def _range(self, start: int, stop: int) -> Iterator[bytes]:
        """The next of several ranges; that which was opened before is the first."""
        download, self._open = self._open, None
        self._open = download or self._bucket.open(self._key, start, stop - 1)
        yield from self._open
        self._open = None

    def close(self) -> None:
        """End what is still open."""
        if self._closed:
            return
        self._closed = True
        if self._open is not None:
            self._open.close()
            self._open = None
        self._ended()
