"""Private folders for sockets, and the removal of those whose owner was killed."""

import contextlib
import os
import tempfile
from pathlib import Path
from typing import Final

from holdfast.concurrency.runtime import runtime
from holdfast.files import mutations

_PREFIX: Final = "holdfast-plane"


def private_folder() -> Path:
    """A new folder that nobody else can enter, named after this process.

    Folders of processes that are gone, and so could not clear up, are removed.
    """
    base = Path(tempfile.gettempdir())
    for leftover in base.glob(f"{_PREFIX}-*-*"):
        owner = leftover.name.removeprefix(f"{_PREFIX}-").partition("-")[0]
        with contextlib.suppress(FileNotFoundError):  # another process removes it, too
            ours = leftover.stat(follow_symlinks=False).st_uid == os.geteuid()
            if ours and owner.isdecimal() and not Path("/proc", owner).exists():
                mutations.remove_tree(leftover)
    folder = base / runtime().new_id(f"{_PREFIX}-{os.getpid()}")
    mutations.mkdir(folder)
    return folder
