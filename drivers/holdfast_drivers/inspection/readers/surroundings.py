"""What stands around a store, and must be there afterwards as it was."""

import hashlib
import stat
from collections.abc import Callable
from pathlib import Path

from holdfast_drivers.inspection.readers.regular_files import sha256_of

_DECOYS = (
    "store.json",
    "lock",
    "staging/decoy",
    "outer/volumes/decoy/data",
    "outer/decoy",
    "outer/root/neighbour/primary/store.json",
    "outer/root/neighbour/primary/volumes/decoy/row.json",
)
"""Names as a store has them, where a driver that loses its way comes by."""


def make_surroundings(top: Path) -> None:
    """Put the decoys around ``outer/root``, where stores are made; what is there already stays."""
    for decoy in _DECOYS:
        path = top / decoy
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_bytes(decoy.encode())


def outside_digest(
    top: Path,
    folder: Path,
    *,
    passed: Callable[[Path], bool] = lambda _: False,
    content: Callable[[Path], str] = sha256_of,
) -> str:
    """A digest of every name, kind, mode and content below ``top`` and around a store's folder.

    Args:
        top: where to begin.
        folder: the store's; neither it counts nor its like that come or go beside it.
        passed: what else does not count.
        content: the digest of a file.
    """
    digest = hashlib.sha256()
    waiting = [top]
    while waiting:
        path = waiting.pop()
        ours = path.parent == folder.parent and path.name.startswith(f".{folder.name}.")
        if path == folder or ours or passed(path):
            continue
        status = path.lstat()
        # The namespace's own folder comes and goes with its stores; what is in it does not.
        if path != folder.parent:
            name = f"{path.relative_to(top)}\0{status.st_mode}\0"
            digest.update(name.encode(errors="surrogateescape"))
        try:
            if stat.S_ISDIR(status.st_mode):
                waiting += sorted(path.iterdir())
            elif stat.S_ISREG(status.st_mode):
                digest.update(content(path).encode())
        except PermissionError:
            digest.update(b"closed")
    return digest.hexdigest()
