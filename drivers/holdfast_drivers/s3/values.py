"""What one call carries to the bucket, and what the bucket answers."""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from holdfast.concurrency.runtime import runtime

_HASH_INLINE_BYTES: Final = 256 << 10

_UNVERSIONED: Final = "null"
"""The id of a version from a time when its bucket kept none."""


class Entry(msgspec.Struct, frozen=True):
    """One thing in a listing; ``etag`` is the MD5 of its bytes, unless it was joined."""

    name: str
    size_bytes: int
    etag: str


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a thing, or the mark of its deletion; past is all but what is there now."""

    name: str
    id: str
    is_past: bool
    size_bytes: int


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one stored thing; ``version`` is the id of what is there now."""

    etag: str
    version: str
    size_bytes: int
    content_type: str
    metadata: Mapping[str, str]


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes of one stored thing from ``offset_bytes`` on; ``head`` is of the whole."""

    head: Head
    offset_bytes: int
    data: bytes


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored beside the bytes."""

    content_type: str = "application/octet-stream"
    metadata: Mapping[str, str] = {}

    def arguments(self) -> dict[str, Any]:
        """As the library wants it."""
        return {"ContentType": self.content_type, "Metadata": dict(self.metadata)}


def head_of(answer: Mapping[str, Any], size_bytes: int) -> Head:
    """What an answer's headers say of an object."""
    return Head(
        etag=etag_of(answer),
        version=str(answer.get("VersionId", _UNVERSIONED)),
        size_bytes=size_bytes,
        content_type=str(answer.get("ContentType", "")),
        metadata={name.lower(): text for name, text in answer.get("Metadata", {}).items()},
    )


def etag_of(answer: Mapping[str, Any]) -> str:
    """The ETag of an answer, without quotes."""
    return str(answer.get("ETag", "")).strip('"')


def versions_of(listed: list[dict[str, Any]], cut: int) -> list[Version]:
    """Listed versions, newer ones of each thing first, without the first ``cut`` characters of
    their names.
    """
    listed.sort(key=lambda one: (one["IsLatest"], one["LastModified"]), reverse=True)
    return [
        Version(
            name=str(one["Key"])[cut:],
            id=str(one["VersionId"]),
            is_past=bool(one["past"]),
            size_bytes=int(one.get("Size", 0)),
        )
        for one in listed
    ]


async def md5_of(data: bytes) -> bytes:
    """The MD5 of bytes; of many of them beside the loop."""
    if len(data) < _HASH_INLINE_BYTES:
        return hashlib.md5(data, usedforsecurity=False).digest()
    return await runtime().run_blocking(lambda: hashlib.md5(data, usedforsecurity=False).digest())
