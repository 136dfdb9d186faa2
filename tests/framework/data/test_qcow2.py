"""Headers of qcow2 images, and qemu-img as it makes and grows them."""

import errno
import shutil
import subprocess
from pathlib import Path

import pytest

from holdfast.data.qcow2 import HEAD_BYTES, parse_header
from holdfast.data.qemu_img import create_qcow2, grow_qcow2

needs_qemu = pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img is missing")
MIB = 1 << 20


def make(path: Path, *options: str) -> Path:
    """An image as qemu-img makes it."""
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", *options, str(path), "1M"], check=True
    )
    return path


def head_of(path: Path) -> bytes:
    """The beginning of a file."""
    return path.read_bytes()[:HEAD_BYTES]


@needs_qemu
def test_an_image_is_made_and_grows(tmp_path: Path) -> None:
    """A new image has the size that was asked for, and needs nothing but itself."""
    image = tmp_path / "image"
    create_qcow2(image, MIB)
    grow_qcow2(image, 3 * MIB)
    header = parse_header(head_of(image))
    assert header is not None
    assert header.size_bytes == 3 * MIB
    needs = (header.backing, header.external_data, header.encrypted, header.strange)
    assert not any(needs)


@needs_qemu
def test_a_header_tells_what_else_an_image_needs(tmp_path: Path) -> None:
    """A backing file and a data file are seen."""
    base = tmp_path / "base"
    base.write_bytes(bytes(MIB))
    backed = parse_header(head_of(make(tmp_path / "backed", "-b", str(base), "-F", "raw")))
    data = f"data_file={tmp_path / 'data'}"
    apart = parse_header(head_of(make(tmp_path / "apart", "-o", data)))
    assert backed is not None
    assert apart is not None
    assert (backed.backing, backed.external_data) == (True, False)
    assert (apart.backing, apart.external_data, apart.strange) == (False, True, True)


@needs_qemu
def test_growing_follows_no_backing_file(tmp_path: Path) -> None:
    """An image grows although the backing file that it names is none."""
    base = tmp_path / "base"
    base.write_bytes(bytes(MIB))
    image = make(tmp_path / "image", "-b", str(base), "-F", "raw")
    base.unlink()
    grow_qcow2(image, 2 * MIB)
    header = parse_header(head_of(image))
    assert header is not None
    assert header.size_bytes == 2 * MIB


def test_what_is_no_header_is_none() -> None:
    """Too few bytes, other bytes and unknown versions are no header."""
    good = b"QFI\xfb" + (3).to_bytes(4, "big") + bytes(12) + (16).to_bytes(4, "big") + bytes(80)
    assert parse_header(good) is not None
    assert parse_header(good[:71]) is None
    assert parse_header(b"\0" + good[1:]) is None
    assert parse_header(good[:7] + b"\x09" + good[8:]) is None
    assert parse_header(good[:23] + b"\x40" + good[24:]) is None


@needs_qemu
def test_a_file_that_is_no_image_does_not_grow(tmp_path: Path) -> None:
    """qemu-img's own words are the cause."""
    file = tmp_path / "file"
    file.write_bytes(bytes(MIB))
    with pytest.raises(OSError, match="not in qcow2 format") as failure:
        grow_qcow2(file, 2 * MIB)
    assert failure.value.errno == errno.EIO
