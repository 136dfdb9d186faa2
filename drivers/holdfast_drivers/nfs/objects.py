"""Objects as single files: the bytes, zeroes up to a whole sector, and a record of what they are.

An object and what is known of it are one file, so that both appear, are replaced and disappear
together, with one call to the server. The record is the last thing in the file: JSON, zeroes, and a
footer of 16 bytes with the JSON's length and a mark. The whole is a multiple of 512 bytes.
"""

import contextlib
import hashlib
import json
import struct
from collections.abc import Iterator
from typing import Final

import msgspec

from holdfast.contract import answers, requests
from holdfast.contract.capabilities import ObjectKind
from holdfast.contract.errors import Corrupt, NotFound, OutOfRange
from holdfast.contract.handles import BlockNodeHandle, FileHandle, Handle
from holdfast.files.trees import Strange
from holdfast_drivers.listing import key_page
from holdfast_drivers.local.errors import driver_error
from holdfast_drivers.local.names import key_of, name_of, shown
from holdfast_drivers.nfs.config import NfsImageConfig
from holdfast_drivers.nfs.libnfs import Client, File, until_fresh
from holdfast_drivers.nfs.store_folder import Shelves, Unreadable, again, apart
from holdfast_drivers.refusals import refuse_late
from holdfast_drivers.reported import object_info

SECTOR_BYTES: Final = 512
_FOOTER: Final = struct.Struct("<Q8s")
_MARK: Final = b"hfobj\0\0\1"
_TAIL_BYTES: Final = 4096


class ObjectRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is recorded of an object; ``upload_id`` is the id of the upload it was made by, and
    ``fence`` that of the completion.
    """

    key: str
    id: str
    operation: str
    kind: ObjectKind
    content_type: str
    size_bytes: int
    sha256: str
    upload: str
    upload_id: str
    fence: int = 0

    def info(self) -> answers.ObjectInfo:
        """What is reported of the object."""
        return object_info(self)


def sealed(row: ObjectRow) -> bytes:
    """What follows an object's bytes in its file."""
    text = msgspec.json.encode(row)
    padding = -row.size_bytes % SECTOR_BYTES
    record = len(text) + _FOOTER.size
    return b"".join(
        (
            bytes(padding),
            text,
            bytes(-record % SECTOR_BYTES),
            _FOOTER.pack(len(text), _MARK),
        )
    )


def _row_of(file: File, path: str) -> ObjectRow:
    """The record at the end of an object's file."""
    whole_bytes = file.status().size_bytes
    start = max(0, whole_bytes - _TAIL_BYTES)
    tail = file.read_at(start, whole_bytes - start)
    if len(tail) < _FOOTER.size:
        raise Corrupt(f"{path} was cut short; restore it from a backup")
    length, mark = _FOOTER.unpack(tail[-_FOOTER.size :])
    record = -(-(length + _FOOTER.size) // SECTOR_BYTES) * SECTOR_BYTES
    if mark != _MARK or record > len(tail):
        raise Corrupt(f"{path} was cut short or overwritten; restore it from a backup")
    try:
        row = msgspec.json.decode(tail[-record:][:length], type=ObjectRow)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Corrupt(f"the record in {path} is damaged: {shown(str(error))}") from error
    if whole_bytes - record != row.size_bytes + -row.size_bytes % SECTOR_BYTES:
        raise Corrupt(f"{path} has another size than its record says", object=row.key)
    return row


class Objects:
    """The objects of one store. Blocking functions."""

    def __init__(self, config: NfsImageConfig, shelves: Shelves) -> None:
        self._config = config
        self.shelves = shelves

    def path(self, key: str) -> str:
        """Where the object under this key is, or would be."""
        return f"{self.shelves.objects}/{name_of(key)}"

    def find(self, client: Client, key: str) -> ObjectRow | None:
        """The record of the object under a key, or ``None``."""
        path = self.path(key)
        try:
            with client.open(path) as file:
                row = _row_of(file, path)
        except FileNotFoundError:
            return None
        except Strange as error:
            raise driver_error(error, key) from error
        if row.key != key:
            raise Corrupt(f"{path} is of key {row.key!r}", object=key)
        return row

    def look(self, client: Client, key: str) -> ObjectRow:
        """The record of the object under a key, or ``NotFound``."""
        row = self.current(client, key)
        if row is None:
            raise self._absent(client, key)
        return row

    def current(self, client: Client, key: str) -> ObjectRow | None:
        """As ``find``, also where a late call has taken it; it may be back by the second look."""
        row = _settled_find(self, client, key)
        if row is None:
            self._settle(client, key)
            row = _settled_find(self, client, key)
        return row

    def exists(self, client: Client, key: str) -> bool:
        """Whether there is anything under a key, also where a late call is about to take it."""
        path = self.path(key)
        if client.exists(path):
            return True
        self._settle(client, key)
        return client.exists(path)

    def _settle(self, client: Client, key: str) -> None:
        self.shelves.settle(client, self.path(key), "object", key, own=_fence_of)

    def _absent(self, client: Client, key: str) -> NotFound:
        self.shelves.in_service(client)  # absent only where the store is there to say so
        return NotFound("there is no object under this key", object=key)

    def all_keys(self, client: Client) -> list[str]:
        """All keys, in byte order."""
        keys: list[str] = []
        for name in self.shelves.names(client, self.shelves.objects):
            key = key_of(name)
            if key is None:
                row = self._apart(client, name)
                key = row.key if isinstance(row, ObjectRow) else None
            if key is not None:
                keys.append(key)
        return sorted(keys, key=str.encode)

    def survey(self, client: Client) -> Iterator[ObjectRow | Unreadable]:
        """All records, in order of their names, and what cannot be read among them."""
        for name in sorted(self.shelves.names(client, self.shelves.objects)):
            entry = self._apart(client, name)
            if entry is not None:
                yield entry

    def _apart(self, client: Client, name: str) -> ObjectRow | Unreadable | None:
        return apart("objects", name, lambda: self._recorded(client, name))

    def _recorded(self, client: Client, name: str) -> ObjectRow:
        path = f"{self.shelves.objects}/{name}"
        with client.open(path) as file:
            row = _row_of(file, path)
        if name_of(row.key) != name:
            raise Corrupt(f"{path} is of key {shown(row.key)}")
        return row

    def rows(self, client: Client) -> list[ObjectRow]:
        """All records but of what goes meanwhile or is damaged."""
        return [row for row in self.survey(client) if isinstance(row, ObjectRow)]

    def made_by(self, client: Client, request: requests.CompleteUpload) -> ObjectRow | None:
        """The object that this completion of an upload made, while it is there."""
        properties = request.upload, request.size_bytes, request.sha256
        for last in (False, True):
            for row in self.rows(client):
                if (row.upload, row.size_bytes, row.sha256) == properties:
                    return row
            if not last:
                settle_objects(client, self.shelves)
        return None

    def head(self, client: Client, request: requests.HeadObject) -> answers.ObjectInfo:
        """What is recorded of an object."""
        return self.look(client, request.key).info()

    def open(self, client: Client, request: requests.OpenObject) -> Handle:
        """A read-only handle of an object's bytes: a file, or else what QEMU opens."""
        row, path = self.look(client, request.key), self.path(request.key)
        if self._config.mounted_at:
            mounted_at = self._config.mounted_at
            return FileHandle(
                path=f"{mounted_at}{path}",
                size_bytes=row.size_bytes,
                read_only=True,
                below=f"{mounted_at}{self.shelves.base}",
            )
        description = {
            "driver": "raw",
            "size": row.size_bytes + -row.size_bytes % SECTOR_BYTES,
            "read-only": True,
            "file": {
                "driver": "nfs",
                "server": {"type": "inet", "host": self._config.server},
                "path": f"{self._config.export.rstrip('/')}{path}",
                "user": self._config.uid,
                "group": self._config.gid,
                "read-only": True,
            },
        }
        return BlockNodeHandle(
            blockdev=json.dumps(description), size_bytes=row.size_bytes, read_only=True
        )

    def get(self, client: Client, request: requests.GetObject) -> answers.ObjectData:
        """The bytes of an object or of a range; the digest is checked where all is read."""
        for last in (False, True):
            with contextlib.suppress(NotFound):
                return again(lambda: self._read(client, request), request.key, "object")
            if not last:
                self._settle(client, request.key)
        raise self._absent(client, request.key)

    def _read(self, client: Client, request: requests.GetObject) -> answers.ObjectData | None:
        path = self.path(request.key)
        try:
            with client.open(path) as file:
                row = _row_of(file, path)
                offset, length = _range(row, request)
                data = file.read_at(offset, length)
        except FileNotFoundError:
            return None
        if length == row.size_bytes and hashlib.sha256(data).hexdigest() != row.sha256:
            raise Corrupt(f"{path} is damaged: another SHA-256", object=row.key)
        return answers.ObjectData(object=row.info(), offset_bytes=offset, data=data)

    def list(self, client: Client, request: requests.ListObjects) -> answers.ObjectPage:
        """Objects, and prefixes where keys are folded, in byte order."""
        store = self.shelves.row(client)
        page = key_page(self.all_keys(client), store.id, request)
        rows = (self._apart(client, name_of(key)) for key in page.keys)
        return answers.ObjectPage(
            items=tuple(row.info() for row in rows if isinstance(row, ObjectRow)),
            prefixes=page.prefixes,
            token=page.token,
        )

    def enter(self, client: Client, key: str, fence: int, *, frees: bool = False) -> None:
        """Let no earlier call make, replace or remove the object under a key any more."""
        self.shelves.fences.enter(client, "object", key, fence, frees=frees)
        self._settle(client, key)
        if fence:
            with contextlib.suppress(Corrupt):  # a damaged one can go
                row = _settled_find(self, client, key)
                refuse_late(fence, row.fence if row is not None else 0, key, what="object")
        self.shelves.purge(client, "object", key)

    def delete(self, client: Client, request: requests.DeleteObject, fence: int) -> answers.Gone:
        """Delete an object, and what killed calls left under its key."""
        self.shelves.in_service(client)
        self.enter(client, request.key, fence, frees=True)
        path = self.path(request.key)
        self.shelves.take(client, path, "object", request.key, fence=fence, own=_fence_of)
        return answers.Gone(key=request.key)

    def stats(self, client: Client) -> answers.StatsInfo:
        """What the export's file system has, and what the objects in it occupy."""
        names = self.shelves.names(client, self.shelves.objects).values()
        files = [status for status in names if status.is_file]
        space = client.space(self.shelves.folder)
        used_bytes = sum(status.used_bytes for status in files)
        return answers.StatsInfo(
            total_bytes=space.total_bytes,
            used_bytes=min(used_bytes, space.total_bytes),
            allocated_bytes=sum(status.size_bytes for status in files),
            objects=len(files),
        )


def settle_objects(client: Client, shelves: Shelves) -> None:
    """End what calls began that took an object, of whatever key, and came no further."""
    shelves.settle_all(client, "object", shelves.objects, own=_fence_of, whose=_key_of)


def _fence_of(client: Client, path: str) -> int:
    """The fence of the call that made an object's file."""
    with client.open(path) as file:
        return _row_of(file, path).fence


def _key_of(client: Client, path: str) -> str:
    with client.open(path) as file:
        return _row_of(file, path).key


def _settled_find(objects: Objects, client: Client, key: str) -> ObjectRow | None:
    """As ``find``, again when the object was replaced while it was read."""
    return until_fresh(lambda: objects.find(client, key))


def _range(row: ObjectRow, request: requests.GetObject) -> tuple[int, int]:
    """Offset and length of what is asked for, cut at the object's end."""
    offset = request.offset_bytes
    if offset < 0:
        offset = max(0, row.size_bytes + offset)
    if offset > row.size_bytes:
        raise OutOfRange(f"offset {offset} is past the end at {row.size_bytes}", object=row.key)
    rest = row.size_bytes - offset
    return offset, rest if request.length_bytes is None else min(rest, request.length_bytes)
