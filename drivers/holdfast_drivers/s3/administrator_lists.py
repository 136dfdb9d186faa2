"""Lists of a bucket as its administrator gets them, whole: objects, multipart uploads, versions.

Nothing here is imported from the driver.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec


class Listed(msgspec.Struct, frozen=True):
    """One object of the bucket as the server lists it; ``modified`` is in seconds."""

    key: str
    etag: str
    size_bytes: int
    modified: float


async def list_bucket(client: Any, bucket: str, prefix: str = "") -> list[Listed]:
    """Every object in a bucket, in the server's order."""
    found: list[Listed] = []
    more: dict[str, str] = {}
    while True:
        answer = await client.list_objects_v2(Bucket=bucket, Prefix=prefix, **more)
        found += _listed(answer)
        if not answer.get("IsTruncated"):
            return found
        more = {"ContinuationToken": answer["NextContinuationToken"]}


async def list_joins(client: Any, bucket: str) -> list[tuple[str, str]]:
    """The keys and ids of all unfinished multipart uploads that the server tells of."""
    answer = await client.list_multipart_uploads(Bucket=bucket)
    return [(str(one["Key"]), str(one["UploadId"])) for one in answer.get("Uploads", ())]


async def is_versioned(client: Any, bucket: str) -> bool:
    """Whether a bucket has, or had, versions."""
    return "Status" in await client.get_bucket_versioning(Bucket=bucket)


async def list_past_versions(client: Any, bucket: str, prefix: str = "") -> list[tuple[str, str]]:
    """The keys and ids of all versions that are no more, and of the marks of deletions."""
    found: list[tuple[str, str]] = []
    more: dict[str, str] = {}
    while True:
        answer = await client.list_object_versions(Bucket=bucket, Prefix=prefix, **more)
        past = [one for one in answer.get("Versions", ()) if not one["IsLatest"]]
        found += [
            (str(one["Key"]), str(one["VersionId"]))
            for one in (*past, *answer.get("DeleteMarkers", ()))
        ]
        if not answer.get("IsTruncated"):
            return found
        more = {
            "KeyMarker": answer["NextKeyMarker"],
            "VersionIdMarker": answer["NextVersionIdMarker"],
        }


def _listed(answer: Mapping[str, Any]) -> Iterator[Listed]:
    for one in answer.get("Contents", ()):
        etag, modified = str(one["ETag"]), one["LastModified"].timestamp()
        yield Listed(str(one["Key"]), etag, int(one["Size"]), float(modified))
