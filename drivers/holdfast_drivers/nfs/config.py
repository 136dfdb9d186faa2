"""What the drivers are told, and what they declare for the export they find."""

from typing import Final

import msgspec

from holdfast.contract.capabilities import (
    ImageCapabilities,
    ListCapabilities,
    RangeCapabilities,
    UploadCapabilities,
)
from holdfast.contract.errors import Invalid
from holdfast.contract.requests import KEY_MAX_BYTES
from holdfast_drivers.nfs.libnfs import Address

PART_MAX_BYTES: Final = 16 << 20
PARTS_MAX: Final = 1 << 16
OBJECT_MAX_BYTES: Final = 1 << 40


class NfsImageConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An image store in a folder of an NFS export.

    Args:
        server: the NFS server's name or address.
        export: the absolute path of the export on the server.
        namespace: the part of the folder that belongs to this store; nothing else is touched.
        folder: a folder inside the export that exists; without it, the export itself.
        uid: the number of the user that owns the files.
        gid: the number of the group that owns the files.
        mounted_at: where this host has the export mounted, if it has; objects are opened there.
    """

    server: str
    export: str
    namespace: str
    folder: str = ""
    uid: int = 0
    gid: int = 0
    mounted_at: str = ""

    def address(self) -> Address:
        """Where the export is.

        Raises:
            Invalid: the settings name no place that could ever be a store.
        """
        check_setting("server", self.server)
        check_setting("export", self.export)
        if not self.export.startswith("/"):
            raise Invalid(f"setting `export` is {self.export!r}, not an absolute path")
        check_folder("folder", self.folder)
        if self.mounted_at and not self.mounted_at.startswith("/"):
            raise Invalid(f"setting `mounted_at` is {self.mounted_at!r}, not an absolute path")
        if not 1 <= len(self.namespace.encode()) <= KEY_MAX_BYTES:
            raise Invalid(f"setting `namespace` must have 1 to {KEY_MAX_BYTES} bytes")
        if min(self.uid, self.gid) < 0 or max(self.uid, self.gid) >= 1 << 31:
            raise Invalid("settings `uid` and `gid` are numbers from 0 to 2147483647")
        return Address(
            server=self.server,
            export=self.export,
            uid=self.uid,
            gid=self.gid,
            below=f"/{self.folder}" if self.folder else "",
        )


def check_setting(name: str, value: str) -> None:
    """Refuse an empty setting, and one that cannot be sent."""
    if not value or any(ord(character) < 33 for character in value):
        raise Invalid(f"setting `{name}` is empty or has blanks or control characters in it")


def check_folder(name: str, value: str) -> None:
    """Refuse a folder that is not plainly inside of the export."""
    parts = value.split("/") if value else []
    if "\0" in value or any(part in {"", ".", ".."} for part in parts):
        raise Invalid(f"setting `{name}` is {value!r}; name a folder inside the export")


IMAGE_CAPABILITIES: Final = ImageCapabilities(
    upload=UploadCapabilities(
        object_max_bytes=OBJECT_MAX_BYTES,
        part_min_bytes=1,
        part_max_bytes=PART_MAX_BYTES,
        parts_max=PARTS_MAX,
    ),
    list=ListCapabilities(page_max=1000),
    range=RangeCapabilities(),
    fences=True,
)
