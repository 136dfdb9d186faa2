"""Makes qcow2 images, and lets them grow, with qemu-img. Blocking functions.

The child dies with its parent and has a time limit. It is told every format and that there is no
backing file, so that it follows nothing that an image says. Images must be under staging names.
"""

import errno
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import msgspec

PROGRAM: Final = "qemu-img"
PACKAGE: Final = "qemu-utils"
_LIMIT_S: Final = 30.0
_DIE_WITH_PARENT: Final = ("setpriv", "--pdeathsig", "KILL", "--")


def is_installed() -> bool:
    """Whether this host has qemu-img."""
    return shutil.which(PROGRAM) is not None


def create_qcow2(path: Path, size_bytes: int) -> None:
    """Make the file at an absolute path an empty qcow2 image; it is not durable yet.

    Raises:
        FileNotFoundError: qemu-img is not installed.
        OSError: it failed; the file may hold anything.
    """
    _run(path, "create", "-q", "-f", "qcow2", str(path), str(size_bytes))


def grow_qcow2(path: Path, size_bytes: int) -> None:
    """Give a qcow2 image at an absolute path, which needs no other file, a larger disk.

    Raises:
        FileNotFoundError: qemu-img is not installed.
        OSError: it failed; the file may hold anything.
    """
    node = {
        "driver": "qcow2",
        "file": {"driver": "file", "filename": str(path)},
        "backing": None,
    }
    name = "json:" + msgspec.json.encode(node).decode()
    _run(path, "resize", "-q", name, str(size_bytes))


def cause_of(output: bytes) -> str:
    """Why qemu-img failed, from what it wrote."""
    lines = output.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it gave no reason"


def is_full(cause: str) -> bool:
    """Whether qemu-img failed because there is no space left."""
    return os.strerror(errno.ENOSPC) in cause


def _run(path: Path, *arguments: str) -> None:
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
    try:
        result = subprocess.run(  # noqa: S603 - no shell
            [*_DIE_WITH_PARENT, PROGRAM, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=_LIMIT_S,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        raise OSError(errno.ETIMEDOUT, f"{PROGRAM} took too long", str(path)) from None
    if result.returncode == 0:
        return
    if not is_installed():
        raise FileNotFoundError(errno.ENOENT, f"not installed; install {PACKAGE}", PROGRAM)
    cause = cause_of(result.stderr)
    number = errno.ENOSPC if is_full(cause) else errno.EIO
    raise OSError(number, os.strerror(number) if is_full(cause) else cause, str(path))
