"""The gateway's bucket as a dictionary, with a clock of its own: no server, and no failures."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from hashlib import md5

from holdfast_drivers.swift.gateway.server_image.swift_on_s3.s3 import (
    Bucket,
    Listed,
    Page,
    S3Error,
    Unfinished,
)
from holdfast_drivers.swift.gateway.server_image.swift_on_s3.signing import Credentials
from holdfast_drivers.swift.gateway.server_image.swift_on_s3.store import Hands, Store


class MemoryBucket(Bucket):
    """What is in it, and what is done before a key is read."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1:1", "memory", Credentials("who", "what"))
        self.kept: dict[str, tuple[bytes, float]] = {}
        """Bytes and when they were written, by key."""
        self.now = 0.0
        self.unlisted = "nothing"
        """What the keys begin with that no list has."""
        self.before_reading: Callable[[str], None] = lambda _: None

    def get(self, key: str) -> tuple[bytes, str]:
        """The bytes of a key and their tag."""
        self.before_reading(key)
        if key not in self.kept:
            raise S3Error(404, "NoSuchKey", key)
        return self.kept[key][0], self._tag(key)

    def _tag(self, key: str) -> str:
        return f'"{md5(self.kept[key][0], usedforsecurity=False).hexdigest()}"'

    def put(self, key: str, data: bytes, *, replaces: str | None = None, new: bool = False) -> str:
        """Write a key under a condition."""
        if (new and key in self.kept) or (
            replaces is not None and (key not in self.kept or self._tag(key) != replaces)
        ):
            raise S3Error(412, "PreconditionFailed", key)
        self.kept[key] = data, self.now
        return self._tag(key)

    def delete(self, key: str) -> None:
        """Remove a key."""
        self.kept.pop(key, None)

    def delete_only(self, key: str, tag: str) -> None:
        """Remove a key if it has this tag."""
        if key in self.kept and self._tag(key) != tag:
            raise S3Error(412, "PreconditionFailed", key)
        self.kept.pop(key, None)

    def page(self, prefix: str, after: str = "", most: int = 3) -> Page:
        """A few keys: pages end often."""
        listed = (key for key in self.kept if not key.startswith(self.unlisted))
        found = sorted(key for key in listed if key.startswith(prefix) and key > after)
        return Page(tuple(map(self._listed, found[:most])), more=len(found) > most)

    def _listed(self, key: str) -> Listed:
        data, written = self.kept[key]
        stamp = datetime.fromtimestamp(written, UTC).isoformat()
        return Listed(key, self._tag(key), len(data), stamp)

    def unfinished(self, prefix: str) -> list[Unfinished]:
        """Nothing is uploaded in parts here."""
        del prefix
        return []


def memory_store() -> tuple[Store, MemoryBucket]:
    """A gateway's store over a bucket in memory, for one caller at a time."""
    bucket = MemoryBucket()
    return Store(bucket, Hands(lock=nullcontext, together=map)), bucket


@contextmanager
def failing(bucket: MemoryBucket, prefix: str, meanwhile: Callable[[], None]) -> Iterator[None]:
    """Reads of these keys fail without an answer, after something else was done."""

    def fail(key: str) -> None:
        if key.startswith(prefix):
            meanwhile()
            raise S3Error(None, "TimeoutError", key)

    bucket.before_reading = fail
    try:
        yield
    finally:
        bucket.before_reading = lambda _: None
