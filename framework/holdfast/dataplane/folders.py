"""Private folders for sockets, and the removal of those whose owner was killed."""

import contextlib
import os
import tempfile
from pathlib import Path
from typing import Final

from holdfast import files
from holdfast.runtime import runtime

_PREFIX: Final = "holdfast-plane"


def private_folder() -> Path:
    """A new folder that nobody else can enter, named after this process.

    Folders of processes that are gone, and so could not clear up, are removed.
    """
    base = Path(tempfile.gettempdir())
    for left in base.glob(f"{_PREFIX}-*-*"):
        owner = left.name.removeprefix(f"{_PREFIX}-").partition("-")[0]
        with contextlib.suppress(FileNotFoundError):  # another process removes it, too
            ours = left.stat(follow_symlinks=False).st_uid == os.geteuid()
            if ours and owner.isdecimal() and not Path("/proc", owner).exists():
                files.remove_tree(left)
    made = base / runtime().new_id(f"{_PREFIX}-{os.getpid()}")
    files.mkdir(made)
    return made
