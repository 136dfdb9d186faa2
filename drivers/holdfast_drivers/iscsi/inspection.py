"""The inspector's half inside the container: one question a line, one answer a line, both JSON.

It reads files and asks tgtadm. What it knows of the layout is written in the driver's README; it
imports nothing of what the driver runs on the storage host.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from holdfast.contract.testbed import BackendIdentity, Inventory
from holdfast_drivers.inspection.inventories import inspected, inventory_of
from holdfast_drivers.inspection.readers.disk_content import disk_of
from holdfast_drivers.inspection.readers.kept_facts import KeptFacts
from holdfast_drivers.inspection.readers.regular_files import loaded
from holdfast_drivers.inspection.readers.seen import Seen, grant_of, leftover, unfinished
from holdfast_drivers.inspection.readers.store_folders import (
    Look,
    beside,
    disk,
    shelves,
)
from holdfast_drivers.inspection.readers.surroundings import make_surroundings, outside_digest

VOLUMES: Final = Path("/srv/volumes")
ROOT: Final = VOLUMES / "outer" / "root"
AUTHORIZED: Final = Path("/etc/ssh/authorized_keys")
_FULL: Final = VOLUMES / "full"
_SHARED: Final = Path("/state/folder")
"""There where the kernel lent no loop device, and volumes are on the disk of the machine."""
_PLAIN: Final = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789_-")
_TARGET: Final = re.compile(r"^Target (\d+): (\S+)$", re.MULTILINE)
_DISKS: Final = KeptFacts(disk_of)


def inventory(namespace: str) -> Inventory:
    """All that is there of one namespace."""
    folder = _folder(namespace)
    outside = outside_digest(VOLUMES, folder, passed=lambda path: path == _FULL)
    return inventory_of(map(inspected, _things(folder)), outside)


def _folder(namespace: str) -> Path:
    data = namespace.encode()
    name = "".join(chr(byte) if byte in _PLAIN else f"%{byte:02x}" for byte in data)
    return ROOT / name / "primary"


def _things(folder: Path) -> Iterator[Seen]:
    yield from beside(folder)
    left = _served(_targets(), folder)
    if folder.exists():
        looks: dict[str, Look] = {
            "volumes": disks("volume"),
            "snapshots": disks("snapshot"),
            "grants": lambda path: _grant(path, left),
        }
        yield from shelves(folder, looks)
    yield from map(unfinished, left)


def disks(kind: str) -> Look:
    """Volumes or snapshots."""
    return lambda path: disk(path, kind, lambda data, _: _DISKS.of(data))


def _grant(path: Path, left: dict[str, str]) -> Iterator[Seen]:
    """What tgt really serves of a grant, taken out of what it serves of the store."""
    _, _, mode, name, _ = path.name.split(".")
    record = loaded(path)
    text = left.pop(record["target"], "")
    host = hashlib.blake2b(record["host"].encode(), digest_size=8).hexdigest()
    if f":host.{host}\n" not in f"{text}\n" or ("Readonly: Yes" in text) != (mode == "r"):
        yield leftover(path)
    else:
        yield grant_of(record["volume"], record["host"], mode, name)


def _tgtadm(*words: str) -> str:
    done = subprocess.run(  # noqa: S603 - words of ours and names that tgt told us
        ("/usr/sbin/tgtadm", "--lld", "iscsi", *words), capture_output=True, check=True, text=True
    )
    return done.stdout


def _targets() -> list[tuple[str, str, str]]:
    """Number, name and description of every target."""
    text = _tgtadm("--op", "show", "--mode", "target")
    # Between the matches of a pattern with two groups: number, name and what follows, repeated.
    _, *pieces = _TARGET.split(text)
    return list(zip(pieces[::3], pieces[1::3], pieces[2::3], strict=True))


def _served(targets: list[tuple[str, str, str]], folder: Path) -> dict[str, str]:
    """The targets that serve files of a store, by name."""
    mine = f"Backing store path: {folder}/"
    return {name: text for _, name, text in targets if mine in text}


def remove(namespace: str) -> None:
    """Remove all that is left of a namespace."""
    folder = _folder(namespace)
    digest = hashlib.blake2b(str(folder).encode(), digest_size=8).hexdigest()
    targets = _targets()
    served = _served(targets, folder)
    for number, name, text in targets:
        if name in served or name.endswith(f":store.{digest}"):
            _tgtadm("--op", "delete", "--mode", "target", "--tid", number, "--force")
            for account in re.findall(r"^ {8}(\S+?)(?: \(outgoing\))?$", text, re.MULTILINE):
                if account.startswith("grant-"):
                    _tgtadm("--op", "delete", "--mode", "account", "--user", account)
    shutil.rmtree(folder.parent, ignore_errors=True)
    _DISKS.forget(folder)


def identity() -> BackendIdentity:
    """What this container runs."""
    version = subprocess.run(
        ("/usr/bin/dpkg-query", "-W", "-f", "${Version}", "tgt"),
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    kind = subprocess.run(  # noqa: S603 - words of ours
        ("/usr/bin/stat", "-f", "-c", "%T", str(VOLUMES)),
        capture_output=True,
        check=True,
        text=True,
    ).stdout.strip()
    return BackendIdentity(
        vendor="Debian", product="tgt", version=version, detail=f"volumes on {kind}"
    )


def fill() -> None:
    """Take all the space there is; refuse where the disk is that of the machine."""
    if _SHARED.exists():
        raise OSError(f"{VOLUMES} is no file system of its own, and is not filled")
    with _FULL.open("ab") as file:
        for size in (1 << 24, 1 << 16, 1 << 12):
            while True:
                try:
                    os.posix_fallocate(file.fileno(), file.tell(), size)
                except OSError:
                    break
                file.seek(size, os.SEEK_CUR)


def unfill() -> None:
    """Give the space back."""
    _FULL.unlink(missing_ok=True)


def lock_out() -> None:
    """Let nobody in over SSH any more."""
    AUTHORIZED.rename(AUTHORIZED.with_suffix(".away"))


def let_in() -> None:
    """Let in whom ``lock_out`` kept out."""
    AUTHORIZED.with_suffix(".away").rename(AUTHORIZED)


QUESTIONS: Final[dict[str, Callable[..., object]]] = {
    "inventory": inventory,
    "remove": remove,
    "identity": identity,
    "fill": fill,
    "unfill": unfill,
    "lock_out": lock_out,
    "let_in": let_in,
}


def main() -> None:
    """Answer until the input ends."""
    make_surroundings(VOLUMES)
    for line in sys.stdin.buffer:
        question, *words = json.loads(line)
        sys.stdout.buffer.write(msgspec.json.encode(QUESTIONS[question](*words)) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
