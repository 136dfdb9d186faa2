"""Files as an inspector opens them: no link is followed, and nobody is waited for."""

import hashlib
import io
import json
import os
import stat
from pathlib import Path
from typing import Any

_ROW_MAX_BYTES = 16 << 20


def opened(path: Path) -> io.FileIO:
    """A regular file; whatever else has the name is a ``ValueError`` or an ``OSError``."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise ValueError(f"{path.name} is no file")
    return io.FileIO(fd)


def loaded(path: Path) -> dict[str, Any]:
    """The JSON object in a file."""
    with opened(path) as file:
        return dict(json.loads(file.read(_ROW_MAX_BYTES)))


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes."""
    with opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def size_of(path: Path) -> int:
    """The size of a regular file."""
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{path.name} is no file")
    return status.st_size
