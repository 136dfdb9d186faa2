"""Each S3 request as one typed method, multipart uploads among them, bound to one bucket."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any, Final

from holdfast.concurrency.fan_out import several
from holdfast.contract.errors import Busy, Internal, Unknown
from holdfast_drivers.object_server_call import Call
from holdfast_drivers.s3.connection import ABSENT, RACED, Connection
from holdfast_drivers.s3.errors import code_of
from holdfast_drivers.s3.library import exceptions as botocore
from holdfast_drivers.s3.values import (
    Content,
    Description,
    Entry,
    Head,
    Version,
    etag_of,
    head_of,
    md5_of,
    versions_of,
)

_DELETES_MAX: Final = 1000
_AT_ONCE: Final = 16


class Bucket(Connection):
    """The requests of one store. Each raises ``DriverError`` and nothing else."""

    async def head(self, call: Call, name: str) -> Head | None:
        """What is known of a thing, or ``None``."""
        answer = await self._ask(call, "head_object", Key=self.full(name))
        return None if answer is None else head_of(answer, int(answer["ContentLength"]))

    async def get(
        self, call: Call, name: str, *, span: tuple[int, int | None] | None = None, etag: str = ""
    ) -> Content | None:
        """A thing's bytes, or a span of them (first and last, both included); ``None`` if absent.

        Raises:
            Busy: it is no longer the one with this ``etag``.
            LookupError: the span starts past the end.
        """
        more: dict[str, Any] = {}
        if span is not None:
            more["Range"] = f"bytes={span[0]}-{'' if span[1] is None else span[1]}"
        if etag:
            more["IfMatch"] = f'"{etag}"'
        return await self._within(call, "get_object", self._read(self.full(name), more))

    async def _read(self, key: str, more: Mapping[str, Any]) -> Content | None:
        try:
            answer = await self._client.get_object(Bucket=self._bucket, Key=key, **more)
        except botocore.ClientError as error:
            self._notice(error.response)
            code = code_of(error)
            if code in ABSENT:
                return None
            if code in RACED:
                raise Busy("it was replaced while it was read; try again") from error
            if code in {"InvalidRange", "416"}:
                raise LookupError from error
            raise
        self._notice(answer)
        async with answer["Body"] as body:
            data: bytes = await body.read()
        offset, size = 0, len(data)
        if "ContentRange" in answer:
            span, _, whole = str(answer["ContentRange"]).removeprefix("bytes ").partition("/")
            offset, size = int(span.partition("-")[0]), int(whole)
        return Content(head=head_of(answer, size), offset_bytes=offset, data=data)

    async def put(
        self,
        call: Call,
        name: str,
        data: bytes,
        description: Description = Description(),  # noqa: B008 - it is frozen
        *,
        new: bool = False,
        etag: str = "",
    ) -> str | None:
        """Store bytes under a name, replacing what is there; returns the ETag.

        With ``new`` only where nothing is, with ``etag`` only over the thing that has it; ``None``
        where that is not so.
        """
        more: dict[str, Any] = {"IfNoneMatch": "*"} if new else {}
        if etag:
            more["IfMatch"] = f'"{etag}"'
        digest = await md5_of(data)
        answer = await self._change(
            call,
            "put_object",
            Key=self.full(name),
            Body=data,
            ContentMD5=base64.b64encode(digest).decode(),
            **description.arguments(),
            **more,
        )
        if answer is None:
            return None
        await self.tidy(call, name)
        return etag_of(answer)

    async def delete(self, call: Call, names: Sequence[str]) -> None:
        """Remove things with all their versions; absent ones are fine."""
        if self.versioned:
            await self._forget(call, names)
            return
        for start in range(0, len(names), _DELETES_MAX):
            chosen = names[start : start + _DELETES_MAX]
            deleted = await self._delete(call, [{"Key": self.full(name)} for name in chosen])
            if any(one.get("DeleteMarker") or one.get("DeleteMarkerVersionId") for one in deleted):
                self.versioned = True
                await self._forget(call, chosen)

    async def remove(self, call: Call, name: str, etag: str) -> bool:
        """Remove the thing that has this ETag, with all its versions; false where another one is
        there or none. MinIO does not look at the ETag.
        """
        if not self.versioned:
            key, condition = self.full(name), f'"{etag}"'
            answer = await self._change(call, "delete_object", Key=key, IfMatch=condition)
            if answer is None or not answer.get("DeleteMarker"):
                return answer is not None
            self.versioned = True
        await self._forget(call, [name])
        return True

    async def _forget(self, call: Call, names: Sequence[str]) -> None:
        """Remove all versions of things, the present one last: a killed call can be repeated.

        The present ones are asked for by name, and before the others: a list may leave them out.
        """
        heads = await several(names, lambda name: self.head(call, name), at_once=_AT_ONCE)
        there = zip(names, heads, strict=True)
        present = {(name, head.version) for name, head in there if head is not None}
        folders: dict[str, list[str]] = {}
        for name in names:
            folders.setdefault(name.rpartition("/")[0], []).append(name)
        for folder, group in folders.items():
            prefix = group[0] if len(group) == 1 else f"{folder}/"
            versions = [one for one in await self.versions(call, prefix) if one.name in group]
            listed = {(one.name, one.id) for one in versions}
            # With their folder: what the caller names last, an upload's row, goes after them.
            others = [
                Version(name=name, id=version, is_past=False, size_bytes=0)
                for name, version in sorted(present - listed)
                if name in group
            ]
            await self.drop(call, [*others, *versions])

    async def drop(self, call: Call, versions: Sequence[Version]) -> None:
        """Remove these versions, older ones first."""
        keys = [{"Key": self.full(one.name), "VersionId": one.id} for one in reversed(versions)]
        for start in range(0, len(keys), _DELETES_MAX):
            await self._delete(call, keys[start : start + _DELETES_MAX])

    async def tidy(self, call: Call, name: str) -> None:
        """In a versioned bucket, remove what is left of a thing beside its present version."""
        if self.versioned:
            versions = [one for one in await self.versions(call, name) if one.name == name]
            await self.drop(call, [one for one in versions if one.is_past])

    async def _delete(self, call: Call, chosen: list[dict[str, str]]) -> list[dict[str, Any]]:
        answer = await self._change(call, "delete_objects", Delete={"Objects": chosen})
        if answer is None or answer.get("Errors"):
            codes = {str(one.get("Code")) for one in (answer or {}).get("Errors", ())}
            raise call.failed(
                Unknown(f"{self._server} did not remove everything: {', '.join(sorted(codes))}")
            )
        return list(answer.get("Deleted", ()))

    async def versions(self, call: Call, prefix: str) -> list[Version]:
        """All versions of things whose names begin with ``prefix``, newer ones of each first, and
        the marks of deleted ones.
        """
        rows: list[dict[str, Any]] = []
        marker: dict[str, str] = {}
        whole = self.full(prefix)
        while True:
            answer = await self._ask(call, "list_object_versions", Prefix=whole, **marker)
            for kind in ("Versions", "DeleteMarkers"):
                rows += [
                    {**one, "past": kind != "Versions" or not one["IsLatest"]}
                    for one in (answer or {}).get(kind, ())
                ]
            if not answer or not answer.get("IsTruncated"):
                break
            marker = {
                "KeyMarker": str(answer.get("NextKeyMarker", "")),
                "VersionIdMarker": str(answer.get("NextVersionIdMarker", "")),
            }
        return versions_of(rows, len(self.prefix))

    async def page(
        self, call: Call, prefix: str, *, after: str = "", limit: int = 1000
    ) -> tuple[list[Entry], bool]:
        """Things whose names begin with ``prefix``, after a name; and whether there are more."""
        more: dict[str, Any] = {"StartAfter": self.full(after)} if after else {}
        while True:
            answer = await self._ask(
                call, "list_objects_v2", Prefix=self.full(prefix), MaxKeys=limit, **more
            )
            if answer is None:
                raise call.failed(Internal(f"{self._server} has no list of its bucket"))
            entries = [
                Entry(str(one["Key"])[len(self.prefix) :], int(one["Size"]), etag_of(one))
                for one in answer.get("Contents", ())
            ]
            truncated = bool(answer.get("IsTruncated"))
            if entries or not truncated:
                return entries, truncated
            token = answer.get("NextContinuationToken")
            if not token or token == more.get("ContinuationToken"):
                raise call.failed(Internal(f"{self._server} gave a list that goes nowhere"))
            more = {"ContinuationToken": str(token)}  # nothing in a page is not the end of a list

    async def all(self, call: Call, prefix: str = "") -> list[Entry]:
        """All things whose names begin with ``prefix``."""
        entries: list[Entry] = []
        truncated = True
        while truncated:
            after = entries[-1].name if entries else ""
            page, truncated = await self.page(call, prefix, after=after)
            entries += page
        return entries

    async def joins(self, call: Call, prefix: str) -> list[tuple[str, str]]:
        """Unfinished multipart uploads: names and ids. Some servers tell only of an exact name."""
        joins: list[tuple[str, str]] = []
        marker: dict[str, str] = {}
        whole = self.full(prefix)
        while True:
            answer = await self._ask(call, "list_multipart_uploads", Prefix=whole, **marker)
            joins += [
                (str(one["Key"])[len(self.prefix) :], str(one["UploadId"]))
                for one in (answer or {}).get("Uploads", ())
            ]
            if not answer or not answer.get("IsTruncated"):
                return joins
            marker = {
                "KeyMarker": str(answer.get("NextKeyMarker", "")),
                "UploadIdMarker": str(answer.get("NextUploadIdMarker", "")),
            }

    async def begin_join(self, call: Call, name: str, description: Description) -> str:
        """Begin a multipart upload; returns its id. Nothing is visible yet."""
        answer = await self._change(
            call, "create_multipart_upload", Key=self.full(name), **description.arguments()
        )
        if answer is None:
            raise call.failed(Internal(f"{self._server} begins no multipart upload"))
        return str(answer["UploadId"])

    async def join_bytes(self, call: Call, name: str, join: str, number: int, data: bytes) -> str:
        """Add bytes to a multipart upload; returns the part's ETag."""
        digest = await md5_of(data)
        answer = await self._change(
            call,
            "upload_part",
            Key=self.full(name),
            UploadId=join,
            PartNumber=number,
            Body=data,
            ContentMD5=base64.b64encode(digest).decode(),
        )
        return etag_of(self._joined(call, answer))

    async def join_copy(
        self,
        call: Call,
        name: str,
        join: str,
        number: int,
        source: Entry,
        *,
        span: tuple[int, int] | None = None,
    ) -> str:
        """Add a stored thing, or a span of it (first and last, both included), to a multipart
        upload, inside the server; returns the part's ETag.
        """
        answer = await self._change(
            call,
            "upload_part_copy",
            Key=self.full(name),
            UploadId=join,
            PartNumber=number,
            CopySource={"Bucket": self._bucket, "Key": self.full(source.name)},
            CopySourceIfMatch=f'"{source.etag}"',
            **({"CopySourceRange": f"bytes={span[0]}-{span[1]}"} if span else {}),
        )
        return etag_of(self._joined(call, answer)["CopyPartResult"])

    async def end_join(
        self,
        call: Call,
        name: str,
        join: str,
        etags: Sequence[str],
        *,
        new: bool = False,
        etag: str = "",
    ) -> bool:
        """Make what was joined visible, at once and whole.

        With ``new`` or ``etag`` as ``put``; false, and still to be dropped, where that is not so.
        """
        condition = {"IfNoneMatch": "*"} if new else {"IfMatch": f'"{etag}"'} if etag else {}
        parts = [
            {"PartNumber": number, "ETag": f'"{etag}"'} for number, etag in enumerate(etags, 1)
        ]
        answer = await self._change(
            call,
            "complete_multipart_upload",
            Key=self.full(name),
            UploadId=join,
            MultipartUpload={"Parts": parts},
            **condition,
        )
        if answer is None and condition:
            return False
        self._joined(call, answer)
        await self.tidy(call, name)
        return True

    async def drop_join(self, call: Call, name: str, join: str) -> None:
        """End a multipart upload without a result; an absent one is fine."""
        await self._change(call, "abort_multipart_upload", Key=self.full(name), UploadId=join)

    def _joined(self, call: Call, answer: Mapping[str, Any] | None) -> Mapping[str, Any]:
        if answer is None:
            raise call.failed(Busy("another call ended the joining of these parts; try again"))
        return answer

    async def address(self, name: str, expires_s: int) -> str:
        """A presigned address to read a thing by; it is not asked whether it is there."""
        address = await self._client.generate_presigned_url(
            "get_object",
            Params={"Bucket": self._bucket, "Key": self.full(name)},
            ExpiresIn=expires_s,
        )
        return str(address)
