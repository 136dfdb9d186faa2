"""The demo's disk image: the user's file as a raw disk, or a real file system built on the spot."""

import os
import shutil
import subprocess
from pathlib import Path

from holdfast.concurrency.runtime import runtime
from holdfast.contract.errors import EnvironmentUnavailable
from holdfast.files import mutations

IMAGE_BYTES = 16 << 20
_BUILD_S = 60.0
_UUID = "486f6c64-6661-7374-2064-656d6f000000"
_TREE = {
    "README": "This file system was built for `holdfast demo`.\n",
    "etc/hostname": "demo\n",
    "etc/fstab": "/dev/vda / ext4 defaults 0 1\n",
    "srv/numbers": "".join(f"{number}\n" for number in range(20_000)),
}


async def build_image(folder: Path) -> Path:
    """Build an ext4 file system of 16 MiB from a small tree of files, in ``folder``.

    Raises:
        EnvironmentUnavailable: mke2fs is not installed, or cannot build it.
    """
    return await runtime().run_blocking(_build, folder)


def _build(folder: Path) -> Path:
    tool = shutil.which("mke2fs", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if tool is None:
        raise EnvironmentUnavailable(
            "mke2fs is missing, so no image can be built; install the package e2fsprogs, "
            "or give an image with --image"
        )
    tree = folder / "tree"
    for name, text in _TREE.items():
        path = tree / name
        for parent in reversed(path.relative_to(folder).parents[:-1]):
            if not (folder / parent).is_dir():
                mutations.mkdir(folder / parent, mode=0o755)
        mutations.write_new(path, text.encode())
    image = folder / "image.raw"
    with mutations.create_exclusive(image) as opened:
        mutations.truncate(opened, IMAGE_BYTES)
    command = [tool, "-q", "-F", "-t", "ext4", "-U", _UUID, "-E", f"hash_seed={_UUID}"]
    built = subprocess.run(  # noqa: S603 - the tool's own path, arguments of ours
        [*command, "-d", str(tree), str(image)],
        check=False,
        capture_output=True,
        text=True,
        timeout=_BUILD_S,
        env={**os.environ, "LC_ALL": "C"},
    )
    if built.returncode != 0:
        cause = built.stderr.strip().splitlines()
        raise EnvironmentUnavailable(f"mke2fs could not build an image: {' '.join(cause[-1:])}")
    mutations.remove_tree(tree)
    return image
