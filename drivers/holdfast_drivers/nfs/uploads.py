"""Uploads: a row for each, a file for each part, and their joining into an object's file."""

import contextlib
import hashlib
import re
from collections.abc import Iterator
from functools import partial
from typing import Final

import msgspec
import xxhash

from holdfast.contract import answers, requests
from holdfast.contract.capabilities import ObjectKind
from holdfast.contract.errors import (
    Busy,
    Conflict,
    Corrupt,
    Invalid,
    NotFound,
    Precondition,
    Unknown,
)
from holdfast.contract.requests import PartReference
from holdfast_drivers.local.names import name_of, shown
from holdfast_drivers.nfs.libnfs import Client, File, Status
from holdfast_drivers.nfs.objects import ObjectRow, Objects, sealed
from holdfast_drivers.nfs.store_folder import (
    Shelves,
    Unreadable,
    after_the_fact,
    apart,
    decoded,
    published,
    remove_tree,
)
from holdfast_drivers.refusals import refuse_late
from holdfast_drivers.upload_facts import is_same_upload, not_that_part, part_of

_READ_BYTES: Final = 1 << 20
_NUMBER: Final = re.compile(r"[0-9]{6}")


class UploadRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is recorded of an open upload; ``target`` is the key of the object it will be, ``fence``
    that of the call that opened it.
    """

    key: str
    id: str
    operation: str
    target: str
    kind: ObjectKind
    content_type: str
    fence: int = 0


class Uploads:
    """The open uploads of one store. Blocking functions."""

    def __init__(self, shelves: Shelves, objects: Objects) -> None:
        self.shelves = shelves
        self.objects = objects

    # What is there

    def path(self, key: str) -> str:
        """Where an upload's row is, or would be."""
        return f"{self.shelves.uploads}/{name_of(key)}"

    def find(self, client: Client, key: str) -> UploadRow | None:
        """The row of an open upload, or ``None``."""
        path = self.path(key)
        row = decoded(client, path, UploadRow)
        if row is None:
            self.shelves.settle(client, path, "upload", key, own=_fence_of)
            row = decoded(client, path, UploadRow)
        if row is not None and row.key != key:
            raise Corrupt(f"{path} is of upload {row.key!r}", object=key)
        return row

    def enter(
        self, client: Client, key: str, fence: int, row: UploadRow | None, *, frees: bool = False
    ) -> None:
        """Let no earlier call act on an upload any more but one that has staged something."""
        refuse_late(fence, row.fence if row is not None else 0, key, what="upload")
        self.shelves.fences.enter(client, "upload", key, fence, frees=frees)

    def rows(self, client: Client) -> list[UploadRow]:
        """The rows of all open uploads but of what goes meanwhile or is damaged."""
        return [row for row in self.survey(client) if isinstance(row, UploadRow)]

    def survey(self, client: Client) -> Iterator[UploadRow | Unreadable]:
        """The rows of all open uploads, and what cannot be read among them."""
        for name in sorted(self.shelves.names(client, self.shelves.uploads)):
            entry = apart("uploads", name, partial(self._recorded, client, name))
            if entry is not None:
                yield entry

    def _recorded(self, client: Client, name: str) -> UploadRow | None:
        path = f"{self.shelves.uploads}/{name}"
        row = decoded(client, path, UploadRow)
        if row is not None and name_of(row.key) != name:
            raise Corrupt(f"{path} is of upload {shown(row.key)}")
        return row

    def part(self, row: UploadRow, number: int) -> str:
        """The file of one part."""
        return f"{self.shelves.parts}/{name_of(row.key)}.{row.id}.{number:06}"

    def parts(self, client: Client, row: UploadRow) -> dict[int, Status]:
        """The parts that are stored, by number."""
        prefix = f"{name_of(row.key)}.{row.id}."
        names = self.shelves.names(client, self.shelves.parts)
        return {
            int(name.removeprefix(prefix)): status
            for name, status in names.items()
            if name.startswith(prefix) and _NUMBER.fullmatch(name.removeprefix(prefix))
        }

    def leftovers(self, client: Client, key: str, row: UploadRow | None) -> list[str]:
        """What killed calls left of an upload: staged files, and parts of uploads that are over."""
        return [
            *self.shelves.leftovers(client, "upload", key),
            *self.shelves.leftovers(client, "part", key),
            *_not_of(row, self._parts(client, key)),
        ]

    def _parts(self, client: Client, key: str) -> list[str]:
        """The files of all parts of uploads that have this key, or had it."""
        prefix = f"{name_of(key)}."
        names = self.shelves.names(client, self.shelves.parts)
        return sorted(f"{self.shelves.parts}/{name}" for name in names if name.startswith(prefix))

    def purge(self, client: Client, key: str) -> None:
        """Remove what killed calls left of an upload, and spare the one that is open now.

        What is staged goes first: a call that is late then makes no part of it any more. Which
        upload is open is looked up after its parts were, so that those of a new one are known.
        """
        for kind in ("upload", "part"):
            self.shelves.purge(client, kind, key)
        parts = self._parts(client, key)
        with contextlib.suppress(Corrupt):  # of one that is damaged nothing is known to be over
            for path in _not_of(self.find(client, key) if parts else None, parts):
                remove_tree(client, path)

    # The verbs

    def start(
        self, client: Client, request: requests.StartUpload, operation: str, fresh: str, fence: int
    ) -> answers.UploadInfo:
        """Open an upload; ``fresh`` is its id."""
        self.shelves.allocating(client)
        upload = self.find(client, request.upload)
        self.enter(client, request.upload, fence, upload)
        if upload is None:
            row = UploadRow(
                key=request.upload,
                id=fresh,
                operation=operation,
                target=request.key,
                kind=request.kind,
                content_type=request.content_type,
                fence=fence,
            )
            upload = self._started(client, row)
        refuse_late(fence, upload.fence, upload.key, what="upload")
        # Only now: parts of an upload that another call has opened meanwhile are none of ours.
        self.purge(client, request.upload)
        if not is_same_upload(upload, request):
            raise Conflict("the upload key is taken by another upload", object=request.upload)
        return answers.UploadInfo(upload=upload.key, key=upload.target)

    def _started(self, client: Client, row: UploadRow) -> UploadRow:
        """Make the upload's row appear, or give the one that another call was quicker with."""
        with self.shelves.building(client, "upload", row.key, row.id) as staged:
            client.write_new(staged, msgspec.json.encode(row))
            self.shelves.fences.check(client, "upload", row.key, row.fence)
            try:
                client.link(staged, self.path(row.key))
            except FileExistsError:
                won = self.find(client, row.key)
                if won is None:
                    raise Busy(
                        "another call ended this upload; try again", object=row.key
                    ) from None
                row = won
            except FileNotFoundError:
                raise Busy("another call is at work on this upload", object=row.key) from None
        with after_the_fact(row.key):
            client.discard(staged)
        return row

    def send(
        self, client: Client, request: requests.UploadPart, fresh: str, fence: int
    ) -> answers.PartInfo:
        """Store one part, in place of an earlier one of its number."""
        row = self.find(client, request.upload)
        if row is None:
            raise self._absent(client, request.upload)
        refuse_late(fence, row.fence, request.upload, what="upload")
        part = f"{request.upload}/{request.number}"
        self.shelves.fences.enter(client, "part", part, fence)
        kind = f"part.{name_of(request.upload)}.{request.number:06}."
        for name in self.shelves.names(client, self.shelves.staging):
            if name.startswith(kind):
                client.discard(f"{self.shelves.staging}/{name}")
        name = f"{request.number:06}.{fresh}"
        with self.shelves.building(client, "part", request.upload, name) as staged:
            client.write_new(staged, request.data)
            self.shelves.fences.check(client, "upload", request.upload, fence)
            self.shelves.fences.check(client, "part", part, fence)
            published(client, staged, self.part(row, request.number), request.upload)
        return answers.PartInfo(part=part_of(request))

    def _absent(self, client: Client, upload: str) -> NotFound:
        self.shelves.in_service(client)
        return NotFound("there is no open upload under this key", object=upload)

    def complete(
        self,
        client: Client,
        request: requests.CompleteUpload,
        operation: str,
        fresh: str,
        fence: int,
    ) -> answers.ObjectInfo:
        """Join parts into an object, replacing what is under its key."""
        row = self.find(client, request.upload)
        if row is None:
            self.shelves.in_service(client)
        self.enter(client, request.upload, fence, row, frees=True)
        if row is None:
            return self._completed(client, request).info()
        self.objects.enter(client, row.target, fence)
        object_row = self.objects.find(client, row.target)
        if object_row is None or object_row.upload_id != row.id:
            try:
                object_row = self._join(
                    client, row, request, _object_of(row, request, operation, fence), fresh
                )
            except (Invalid, FileNotFoundError):
                if self.find(client, request.upload) == row:
                    raise
                return self._completed(client, request).info()  # another call was quicker
        with after_the_fact(row.key):
            if self.find(client, row.key) == row:  # else it is over, or another one by now
                self._remove(client, row.key, fence)
            self.purge(client, row.key)
        return object_row.info()

    def _remove(self, client: Client, key: str, fence: int) -> None:
        """Remove the row of an upload, and no later one's."""
        with contextlib.suppress(Precondition):  # that one is back, and this one was gone before
            try:
                self._take(client, key, fence)
            except Busy as error:  # it is back, and the object is made
                raise Unknown(error.cause, object=key) from error

    def _take(self, client: Client, key: str, fence: int) -> None:
        self.shelves.take(client, self.path(key), "upload", key, fence=fence, own=_fence_of)

    def _completed(self, client: Client, request: requests.CompleteUpload) -> ObjectRow:
        """The object that this completion made before, free of what a killed call left."""
        self.shelves.in_service(client)
        object_row = self.objects.made_by(client, request)
        if object_row is None:
            raise self._absent(client, request.upload)
        self.purge(client, request.upload)
        self.shelves.purge(client, "object", object_row.key)
        return object_row

    def _join(
        self,
        client: Client,
        row: UploadRow,
        request: requests.CompleteUpload,
        object_row: ObjectRow,
        fresh: str,
    ) -> ObjectRow:
        chosen = self._chosen(client, row, request)
        promised = sum(part.size_bytes for part in request.parts)
        if promised != request.size_bytes:
            raise Corrupt(
                f"the parts have {promised} bytes, not {request.size_bytes}", object=row.target
            )
        with self.shelves.building(client, "object", row.target, fresh) as staged:
            with client.create(staged) as target:
                digest = self._joined(client, row, chosen, target)
                if digest != object_row.sha256:
                    raise Corrupt(
                        f"the parts have SHA-256 {digest}, not {object_row.sha256}",
                        object=object_row.key,
                    )
                target.write_at(object_row.size_bytes, sealed(object_row))
                target.sync()
            self.shelves.fences.check(client, "upload", row.key, object_row.fence)
            self.shelves.fences.check(client, "object", object_row.key, object_row.fence)
            published(client, staged, self.objects.path(object_row.key), object_row.key)
        return object_row

    def _chosen(
        self, client: Client, row: UploadRow, request: requests.CompleteUpload
    ) -> list[PartReference]:
        """The parts that are named, by number, all of them stored."""
        stored = self.parts(client, row)
        if len({part.number for part in request.parts}) < len(request.parts):
            raise Invalid("a part is named twice", object=request.upload)
        for part in request.parts:
            status = stored.get(part.number)
            if status is None or not status.is_file or status.size_bytes != part.size_bytes:
                raise not_that_part(part, request.upload)
        return sorted(request.parts, key=lambda part: part.number)

    def _joined(
        self, client: Client, row: UploadRow, parts: list[PartReference], target: File
    ) -> str:
        """Append parts to an empty file; returns the SHA-256 of the whole."""
        whole, offset = hashlib.sha256(), 0
        for part in parts:
            tag, place = xxhash.xxh3_128(), 0
            with client.open(self.part(row, part.number)) as file:
                while data := file.read_at(place, _READ_BYTES):
                    whole.update(data)
                    tag.update(data)
                    target.write_at(offset, data)
                    place += len(data)
                    offset += len(data)
            if tag.hexdigest() != part.tag:
                raise not_that_part(part, row.key)
        return whole.hexdigest()

    def abort(self, client: Client, request: requests.AbortUpload, fence: int) -> answers.Gone:
        """Drop an upload and its parts.

        A completion that is at work needs the parts, or has its file in staging already: without
        either it ends, and what was aborted never becomes an object.
        """
        self.shelves.in_service(client)
        row: UploadRow | None = None
        with contextlib.suppress(Corrupt):  # what is damaged can still be dropped
            row = self.find(client, request.upload)
        self.enter(client, request.upload, fence, row, frees=True)
        if row is not None:  # while it can still be read which object it would be
            self.shelves.purge(client, "object", row.target)
        self._take(client, request.upload, fence)
        self.purge(client, request.upload)
        return answers.Gone(key=request.upload)


def _not_of(row: UploadRow | None, parts: list[str]) -> list[str]:
    """The files of parts that are of another upload than this one."""
    own = "" if row is None else f"/{name_of(row.key)}.{row.id}."
    return [path for path in parts if not (own and own in path)]


def settle_uploads(client: Client, shelves: Shelves) -> None:
    """End what calls began that took an upload, of whatever key, and came no further."""
    shelves.settle_all(client, "upload", shelves.uploads, own=_fence_of, whose=_key_of)


def _fence_of(client: Client, path: str) -> int:
    """The fence of the call that opened the upload whose row has a path."""
    row = decoded(client, path, UploadRow)
    return 0 if row is None else row.fence


def _key_of(client: Client, path: str) -> str:
    row = decoded(client, path, UploadRow)
    return "" if row is None else row.key


def _object_of(
    row: UploadRow, request: requests.CompleteUpload, operation: str, fence: int
) -> ObjectRow:
    """The object that a completion of an upload is to make."""
    return ObjectRow(
        key=row.target,
        id=row.id.replace("up-", "obj-", 1),  # joined twice, it is still the same object
        operation=operation,
        kind=row.kind,
        content_type=row.content_type,
        size_bytes=request.size_bytes,
        sha256=request.sha256,
        upload=row.key,
        upload_id=row.id,
        fence=fence,
    )
