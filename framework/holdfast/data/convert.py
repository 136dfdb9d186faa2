"""Turn an image file into a raw one, with qemu-img where that is needed.

The child dies with this process, whatever kills it, and writes under a staging name beside the
target; the target appears whole or not at all.
"""

import asyncio
import contextlib
import errno
import os
import shutil
import sys
from pathlib import Path
from typing import Final

from holdfast.concurrency.runtime import runtime
from holdfast.contract.errors import EnvironmentUnavailable, UsageError
from holdfast.data.disk_images import ImageFile, ImageFormat
from holdfast.data.qemu_img import PACKAGE, PROGRAM, cause_of, is_full
from holdfast.data.sparse import clone_or_copy
from holdfast.files import mutations

# Run in a fresh interpreter: asks the kernel to kill it when its parent dies, makes sure that the
# parent was still alive when it asked, and becomes the program.
_DIE_WITH_PARENT: Final = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if os.getppid() == int(sys.argv[1]):
    os.execvp(sys.argv[2], sys.argv[2:])
"""


def staging_of(target: Path) -> Path:
    """The name under which a target is written; a killed call leaves no other."""
    return target.with_name(f".{target.name}.partial")


async def make_raw(image: ImageFile, target: Path) -> None:
    """Write the disk in ``image`` to ``target`` as a raw sparse file, durably.

    ``target`` must not exist. What an earlier, killed call for it left is removed.

    Raises:
        UsageError: the image cannot be converted; the message is one line with file and cause.
        EnvironmentUnavailable: qemu-img is not installed, or the target's disk is full.
    """
    staging = staging_of(target)
    try:
        await runtime().run_blocking(mutations.remove_tree, staging)
        if image.format is ImageFormat.RAW:
            await runtime().run_blocking(_copy, image, staging)
        else:
            await _convert(image, staging)
        await runtime().run_blocking(_publish, image, staging, target)
    except OSError as error:
        raise _explained(error, image, target) from error
    finally:
        with contextlib.suppress(OSError):
            mutations.remove_tree(staging)


def _explained(error: OSError, image: ImageFile, target: Path) -> Exception:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return EnvironmentUnavailable(f"{target} cannot be written: {error.strerror}")
    return UsageError(f"{image.path} cannot be copied to {target}: {error.strerror}")


def _copy(image: ImageFile, staging: Path) -> None:
    with (
        mutations.open_existing(Path(image.path)) as source,
        mutations.create_exclusive(staging) as target,
    ):
        clone_or_copy(source, target, image.size_bytes)


def _publish(image: ImageFile, staging: Path, target: Path) -> None:
    with mutations.open_existing(staging, writable=True) as file:
        if file.size_bytes() != image.size_bytes:
            raise UsageError(
                f"{image.path} cannot be converted: {file.size_bytes()} bytes came out of a disk "
                f"of {image.size_bytes}"
            )
        mutations.fsync_file(file)
    mutations.publish(staging, target)


def _absolute(path: Path) -> str:
    """A name that qemu-img takes for nothing but a path."""
    return str(path.absolute())


async def _convert(image: ImageFile, staging: Path) -> None:
    program = shutil.which(PROGRAM)
    if program is None:
        raise EnvironmentUnavailable(
            f"{image.path} is a qcow2 image and {PROGRAM} is not installed; "
            f"install the Debian package {PACKAGE}"
        )
    wrapper = (sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT, str(os.getpid()))
    command = (program, "convert", "-f", "qcow2", "-O", "raw")
    names = (_absolute(Path(image.path)), _absolute(staging))
    child = await asyncio.create_subprocess_exec(
        *wrapper,
        *command,
        *names,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        _, output = await child.communicate()
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()
        raise
    if child.returncode:
        cause = cause_of(output)
        if is_full(cause):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(staging))
        raise UsageError(f"{image.path} cannot be converted: {cause}")
