"""What is recorded of uploads and objects, as metadata beside them."""

import base64
import binascii
from typing import Final, Self

import msgspec

from holdfast.contract import answers, requests
from holdfast.contract.capabilities import ObjectKind
from holdfast.contract.errors import Corrupt
from holdfast_drivers.reported import object_info
from holdfast_drivers.swift.containers import Found
from holdfast_drivers.swift.names import digest_of, name_of

_OPERATION_BYTES: Final = 180
"""A value of metadata has 256 bytes at most, and base64 makes four of three."""


class Damaged(msgspec.Struct, frozen=True):
    """What is in the place of a row that cannot be read: why not."""

    reason: str


class UploadRow(msgspec.Struct, frozen=True, kw_only=True):
    """What is recorded of an upload for as long as it is open or its object lives.

    ``done`` is the id of the object that it became. One that is ``ending`` is being aborted and
    becomes none any more.
    """

    upload: str
    id: str
    key: str
    kind: ObjectKind
    content_type: str
    operation: str
    done: str = ""
    ending: bool = False

    @property
    def is_open(self) -> bool:
        """Whether parts can be sent to it and joined."""
        return not self.done and not self.ending

    @property
    def name(self) -> str:
        """The object that holds this row."""
        return row_name(self.upload)

    @property
    def group(self) -> str:
        """What tells this upload's parts from those of all others."""
        return f"{digest_of(self.upload)}.{self.id}"

    @property
    def folder(self) -> str:
        """The beginning of its parts' names."""
        return f"{parts_of(self.key)}{self.group}/"

    def meta(self) -> dict[str, str]:
        """As metadata."""
        meta = {
            "upload": encoded(self.upload),
            "id": self.id,
            "key": encoded(self.key),
            "kind": self.kind.value,
            "type": encoded(self.content_type),
            "operation": encoded(self.operation),
        }
        meta |= {"done": self.done} if self.done else {}
        return meta | ({"ending": "yes"} if self.ending else {})

    @classmethod
    def of(cls, head: Found) -> Self:
        """The row that is stored.

        Raises:
            Corrupt: it is none.
        """
        meta = head.meta
        try:
            return cls(
                upload=decoded(meta["upload"]),
                id=meta["id"],
                key=decoded(meta["key"]),
                kind=ObjectKind(meta["kind"]),
                content_type=decoded(meta["type"]),
                operation=decoded(meta["operation"]),
                done=meta.get("done", ""),
                ending="ending" in meta,
            )
        except (KeyError, ValueError) as error:
            raise Corrupt("what is recorded of the upload is damaged") from error

    def is_asked_for(self, request: requests.StartUpload) -> bool:
        """Whether a request asks for this upload."""
        properties = request.key, request.kind, request.content_type
        return (self.key, self.kind, self.content_type) == properties


class ObjectRow(msgspec.Struct, frozen=True, kw_only=True):
    """What is recorded of an object. ``replaced`` is the group of what was there before.

    A copy was made by no upload: ``upload`` is empty, and ``upload_id`` is its source's id.
    """

    key: str
    id: str
    kind: ObjectKind
    content_type: str
    size_bytes: int
    sha256: str
    upload: str
    upload_id: str
    operation: str
    replaced: str = ""

    @property
    def group(self) -> str:
        """The group of what it is made of."""
        return f"{digest_of(self.upload)}.{self.upload_id}"

    @property
    def folder(self) -> str:
        """The beginning of the names of what it is made of."""
        return f"{parts_of(self.key)}{self.group}/"

    @property
    def ended_by_it(self) -> tuple[str, ...]:
        """The groups that make no object once this one is not there any more."""
        return (self.group, self.replaced) if self.replaced else (self.group,)

    def meta(self) -> dict[str, str]:
        """As metadata."""
        meta = {
            "id": self.id,
            "kind": self.kind.value,
            "type": encoded(self.content_type),
            "size": str(self.size_bytes),
            "sha256": self.sha256,
            "upload-id": self.upload_id,
            "operation": encoded(self.operation),
        }
        meta |= {"upload": encoded(self.upload)} if self.upload else {}
        return meta | ({"replaced": self.replaced} if self.replaced else {})

    @classmethod
    def of(cls, key: str, head: Found) -> Self:
        """The row that is stored, true of the object's size.

        Raises:
            Corrupt: it is none, or the object was cut short.
        """
        meta = head.meta
        try:
            row = cls(
                key=key,
                id=meta["id"],
                kind=ObjectKind(meta["kind"]),
                content_type=decoded(meta["type"]),
                size_bytes=int(meta["size"]),
                sha256=meta["sha256"],
                upload=decoded(meta.get("upload", "")),
                upload_id=meta["upload-id"],
                operation=decoded(meta["operation"]),
                replaced=meta.get("replaced", ""),
            )
        except (KeyError, ValueError) as error:
            raise Corrupt("what is recorded of the object is damaged", object=key) from error
        if row.size_bytes != head.size_bytes:
            raise Corrupt(
                f"it has {head.size_bytes} bytes, not {row.size_bytes}; restore it from a backup",
                object=key,
            )
        return row

    def info(self) -> answers.ObjectInfo:
        """What is reported of the object."""
        return object_info(self)


def row_name(upload: str) -> str:
    """The object that holds an upload's row."""
    return f"u/{digest_of(upload)}"


def row_name_of_group(group: str) -> str:
    """The object that holds the row of the upload to which a group of parts belongs."""
    return f"u/{group.partition('.')[0]}"


def parts_of(key: str) -> str:
    """The beginning of the names of everything that was ever sent for a key."""
    return f"d/{digest_of(key)}/"


def copies_of(key: str) -> str:
    """The beginning of the names of everything that was ever copied to a key."""
    return f"{parts_of(key)}{digest_of('')}."


def group_of(name: str) -> str:
    """The group of a part, from its name."""
    return name.split("/")[2]


def part_name(folder: str, number: int, md5: str) -> str:
    """The name of a part: one that is sent again with other bytes leaves the earlier one alone,
    which may be what an object is being joined from.
    """
    return f"{folder}{number:06}.{md5}"


def number_of(name: str) -> int:
    """The number of a part, from its name; in older stores a name ends with it."""
    return int(name.rpartition("/")[2].partition(".")[0])


def object_name(key: str) -> str:
    """The object under a key."""
    return name_of(key)


def encoded(text: str) -> str:
    """Any text as a header's value."""
    whole = text.encode()[:_OPERATION_BYTES].decode(errors="ignore")
    return base64.urlsafe_b64encode(whole.encode()).decode()


def decoded(value: str) -> str:
    """The text in a header's value.

    Raises:
        ValueError: there is none.
    """
    try:
        return base64.b64decode(value.encode(), altchars=b"-_", validate=True).decode()
    except binascii.Error as error:
        raise ValueError(str(error)) from error
