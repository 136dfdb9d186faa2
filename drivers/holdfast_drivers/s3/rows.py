"""What is recorded of a store, an upload and an object, and how it looks in the bucket."""

from typing import Final, TypeVar
from urllib.parse import quote, unquote

import msgspec

from holdfast.contract import answers
from holdfast.contract.answers import StoreInfo, StoreState
from holdfast.contract.capabilities import ObjectKind
from holdfast.contract.errors import Corrupt
from holdfast_drivers.reported import object_info, store_info
from holdfast_drivers.s3.names import encoded
from holdfast_drivers.s3.values import Description, Head

STORE: Final = "store.json"
OBJECTS: Final = "objects/"
UPLOADS: Final = "uploads/"
PARTS: Final = "parts/"
SETTLED: Final = "settled/"
COPIES: Final = "copies/"
_META: Final = "holdfast-"
_PART_OF: Final = f"{_META}upload"

R = TypeVar("R", bound=msgspec.Struct)


class StoreRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The store, as ``store.json``; ``hosts`` are in byte order."""

    id: str
    name: str
    operation: str
    state: StoreState = StoreState.UP
    hosts: tuple[str, ...] = ()
    identity: str = ""

    def info(self) -> StoreInfo:
        """What is reported of it."""
        return store_info(self)


class Damaged(msgspec.Struct, frozen=True):
    """What is in the place of a row that cannot be read: why not."""

    reason: str


class UploadRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An open upload, as ``uploads/KEY``; ``target`` is the key of the object it will be."""

    key: str
    id: str
    operation: str
    target: str
    kind: ObjectKind
    content_type: str


class SettledRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An upload that became the object ``target``, as ``settled/KEY``.

    It holds for as long as that object says that it was made by upload ``id``.
    """

    key: str
    id: str
    target: str


class ObjectRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A complete object, as the metadata of ``objects/KEY``.

    ``upload`` and ``upload_id`` are the upload that made it, ``replaced`` is the key of the upload
    that had made the object before it.
    """

    key: str
    id: str
    operation: str
    kind: ObjectKind
    content_type: str
    size_bytes: int
    sha256: str
    upload: str = ""
    upload_id: str = ""
    replaced: str = ""

    def info(self) -> answers.ObjectInfo:
        """What is reported of it."""
        return object_info(self)

    def description(self) -> Description:
        """How it is stored beside the bytes."""
        plain = self.content_type.isascii()
        fields: dict[str, object] = msgspec.to_builtins(self)
        return Description(
            content_type=self.content_type if plain else "application/octet-stream",
            metadata={
                f"{_META}{name.replace('_', '-')}": quote(str(value), safe="/")
                for name, value in fields.items()
                if name != "key" and value != ""
            },
        )


def object_of(key: str, head: Head) -> ObjectRow:
    """The object that is stored with this head.

    Raises:
        Corrupt: its metadata or its size is not what was stored.
    """
    fields = {
        name.removeprefix(_META).replace("-", "_"): unquote(value)
        for name, value in head.metadata.items()
        if name.startswith(_META)
    }
    try:
        row = msgspec.convert({**fields, "key": key}, ObjectRow, strict=False)
    except msgspec.ValidationError as error:
        raise Corrupt(f"the object's metadata is damaged: {error}", object=key) from error
    if row.size_bytes != head.size_bytes:
        raise Corrupt(
            f"the object has {head.size_bytes} bytes where {row.size_bytes} were stored", object=key
        )
    return row


def row_of(data: bytes, kind: type[R], name: str) -> R:
    """The row that is stored under a name.

    Raises:
        Corrupt: it is damaged.
    """
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Corrupt(f"{name} is damaged: {error}") from error


def object_name(key: str) -> str:
    """Where an object is."""
    return f"{OBJECTS}{encoded(key)}"


def upload_name(key: str) -> str:
    """Where an upload's row is."""
    return f"{UPLOADS}{encoded(key)}"


def settled_name(key: str) -> str:
    """Where it is recorded what became of an upload."""
    return f"{SETTLED}{encoded(key)}"


def copy_name(key: str) -> str:
    """The mark of a large copy that is under way to this key."""
    return f"{COPIES}{encoded(key)}"


def part_description(row: UploadRow) -> Description:
    """How a part is stored: it says whose it is, for where no list has the upload's row."""
    return Description(metadata={_PART_OF: quote(row.key, safe="/")})


def upload_of(part: Head) -> str | None:
    """The key of the upload that a part is of; ``None`` for one from before parts said it."""
    key = part.metadata.get(_PART_OF)
    return None if key is None else unquote(key)


def parts_prefix(upload_id: str) -> str:
    """What the names of an upload's parts begin with."""
    return f"{PARTS}{upload_id}/"


def part_name(upload_id: str, number: int) -> str:
    """Where a part is."""
    return f"{parts_prefix(upload_id)}{number:05}"
