"""Objects as files with a recorded size and digest. Blocking functions."""

import hashlib
from collections.abc import Callable

from holdfast.contract import answers, requests
from holdfast.contract.capabilities import ObjectKind
from holdfast.contract.errors import Corrupt, OutOfRange
from holdfast.contract.handles import FileHandle
from holdfast.files import mutations
from holdfast.files.trees import TreePath
from holdfast_drivers.listing import key_page
from holdfast_drivers.local.errors import after_the_fact
from holdfast_drivers.local.keyed_folders import Row, Shelf, Unreadable
from holdfast_drivers.local.locks import LockKind
from holdfast_drivers.local.promises import Promises
from holdfast_drivers.local.store_folder import Place
from holdfast_drivers.reported import object_info


class ObjectRow(Row, frozen=True, kw_only=True):
    """What is recorded of an object; ``upload_id`` is the id of the upload it was made by."""

    kind: ObjectKind
    content_type: str
    size_bytes: int
    sha256: str
    upload: str
    upload_id: str

    def info(self) -> answers.ObjectInfo:
        """What is reported of the object."""
        return object_info(self)


class Objects:
    """The objects of one store."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.shelf = Shelf(place, LockKind.OBJECT, ObjectRow)
        self.counts: list[Callable[[], int]] = [self.used_bytes]
        """What adds up to the bytes that the store has promised."""
        self.promises = Promises(place, lambda: sum(count() for count in self.counts))

    def size_of(self, key: str) -> int | None:
        """The size of an object; 0 where there is none, ``None`` where it cannot be said."""
        return self.shelf.size_of(key, lambda _, path: path.regular().st_size)

    def used_bytes(self) -> int:
        """The sizes of all objects together, of what is left of unreadable ones too."""
        sizes = self.shelf.survey(lambda row: self.shelf.data(row).regular().st_size)
        return sum(
            self.shelf.left_bytes(one) if isinstance(one, Unreadable) else one for one in sizes
        )

    def made_by(self, request: requests.CompleteUpload) -> ObjectRow | None:
        """The object that this completion of an upload made, while it is there."""
        properties = request.upload, request.size_bytes, request.sha256
        rows = self.shelf.rows()
        return next(
            (row for row in rows if (row.upload, row.size_bytes, row.sha256) == properties), None
        )

    def publish(self, object_row: ObjectRow, fill: Callable[[TreePath], ObjectRow]) -> None:
        """Make an object visible in place of another, at once; ``fill`` writes its file."""
        old = self.shelf.find(object_row.key)
        if old is None:
            self.shelf.put(object_row.key, fill)
            return
        staged = self.shelf.stage(object_row.key)
        try:
            fill(staged)
            mutations.publish(staged / object_row.data, self.shelf.data(object_row))
            self.shelf.replace_row(object_row.key, object_row)
        except BaseException:
            self.shelf.purge(object_row.key)
            raise
        with after_the_fact(object_row.key):
            mutations.unlink(self.shelf.data(old))
            mutations.fsync_directory(self.shelf.folder(object_row.key))

    def head(self, request: requests.HeadObject) -> answers.ObjectInfo:
        """What is recorded of an object, and true of its file's size."""
        self.place.row()
        return self.shelf.describe(request.key, self._checked).info()

    def _checked(self, row: ObjectRow) -> ObjectRow:
        size_bytes = self.shelf.data(row).regular().st_size
        if size_bytes != row.size_bytes:
            raise Corrupt(
                f"{self.shelf.data(row)} has {size_bytes} bytes, not {row.size_bytes}",
                object=row.key,
            )
        return row

    def open(self, request: requests.OpenObject) -> FileHandle:
        """A read-only handle of an object's file."""
        self.place.row()
        row = self.shelf.describe(request.key, self._checked)
        return FileHandle(
            path=str(self.shelf.data(row)),
            size_bytes=row.size_bytes,
            read_only=True,
            below=str(self.place.root),
        )

    def get(self, request: requests.GetObject) -> answers.ObjectData:
        """The bytes of an object or of a range; the digest is checked where all is read."""
        self.place.row()
        return self.shelf.describe(request.key, lambda row: self._read(row, request))

    def _read(self, row: ObjectRow, request: requests.GetObject) -> answers.ObjectData:
        self._checked(row)
        offset = request.offset_bytes
        if offset < 0:
            offset = max(0, row.size_bytes + offset)
        if offset > row.size_bytes:
            raise OutOfRange(f"offset {offset} is past the end at {row.size_bytes}", object=row.key)
        rest = row.size_bytes - offset
        length = rest if request.length_bytes is None else min(rest, request.length_bytes)
        with mutations.open_existing(self.shelf.data(row)) as file:
            data = mutations.read_at(file, offset, length)
        if length == row.size_bytes and hashlib.sha256(data).hexdigest() != row.sha256:
            raise Corrupt(f"{self.shelf.data(row)} is damaged: another SHA-256", object=row.key)
        return answers.ObjectData(object=row.info(), offset_bytes=offset, data=data)

    def list(self, request: requests.ListObjects) -> answers.ObjectPage:
        """Objects, and prefixes where keys are folded, in byte order."""
        store = self.place.row()
        page = key_page(self.shelf.all_keys(), store.id, request)
        return answers.ObjectPage(
            items=tuple(self.shelf.describe_all(page.keys, ObjectRow.info)),
            prefixes=page.prefixes,
            token=page.token,
        )

    def delete(self, request: requests.DeleteObject, fence: int) -> answers.Gone:
        """Delete an object."""
        with self.shelf.acting(fence, request.key, frees=True) as held:
            self.place.row()
            self.promises.give(held, self.size_of(request.key))
            self.shelf.remove(request.key)
            return answers.Gone(key=request.key)
