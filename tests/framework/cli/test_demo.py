"""The demo as a person runs it."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

needs_mke2fs = pytest.mark.skipif(
    shutil.which("mke2fs", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is None,
    reason="mke2fs (package e2fsprogs) is not installed",
)
needs_qemu_img = pytest.mark.skipif(
    shutil.which("qemu-img") is None, reason="qemu-img (package qemu-utils) is not installed"
)


def holdfast(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "holdfast", *arguments], check=False, capture_output=True, text=True
    )


def small_image(folder: Path) -> Path:
    image = folder / "disk.raw"
    image.write_bytes(bytes(range(256)) * 256)
    return image


@needs_mke2fs
def test_the_story_of_a_real_file_system_agrees_with_itself(tmp_path: Path) -> None:
    """Without an image one is built; every digest agrees, and the zone stays to be looked at."""
    folder = tmp_path / "zone"

    told = holdfast("demo", "--directory", str(folder))

    assert told.returncode == 0, told.stderr
    assert "PASS  6 of 6 digests agree" in told.stdout
    catalogue = ("--catalogue", str(folder / "catalogue.sqlite"))
    assert holdfast("scrub", "--deep", *catalogue).stdout.startswith("clean: 3 stores")
    assert holdfast("recover", *catalogue).stdout == "nothing to recover\n"
    assert sorted(path.name for path in folder.iterdir()) == [
        "catalogue.sqlite",
        "catalogue.sqlite.secrets",
        "images",
        "primary-1",
        "primary-2",
    ]


def test_a_users_raw_image_is_the_storys_template(tmp_path: Path) -> None:
    """With --image the story is about that file; --json says where everything is."""
    told = holdfast("demo", "--image", str(small_image(tmp_path)), "--json")

    document = json.loads(told.stdout)
    assert document["passed"]
    assert document["directory"] == ""
    assert len(document["comparisons"]) == 6
    assert document["chapters"][4]["size_bytes"] == 65536


@needs_qemu_img
def test_a_qcow2_image_becomes_a_raw_template(tmp_path: Path) -> None:
    """A qcow2 image is converted, and its disk is what is compared."""
    image = tmp_path / "disk.qcow2"
    command = ["qemu-img", "convert", "-O", "qcow2", str(small_image(tmp_path)), str(image)]
    subprocess.run(command, check=True)

    raw = json.loads(holdfast("demo", "--image", str(tmp_path / "disk.raw"), "--json").stdout)
    told = json.loads(holdfast("demo", "--image", str(image), "--json").stdout)

    assert told["passed"]
    assert told["chapters"][4]["digest"] == raw["chapters"][4]["digest"]


def test_a_dry_run_prints_every_plan(tmp_path: Path) -> None:
    """Plans with bytes and a time estimate; no folder is made."""
    folder = tmp_path / "zone"

    told = holdfast(
        "demo", "--dry-run", "--image", str(small_image(tmp_path)), "--directory", str(folder)
    )

    assert told.returncode == 0, told.stderr
    assert "create_backup: 6 steps" in told.stdout
    assert told.stdout.rstrip().endswith("Nothing was touched.")
    assert not folder.exists()


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (None, "No such file"),
        (b"", "it is empty"),
        (b"not an image, only text\n" * 64, "is no disk image"),
        (b"QFI\xfb" + bytes(10), "cut off"),
    ],
    ids=["missing", "empty", "text", "short"],
)
def test_a_bad_image_is_one_line_and_leaves_nothing(
    tmp_path: Path, data: bytes | None, complaint: str
) -> None:
    """What is no image is refused by name and cause, and no folder is left behind."""
    image, folder = tmp_path / "disk.img", tmp_path / "zone"
    if data is not None:
        image.write_bytes(data)

    told = holdfast("demo", "--image", str(image), "--directory", str(folder))

    assert told.returncode == 2
    assert str(image) in told.stderr
    assert complaint in told.stderr
    assert len(told.stderr.splitlines()) == 1
    assert not folder.exists()


def test_a_story_is_told_once(tmp_path: Path) -> None:
    """A folder that holds something is refused, untouched."""
    (tmp_path / "mine").write_text("mine")

    told = holdfast("demo", "--directory", str(tmp_path))

    assert told.returncode == 2
    assert "is not empty" in told.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@needs_mke2fs
def test_ctrl_c_says_how_to_finish(tmp_path: Path) -> None:
    """Interrupted, the program says that recover finishes what is in the journal, and it does."""
    folder = tmp_path / "zone"
    command = [sys.executable, "-m", "holdfast", "demo", "--directory", str(folder)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as demo:
        assert demo.stdout is not None
        while "template registered" not in demo.stdout.readline():
            pass
        demo.send_signal(signal.SIGINT)
        _, said = demo.communicate()

    catalogue = ("--catalogue", str(folder / "catalogue.sqlite"))
    assert demo.returncode == 130
    assert f"holdfast recover --catalogue {folder / 'catalogue.sqlite'}" in said
    assert "Traceback" not in said
    assert holdfast("recover", *catalogue).returncode == 0
    assert holdfast("scrub", "--deep", *catalogue).returncode == 0


def test_the_story_plays_on_stores_that_run_for_it(tmp_path: Path) -> None:
    """With --primary and --image-store it plays on those providers' own testbeds."""
    image = small_image(tmp_path)
    choice = ("--primary", "local:embedded", "--image-store", "local:embedded")

    told = holdfast("demo", "--image", str(image), *choice)

    assert told.returncode == 0, told.stderr
    assert "PASS  6 of 6 digests agree" in told.stdout
    assert "zone zone-1 with host host-a" in told.stdout
    assert "holdfast: primary stores on Linux" in told.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("--primary", "nosuch"), 5, "no driver 'nosuch'"),
        (("--primary", "nfs-image"), 2, "provider nfs-image has no primary stores"),
        (("--image-store", "memory:live"), 5, "provider memory: it offers no backend 'live'"),
        (("--primary", "memory", "--dry-run"), 2, "leave --directory and --dry-run out"),
        (("--primary", "memory", "--directory", "zone"), 2, "leave --directory and --dry-run out"),
    ],
)
def test_a_stage_that_cannot_be_set_is_refused_with_the_reason(
    arguments: tuple[str, ...], code: int, told: str
) -> None:
    """Before anything is started, a person reads what is wrong with the choice."""
    refused = holdfast("demo", *arguments)

    assert refused.returncode == code
    assert told in refused.stderr
    assert refused.stdout == ""
