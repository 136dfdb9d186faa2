"""Uploads as folders of part files, and the joining of parts into an object. Blocking functions."""

import contextlib
import hashlib
import re
from collections.abc import Iterator

import xxhash

from holdfast import files, infos, requests
from holdfast.capabilities import ObjectKind
from holdfast.errors import Conflict, Corrupt, Invalid, NotFound
from holdfast.requests import PartReference
from holdfast.trees import Strange, TreePath
from holdfast_drivers.local.errors import after_the_fact
from holdfast_drivers.local.locks import Lock, LockKind, Locks
from holdfast_drivers.local.objects import ObjectRow, Objects
from holdfast_drivers.local.place import Place
from holdfast_drivers.local.shelf import Row, Shelf

_READ_BYTES = 1 << 20
_PART_NAME = re.compile(r"part\.(\d{6})")


class UploadRow(Row, frozen=True, kw_only=True):
    """What is recorded of an open upload; ``target`` is the key of the object it will be."""

    target: str
    kind: ObjectKind
    content_type: str


class Uploads:
    """The open uploads of one store."""

    def __init__(self, place: Place, objects: Objects) -> None:
        self.place = place
        self.shelf = Shelf(place, LockKind.UPLOAD, UploadRow)
        self.objects = objects
        self._promises = objects.promises
        objects.counts.append(self.parts_bytes)

    def start(
        self, request: requests.StartUpload, operation: str, fresh: str, fence: int
    ) -> infos.UploadInfo:
        """Open an upload; ``fresh`` is its id."""
        with self.shelf.acting(fence, request.upload):
            self.place.allocating()
            row = self.shelf.find(request.upload)
            if row is None:
                row = UploadRow(
                    key=request.upload,
                    id=fresh,
                    operation=operation,
                    fence=fence,
                    data="",
                    target=request.key,
                    kind=request.kind,
                    content_type=request.content_type,
                )
                self.shelf.put(request.upload, lambda _: row)
            elif not is_same_upload(row, request):
                raise Conflict("the upload key is taken by another upload", object=request.upload)
            else:
                self.shelf.purge(request.upload)
            return infos.UploadInfo(upload=row.key, key=row.target)

    def parts(self, upload: str) -> dict[int, TreePath]:
        """The file of every part that is stored, by number."""
        found: dict[int, TreePath] = {}
        with contextlib.suppress(FileNotFoundError, NotADirectoryError, Strange):
            for path in self.shelf.folder(upload).iterdir():
                named = _PART_NAME.fullmatch(path.name)
                if named is not None:
                    found[int(named[1])] = path
        return found

    def part(self, upload: str, number: int) -> TreePath:
        """The file of one part."""
        return self.shelf.folder(upload) / f"part.{number:06}"

    def _size_of(self, upload: str, number: int) -> int | None:
        """The size of a part; 0 where there is none, ``None`` where it cannot be said."""
        try:
            return self.part(upload, number).regular().st_size
        except FileNotFoundError:
            return 0
        except OSError:
            return None

    def send(self, request: requests.UploadPart, fence: int) -> infos.PartInfo:
        """Store one part, in place of an earlier one of its number.

        Parts come in any order: one is late where it was sent again since, or its upload has a
        later call.
        """
        with contextlib.ExitStack() as stack:
            held = stack.enter_context(self.place.locked(self.shelf.lock(request.upload)))
            self.place.row()
            self.shelf.refuse_late(held, fence, self.shelf.get(request.upload))
            stack.enter_context(self.part_turn(held, request, fence))
            staged = self.shelf.stage(request.upload)
            try:
                self._promises.take(held, len(request.data))
                self._promises.give(held, self._size_of(request.upload, request.number))
                files.write_new(staged / "part", request.data)
                files.rename(staged / "part", self.part(request.upload, request.number))
                with after_the_fact(request.upload):
                    files.fsync_directory(self.shelf.folder(request.upload))
            finally:
                self.shelf.purge(request.upload)
            return infos.PartInfo(part=part_of(request))

    def part_turn(
        self, held: Locks, request: requests.UploadPart, fence: int
    ) -> contextlib.AbstractContextManager[None]:
        """The turn of a call about one part; the lock of its upload is held."""
        part = Lock(LockKind.PART, f"{request.upload}/{request.number}")
        return self.place.fences.turn(held, part, fence)

    def parts_bytes(self) -> int:
        """The sizes of all parts of open uploads together."""
        return sum(map(self.size_bytes, self.shelf.all_keys()))

    def used_bytes(self) -> int:
        """The sizes of all objects and of all parts of open uploads together."""
        return self.objects.used_bytes() + self.parts_bytes()

    def size_bytes(self, upload: str) -> int:
        """The sizes of an upload's parts together."""
        size_bytes = 0
        for path in self.parts(upload).values():
            with contextlib.suppress(
                FileNotFoundError, Strange
            ):  # it went meanwhile, or is no part
                size_bytes += path.regular().st_size
        return size_bytes

    def complete(
        self, request: requests.CompleteUpload, operation: str, fresh: str, fence: int
    ) -> infos.ObjectInfo:
        """Join parts into an object, replacing what is under its key; ``fresh`` is its id."""
        with self.shelf.acting(fence, request.upload, frees=True) as held:
            self.place.row()
            row = self.shelf.find(request.upload)
            if row is None:
                return self._completed(request, held).info()
            held.take(self.objects.shelf.lock(row.target))
            planned = _object_of(row, request, operation, fresh, fence)
            with self.objects.shelf.turn(held, fence, row.target):
                made = self._made(held, row, request, planned)
            with after_the_fact(row.target):
                self._promises.give(held, self.size_bytes(request.upload))
                self.shelf.remove(request.upload)
            return made.info()

    def _made(
        self, held: Locks, row: UploadRow, request: requests.CompleteUpload, planned: ObjectRow
    ) -> ObjectRow:
        """The object that the upload makes, or has made already."""
        objects = self.objects.shelf
        made = objects.find(row.target)
        if made is None or made.upload_id != row.id:
            return self._join(held, request, planned)
        objects.purge(row.target)
        with after_the_fact(row.target):
            objects.settle(row.target)
        return made

    def _completed(self, request: requests.CompleteUpload, held: Locks) -> ObjectRow:
        """The object that this completion made before, free of what a killed call left."""
        made = self.objects.made_by(request)
        if made is None:
            raise NotFound("there is no open upload under this key", object=request.upload)
        held.take(self.objects.shelf.lock(made.key))
        self.objects.shelf.purge(made.key)
        self.shelf.purge(request.upload)
        return made

    def _join(self, held: Locks, request: requests.CompleteUpload, made: ObjectRow) -> ObjectRow:
        chosen = self._chosen(request)
        promised = sum(part.size_bytes for part in request.parts)
        if promised != request.size_bytes:
            raise Corrupt(
                f"the parts have {promised} bytes, not {request.size_bytes}", object=made.key
            )
        self._promises.take(held, promised)
        self._promises.give(held, self.objects.size_of(made.key))

        def fill(folder: TreePath) -> ObjectRow:
            with files.create_exclusive(folder / made.data) as target:
                found = _joined(chosen, target, request.upload)
                if found != made.sha256:
                    raise Corrupt(
                        f"the parts have SHA-256 {found}, not {made.sha256}", object=made.key
                    )
                files.fsync_file(target)
            return made

        self.objects.publish(made, fill)
        return made

    def _chosen(self, request: requests.CompleteUpload) -> list[tuple[PartReference, TreePath]]:
        """The parts that are named and their files, by number."""
        stored = self.parts(request.upload)
        chosen = {part.number: part for part in request.parts}
        if len(chosen) < len(request.parts):
            raise Invalid("a part is named twice", object=request.upload)
        for part in request.parts:
            path = stored.get(part.number)
            if path is None or path.regular().st_size != part.size_bytes:
                raise _foreign(part, request.upload)
        return [(chosen[number], stored[number]) for number in sorted(chosen)]

    def abort(self, request: requests.AbortUpload, fence: int) -> infos.Gone:
        """Drop an upload and its parts."""
        with self.shelf.acting(fence, request.upload, frees=True) as held:
            self.place.row()
            self._promises.give(held, self.size_bytes(request.upload))
            self.shelf.remove(request.upload)
            return infos.Gone(key=request.upload)


def _object_of(
    row: UploadRow, request: requests.CompleteUpload, operation: str, fresh: str, fence: int
) -> ObjectRow:
    """The object that a completion of an upload is to make."""
    return ObjectRow(
        key=row.target,
        id=fresh,
        operation=operation,
        fence=fence,
        data=f"data.{fresh}",
        kind=row.kind,
        content_type=row.content_type,
        size_bytes=request.size_bytes,
        sha256=request.sha256,
        upload=row.key,
        upload_id=row.id,
    )


def is_same_upload(row: UploadRow, request: requests.StartUpload) -> bool:
    """Whether a request asks for the upload that is open."""
    asked = request.key, request.kind, request.content_type
    return (row.target, row.kind, row.content_type) == asked


def part_of(request: requests.UploadPart) -> PartReference:
    """What is acknowledged of a part; the tag is the XXH3-128 of its bytes."""
    return PartReference(
        number=request.number,
        size_bytes=len(request.data),
        tag=xxhash.xxh3_128_hexdigest(request.data),
    )


def tag_of(path: TreePath) -> str:
    """The tag of a part as it is stored."""
    digest = xxhash.xxh3_128()
    with files.open_existing(path) as part:
        for data in _chunks(part):
            digest.update(data)
    return digest.hexdigest()


def _chunks(file: files.OpenFile) -> Iterator[bytes]:
    offset = 0
    while data := files.read_at(file, offset, _READ_BYTES):
        yield data
        offset += len(data)


def _foreign(part: PartReference, upload: str) -> Invalid:
    return Invalid(
        f"part {part.number} is not stored with tag {part.tag}; send it again", object=upload
    )


def _joined(
    parts: list[tuple[PartReference, TreePath]], target: files.OpenFile, upload: str
) -> str:
    """Append parts to an empty file; returns the SHA-256 of the whole."""
    whole, offset = hashlib.sha256(), 0
    for part, path in parts:
        tag = xxhash.xxh3_128()
        with files.open_existing(path) as file:
            for data in _chunks(file):
                whole.update(data)
                tag.update(data)
                files.write_at(target, offset, data)
                offset += len(data)
        if tag.hexdigest() != part.tag:
            raise _foreign(part, upload)
    return whole.hexdigest()
