"""Uploads as folders of part files, and the joining of parts into an object. Blocking functions."""

import contextlib
import hashlib
import re
from collections.abc import Iterator

import xxhash

from holdfast.contract import answers, requests
from holdfast.contract.capabilities import ObjectKind
from holdfast.contract.errors import Conflict, Corrupt, Invalid, NotFound
from holdfast.contract.requests import PartReference
from holdfast.files import mutations
from holdfast.files.trees import Strange, TreePath
from holdfast_drivers.local.errors import after_the_fact
from holdfast_drivers.local.keyed_folders import Row, Shelf
from holdfast_drivers.local.locks import Lock, LockKind, Locks
from holdfast_drivers.local.objects import ObjectRow, Objects
from holdfast_drivers.local.store_folder import Place
from holdfast_drivers.upload_facts import is_same_upload, not_that_part, part_of

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
    ) -> answers.UploadInfo:
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
            return answers.UploadInfo(upload=row.key, key=row.target)

    def parts(self, upload: str) -> dict[int, TreePath]:
        """The file of every part that is stored, by number."""
        paths: dict[int, TreePath] = {}
        with contextlib.suppress(FileNotFoundError, NotADirectoryError, Strange):
            for path in self.shelf.folder(upload).iterdir():
                named = _PART_NAME.fullmatch(path.name)
                if named is not None:
                    paths[int(named[1])] = path
        return paths

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

    def send(self, request: requests.UploadPart, fence: int) -> answers.PartInfo:
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
                mutations.write_new(staged / "part", request.data)
                mutations.rename(staged / "part", self.part(request.upload, request.number))
                with after_the_fact(request.upload):
                    mutations.fsync_directory(self.shelf.folder(request.upload))
            finally:
                self.shelf.purge(request.upload)
            return answers.PartInfo(part=part_of(request))

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
    ) -> answers.ObjectInfo:
        """Join parts into an object, replacing what is under its key; ``fresh`` is its id."""
        with self.shelf.acting(fence, request.upload, frees=True) as held:
            self.place.row()
            row = self.shelf.find(request.upload)
            if row is None:
                return self._completed(request, held).info()
            held.take(self.objects.shelf.lock(row.target))
            planned = _object_of(row, request, operation, fresh, fence)
            with self.objects.shelf.turn(held, fence, row.target):
                object_row = self._made(held, row, request, planned)
            with after_the_fact(row.target):
                self._promises.give(held, self.size_bytes(request.upload))
                self.shelf.remove(request.upload)
            return object_row.info()

    def _made(
        self, held: Locks, row: UploadRow, request: requests.CompleteUpload, planned: ObjectRow
    ) -> ObjectRow:
        """The object that the upload makes, or has made already."""
        objects = self.objects.shelf
        object_row = objects.find(row.target)
        if object_row is None or object_row.upload_id != row.id:
            return self._join(held, request, planned)
        objects.purge(row.target)
        with after_the_fact(row.target):
            objects.settle(row.target)
        return object_row

    def _completed(self, request: requests.CompleteUpload, held: Locks) -> ObjectRow:
        """The object that this completion made before, free of what a killed call left."""
        object_row = self.objects.made_by(request)
        if object_row is None:
            raise NotFound("there is no open upload under this key", object=request.upload)
        held.take(self.objects.shelf.lock(object_row.key))
        self.objects.shelf.purge(object_row.key)
        self.shelf.purge(request.upload)
        return object_row

    def _join(
        self, held: Locks, request: requests.CompleteUpload, object_row: ObjectRow
    ) -> ObjectRow:
        chosen = self._chosen(request)
        promised = sum(part.size_bytes for part in request.parts)
        if promised != request.size_bytes:
            raise Corrupt(
                f"the parts have {promised} bytes, not {request.size_bytes}", object=object_row.key
            )
        self._promises.take(held, promised)
        self._promises.give(held, self.objects.size_of(object_row.key))

        def fill(folder: TreePath) -> ObjectRow:
            with mutations.create_exclusive(folder / object_row.data) as target:
                digest = _joined(chosen, target, request.upload)
                if digest != object_row.sha256:
                    raise Corrupt(
                        f"the parts have SHA-256 {digest}, not {object_row.sha256}",
                        object=object_row.key,
                    )
                mutations.fsync_file(target)
            return object_row

        self.objects.publish(object_row, fill)
        return object_row

    def _chosen(self, request: requests.CompleteUpload) -> list[tuple[PartReference, TreePath]]:
        """The parts that are named and their files, by number."""
        stored = self.parts(request.upload)
        chosen = {part.number: part for part in request.parts}
        if len(chosen) < len(request.parts):
            raise Invalid("a part is named twice", object=request.upload)
        for part in request.parts:
            path = stored.get(part.number)
            if path is None or path.regular().st_size != part.size_bytes:
                raise not_that_part(part, request.upload)
        return [(chosen[number], stored[number]) for number in sorted(chosen)]

    def abort(self, request: requests.AbortUpload, fence: int) -> answers.Gone:
        """Drop an upload and its parts."""
        with self.shelf.acting(fence, request.upload, frees=True) as held:
            self.place.row()
            self._promises.give(held, self.size_bytes(request.upload))
            self.shelf.remove(request.upload)
            return answers.Gone(key=request.upload)


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


def tag_of(path: TreePath) -> str:
    """The tag of a part as it is stored."""
    digest = xxhash.xxh3_128()
    with mutations.open_existing(path) as part:
        for data in _chunks(part):
            digest.update(data)
    return digest.hexdigest()


def _chunks(file: mutations.OpenFile) -> Iterator[bytes]:
    offset = 0
    while data := mutations.read_at(file, offset, _READ_BYTES):
        yield data
        offset += len(data)


def _joined(
    parts: list[tuple[PartReference, TreePath]], target: mutations.OpenFile, upload: str
) -> str:
    """Append parts to an empty file; returns the SHA-256 of the whole."""
    whole, offset = hashlib.sha256(), 0
    for part, path in parts:
        tag = xxhash.xxh3_128()
        with mutations.open_existing(path) as file:
            for data in _chunks(file):
                whole.update(data)
                tag.update(data)
                mutations.write_at(target, offset, data)
                offset += len(data)
        if tag.hexdigest() != part.tag:
            raise not_that_part(part, upload)
    return whole.hexdigest()
