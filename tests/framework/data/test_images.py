"""Template input: what is recognised, what is refused, and that nothing half-made is left."""

import asyncio
import contextlib
import os
import shutil
import signal
import struct
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.contract.errors import EnvironmentUnavailable, UsageError
from holdfast.data.convert import make_raw, staging_of
from holdfast.data.disk_images import ImageFormat, inspect_image

MIB = 1 << 20
needs_qemu = pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img is missing")
needs_mkfs = pytest.mark.skipif(shutil.which("mkfs.ext4") is None, reason="mkfs.ext4 is missing")


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def raw(path: Path) -> Path:
    """Three MiB of which the middle one is a hole."""
    with path.open("wb") as file:
        file.write(os.urandom(MIB))
        file.seek(2 * MIB)
        file.write(os.urandom(MIB))
    return path


def qcow2(path: Path, *options: str) -> Path:
    source = raw(path.with_suffix(".source"))
    command = ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", *options, str(source), str(path)]
    subprocess.run(command, check=True)
    return path


def ext4(path: Path) -> Path:
    path.touch()
    os.truncate(path, 16 * MIB)
    subprocess.run(["mkfs.ext4", "-q", path], check=True)
    return path


def refusal(path: Path) -> str:
    """Why a file is refused, without its name, in one line."""
    with pytest.raises(UsageError) as caught:
        inspect_image(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message.removeprefix(str(path)).strip()


def test_a_raw_image_is_recognised(tmp_path: Path) -> None:
    """Whole sectors of bytes that are no text are a raw image of that size."""
    found = inspect_image(raw(tmp_path / "disk"))
    assert (found.format, found.size_bytes) == (ImageFormat.RAW, 3 * MIB)


@needs_mkfs
def test_a_file_system_image_is_recognised_and_missed_when_cut(tmp_path: Path) -> None:
    """A file system says how long its image is; a shorter file is refused."""
    image = ext4(tmp_path / "disk")
    assert inspect_image(image).size_bytes == 16 * MIB
    os.truncate(image, 16 * MIB - 4096)
    assert refusal(image) == (
        "is cut off: its ext file system needs 16777216 bytes, the file has 16773120"
    )


def test_a_partition_table_says_how_long_the_disk_is(tmp_path: Path) -> None:
    """A disk whose partition ends past the end of the file is refused."""
    table = bytearray(512)
    table[446 + 4] = 0x83
    table[446 + 8 : 446 + 16] = struct.pack("<II", 8, 8)
    table[510:] = b"\x55\xaa"
    assert (
        inspect_image(write(tmp_path / "disk", bytes(table).ljust(8192, b"\0"))).size_bytes == 8192
    )
    assert refusal(write(tmp_path / "cut", bytes(table).ljust(4096, b"\0"))) == (
        "is cut off: its partition table needs 8192 bytes, the file has 4096"
    )


def test_a_gpt_says_how_long_the_disk_is(tmp_path: Path) -> None:
    """A disk that ends before its second partition table is refused."""
    table = bytearray(1024)
    table[512:520] = b"EFI PART"
    table[544:552] = struct.pack("<Q", 15)
    assert (
        inspect_image(write(tmp_path / "disk", bytes(table).ljust(8192, b"\0"))).size_bytes == 8192
    )
    assert refusal(write(tmp_path / "cut", bytes(table))) == (
        "is cut off: its GPT partition table needs 8192 bytes, the file has 1024"
    )


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"", "is no disk image: it is empty"),
        (b"hello world\n", "is no disk image: 12 bytes are not whole sectors of 512"),
        (b"hello world!\n\n\n\n" * 64, "is no disk image: it is text"),
        (b"\x1f\x8b" + bytes(510), "is no raw or qcow2 image: it is compressed with gzip"),
        (b"KDMV" + bytes(508), "is no raw or qcow2 image: it is a VMDK image"),
        (
            b"SQLite format 3\0" + bytes(496),
            "is no raw or qcow2 image: it is an SQLite database",
        ),
        (
            b"name".ljust(257, b"\0") + b"ustar\0" + bytes(249),
            "is no raw or qcow2 image: it is a tar archive",
        ),
        (b"QFI\xfb" + bytes(8), "is cut off: its qcow2 header needs 72 bytes, the file has 12"),
        (
            b"QFI\xfb" + bytes(508),
            "is no qcow2 image of a known version: its header is damaged",
        ),
    ],
)
def test_what_is_no_image_is_refused(tmp_path: Path, content: bytes, cause: str) -> None:
    """Each kind of wrong file gets one line that names the file and the cause."""
    assert refusal(write(tmp_path / "disk", content)) == cause


def nothing(_: Path) -> None:
    """Make nothing."""


@pytest.mark.parametrize(
    ("make", "cause"),
    [
        (nothing, "cannot be read: No such file or directory"),
        (Path.mkdir, "is no regular file"),
        (os.mkfifo, "is no regular file"),
    ],
)
def test_what_is_no_file_is_refused(
    tmp_path: Path, make: Callable[[Path], None], cause: str
) -> None:
    """A missing file, a folder and a pipe are refused at once."""
    make(tmp_path / "disk")
    assert refusal(tmp_path / "disk") == cause


@needs_qemu
@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        (),
        ("-c",),
        ("-o", "compat=0.10"),
        ("-o", "cluster_size=512"),
        ("-o", "extended_l2=on,cluster_size=128k"),
    ],
)
def test_a_qcow2_image_becomes_the_raw_one_it_was_made_of(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    """Conversion gives back the bytes, whatever the version, cluster size or compression."""
    image = inspect_image(qcow2(tmp_path / "disk", *options))
    assert (image.format, image.size_bytes) == (ImageFormat.QCOW2, 3 * MIB)
    asyncio.run(make_raw(image, tmp_path / "raw"))
    assert (tmp_path / "raw").read_bytes() == (tmp_path / "disk.source").read_bytes()
    assert not staging_of(tmp_path / "raw").exists()


@needs_qemu
@pytest.mark.slow
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("options", [(), ("-c",), ("-o", "extended_l2=on,cluster_size=128k")])
def test_a_qcow2_image_that_is_cut_off_is_refused(
    tmp_path: Path, kept: float, options: tuple[str, ...]
) -> None:
    """qemu-img would read zeroes past the end; the missing clusters are noticed before."""
    image = qcow2(tmp_path / "disk", *options)
    os.truncate(image, int(image.stat().st_size * kept))
    assert refusal(image).startswith("is cut off: its qcow2")


@needs_qemu
def test_a_qcow2_image_on_another_file_is_refused(tmp_path: Path) -> None:
    """A backing file is never opened: an image could name any file of this machine."""
    raw(tmp_path / "base")
    create = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", "base", "disk"]
    subprocess.run(create, check=True, cwd=tmp_path)
    assert refusal(tmp_path / "disk") == (
        "needs a backing file; flatten it with qemu-img convert first"
    )


def test_a_raw_image_is_copied_with_its_holes(tmp_path: Path) -> None:
    """The copy has the same bytes and occupies no more than the source."""
    image = inspect_image(raw(tmp_path / "disk"))
    asyncio.run(make_raw(image, tmp_path / "raw"))
    assert (tmp_path / "raw").read_bytes() == (tmp_path / "disk").read_bytes()
    assert (tmp_path / "raw").stat().st_blocks <= (tmp_path / "disk").stat().st_blocks


@needs_qemu
def test_without_qemu_img_the_package_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where qemu-img is missing the error says what to install, and nothing is left."""
    image = inspect_image(qcow2(tmp_path / "disk"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvironmentUnavailable, match="qemu-utils"):
        asyncio.run(make_raw(image, tmp_path / "raw"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["disk", "disk.source"]


@needs_qemu
def test_a_conversion_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """What qemu-img says is the cause, in one line; the staging name is gone."""
    image = inspect_image(qcow2(tmp_path / "disk"))
    write(tmp_path / "disk", b"no image any more")
    with pytest.raises(UsageError, match="cannot be converted: qemu-img: Could not open"):
        asyncio.run(make_raw(image, tmp_path / "raw"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["disk", "disk.source"]


@pytest.mark.slow
def test_a_child_dies_with_its_parent(tmp_path: Path) -> None:
    """When the process that converts is killed, its qemu-img is gone at once and writes no more."""
    write(tmp_path / "qemu-img", b"#!/bin/sh\necho $$ >$0.pid\nexec sleep 600\n").chmod(0o755)
    os.mkfifo(tmp_path / "qemu-img.pid")
    program = f"""
        import asyncio
        from pathlib import Path
        from holdfast.data.convert import make_raw
        from holdfast.data.disk_images import ImageFile, ImageFormat
        image = ImageFile(path="disk", format=ImageFormat.QCOW2, size_bytes=512)
        asyncio.run(make_raw(image, Path({str(tmp_path / "raw")!r})))
    """
    path = f"{tmp_path}:{os.environ['PATH']}"
    command = [sys.executable, "-c", textwrap.dedent(program)]
    with subprocess.Popen(command, env=os.environ | {"PATH": path}) as parent:
        child = int((tmp_path / "qemu-img.pid").read_text())
        watched = os.pidfd_open(child)
        parent.send_signal(signal.SIGKILL)
    with contextlib.closing(os.fdopen(watched)):
        assert _ended(watched)


def _ended(pidfd: int) -> bool:
    """Wait until the process is over."""
    import select  # noqa: PLC0415 - only here

    ready, _, _ = select.select([pidfd], [], [], 60)
    return bool(ready)
