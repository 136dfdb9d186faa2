"""Folders in memory in which testbeds keep a run's keys and disks, each with its owner's name.

Whoever makes one removes it; the sweeper removes those whose owner was killed.
"""

import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from holdfast_drivers.servers.owner_process import container_name, is_dead, this_owner

_OWNER = ".owner"


def run_folder(backend: str, run: str) -> Path:
    """Where a backend's folder of a run is, or would be."""
    return _bases()[0] / container_name(backend, run)


def make_run_folder(backend: str, run: str) -> Path:
    """Blocking: the folder, made where it is not there, closed to others and owned by this run."""
    folder = run_folder(backend, run)
    folder.mkdir(mode=0o700, exist_ok=True)
    claim_folder(folder)
    return folder


def claim_folder(folder: Path) -> None:
    """Blocking: write down in a folder of the project's that it is this run's to remove."""
    staged = folder / f"{_OWNER}.new"
    staged.write_text(this_owner(), encoding="ascii")
    staged.replace(folder / _OWNER)


def sweep_run_folders(*, every: bool) -> tuple[str, ...]:
    """Blocking: remove this user's folders whose owners have ended, or all; their paths."""
    doomed = [folder for folder, owner in _owned() if every or is_dead(owner)]
    return tuple(str(folder) for folder in doomed if _remove(folder))


def _remove(folder: Path) -> bool:
    """Remove a folder, its owner's name last: while something is left the next sweep finds it."""
    with contextlib.suppress(OSError):
        for inside in folder.iterdir():
            if inside.is_dir() and not inside.is_symlink():
                shutil.rmtree(inside)
            elif inside.name != _OWNER:
                inside.unlink()
        (folder / _OWNER).unlink()
        folder.rmdir()
    return not folder.exists()


def _bases() -> list[Path]:
    """Where folders may be: in memory where there is some, since syncing to it costs nothing."""
    memory = Path("/dev/shm")  # noqa: S108 - only closed folders of this user are made and removed
    bases = [memory, Path(tempfile.gettempdir())]
    return [base for base in bases if base.is_dir() and os.access(base, os.W_OK)]


def _owned() -> Iterator[tuple[Path, str]]:
    """Folders of this user that name their owners."""
    for base in _bases():
        for folder in sorted(base.glob("holdfast-*")):
            with contextlib.suppress(OSError):
                status = folder.lstat()
                if stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid():
                    yield folder, (folder / _OWNER).read_text(encoding="ascii")
