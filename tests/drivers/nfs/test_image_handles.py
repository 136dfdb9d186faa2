"""Objects of an export that this host has mounted are files, and are reached through no link."""

import asyncio
from pathlib import Path
from typing import cast

import pytest

from holdfast.contract import requests
from holdfast.contract.capabilities import ObjectKind
from holdfast.contract.errors import Corrupt
from holdfast.contract.handles import FileHandle
from holdfast.data.file_io import open_file_io
from holdfast_drivers.nfs.config import NfsImageConfig
from holdfast_drivers.nfs.libnfs import Client
from holdfast_drivers.nfs.objects import ObjectRow, Objects
from holdfast_drivers.nfs.store_folder import Shelves

ROW = ObjectRow(
    key="key",
    id="obj-1",
    operation="op",
    kind=ObjectKind.ISO,
    content_type="",
    size_bytes=3,
    sha256="",
    upload="up",
    upload_id="up-1",
)


class Recorded(Objects):
    """Objects of which the record was read, as ever over the protocol, a moment ago."""

    def look(self, client: Client, key: str) -> ObjectRow:
        del client, key
        return ROW


def _opened(mounted_at: Path) -> tuple[FileHandle, Path]:
    config = NfsImageConfig(
        server="127.0.0.1", export="/export", namespace="n", mounted_at=str(mounted_at)
    )
    objects = Recorded(config, Shelves(config))
    nobody = cast("Client", None)  # nothing else is asked of the server
    handle = objects.open(nobody, requests.OpenObject(key="key"))
    assert isinstance(handle, FileHandle)
    path = Path(handle.path)
    path.parent.mkdir(parents=True)
    return handle, path


async def _read(handle: FileHandle) -> bytes:
    async with open_file_io(handle) as file:
        return await file.read_at(0, 3)


def test_an_object_of_a_mounted_export_is_read_as_a_file(tmp_path: Path) -> None:
    """The handle names the file below the mount."""
    handle, path = _opened(tmp_path / "export")
    path.write_bytes(b"abc")
    assert asyncio.run(_read(handle)) == b"abc"


@pytest.mark.parametrize("folder", [False, True])
def test_a_link_in_a_mounted_export_is_not_followed(tmp_path: Path, *, folder: bool) -> None:
    """Who can write to the export cannot have a file of this host read as an object."""
    handle, path = _opened(tmp_path / "export")
    secret = tmp_path / "secret" / path.name
    secret.parent.mkdir()
    secret.write_bytes(b"xyz")
    if folder:
        path.parent.rmdir()
        path.parent.symlink_to(secret.parent)
    else:
        path.symlink_to(secret)
    with pytest.raises(Corrupt):
        asyncio.run(_read(handle))
