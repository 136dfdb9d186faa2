"""What a volume or snapshot is made of: a raw file, or a qcow2 image that needs no other file.

Hosts write to the files, and so nothing in one says what it is: that is in its row, which they
cannot reach. A raw disk stays raw whatever is written to it; a qcow2 image whose header says
anything that was not put there is refused before anything opens it. Blocking functions.
"""

import contextlib
from collections.abc import Iterator

import msgspec

from holdfast.contract.errors import Corrupt
from holdfast.data import qcow2, qemu_img
from holdfast.data.disk_images import ImageFormat
from holdfast.data.sparse import clone_or_copy
from holdfast.files import mutations
from holdfast.files.trees import TreePath
from holdfast_drivers.local.keyed_folders import Row


class DiskRow(Row, frozen=True, kw_only=True):
    """What is recorded of every disk; ``size_bytes`` of a qcow2 one: a raw one is its file."""

    format: ImageFormat = ImageFormat.RAW
    size_bytes: int | None = None


class OpenDisk(msgspec.Struct, frozen=True, kw_only=True):
    """A disk to be copied: its format, its size, and its open file."""

    format: ImageFormat
    size_bytes: int
    file: mutations.OpenFile


def size_to_record(form: ImageFormat, size_bytes: int) -> int | None:
    """What a row says of a disk's size."""
    return None if form is ImageFormat.RAW else size_bytes


def size_of(row: DiskRow, path: TreePath) -> int:
    """The size of a disk, in bytes; ``FileNotFoundError`` where its file is lost."""
    status = path.regular()
    return status.st_size if row.size_bytes is None else row.size_bytes


def opened(row: DiskRow, file: mutations.OpenFile) -> OpenDisk:
    """A disk whose file is open."""
    size_bytes = file.size_bytes() if row.size_bytes is None else row.size_bytes
    return OpenDisk(format=row.format, size_bytes=size_bytes, file=file)


def check(row: DiskRow, path: TreePath) -> None:
    """Refuse a disk that is not what was recorded, before a host or a program opens it.

    Raises:
        Corrupt: its file is lost or no file, or its header is not as it was made.
    """
    if row.size_bytes is not None:
        _check_header(path, row.size_bytes, row.key)
        return
    try:
        path.regular()
    except FileNotFoundError:
        raise _lost(path, row.key) from None


def _lost(path: TreePath, key: str) -> Corrupt:
    return Corrupt(f"{path} is lost; restore it from a backup", object=key)


def _check_header(path: TreePath, size_bytes: int, key: str) -> None:
    try:
        with mutations.open_existing(path) as file:
            header = qcow2.parse_header(mutations.read_at(file, 0, qcow2.HEAD_BYTES))
    except FileNotFoundError:
        raise _lost(path, key) from None
    wrong = _wrong(header, size_bytes)
    if wrong:
        raise Corrupt(f"{path} {wrong}; restore it from a backup", object=key)


def _wrong(header: qcow2.Qcow2Header | None, size_bytes: int) -> str:
    """What a host has changed in a header; empty for one that is as it was made."""
    if header is None:
        return "has no qcow2 header any more"
    if header.backing:
        return "names a backing file, which it was not made with"
    if header.external_data:
        return "names a file for its data, which it was not made with"
    if header.encrypted or header.strange:
        return "has features that it was not made with"
    if header.size_bytes != size_bytes:
        return f"has a disk of {header.size_bytes} bytes, and one of {size_bytes} is recorded"
    return ""


def fill(path: TreePath, row: DiskRow, source: OpenDisk | None, size_bytes: int) -> None:
    """Make a new disk, empty or from a source of the same format, durably.

    Args:
        path: the new file, under a staging name.
        row: of the new disk.
        source: shares its blocks where the file system can; at most as large as the new disk.
        size_bytes: of the new disk.

    Raises:
        Corrupt: the source is a qcow2 image that is not as it was made.
        OSError: as the system says; the caller removes the file.
    """
    with mutations.create_exclusive(path) as file:
        if source is not None:
            clone_or_copy(source.file, file, source.file.size_bytes())
        if row.size_bytes is None:
            mutations.truncate(file, size_bytes)
        elif source is None:
            qemu_img.create_qcow2(path.path, size_bytes)
        else:
            # The copy is checked and not the source, which a host may be writing to.
            _check_header(path, source.size_bytes, row.key)
            if source.size_bytes != size_bytes:
                qemu_img.grow_qcow2(path.path, size_bytes)
        mutations.fsync_file(file)


@contextlib.contextmanager
def reading(row: DiskRow, path: TreePath) -> Iterator[OpenDisk]:
    """A disk that is open to be copied."""
    with existing(path, row.key) as file:
        yield opened(row, file)


def existing(path: TreePath, key: str) -> mutations.OpenFile:
    """The file of a disk; ``Corrupt`` where it is lost, or no file."""
    try:
        return mutations.open_existing(path)
    except FileNotFoundError:
        raise _lost(path, key) from None
