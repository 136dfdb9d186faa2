"""The inspector's half inside the container: one question a line, one answer a line, both JSON.

It reads files and asks tgtadm. What it knows of the layout is written in the driver's README; it
imports nothing of what the driver runs on the storage host.
"""

import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final, cast
from urllib.parse import unquote

import msgspec

from holdfast.data.digest import BLOCK_BYTES, block_hash, digest_of_hashes
from holdfast.infos import OwnedKind
from holdfast.testbed import BackendIdentity, Inspected, Inventory

VOLUMES: Final = Path("/srv/volumes")
ROOT: Final = VOLUMES / "outer" / "root"
DECOYS: Final = (
    "decoy",
    "outer/decoy",
    "outer/store.json",
    "outer/root/neighbour/primary/store.json",
    "outer/root/neighbour/primary/volumes/decoy/row.json",
    "outer/root/neighbour/primary/volumes/decoy/data",
)
AUTHORIZED: Final = Path("/etc/ssh/authorized_keys")
_FULL: Final = VOLUMES / "full"
_SHARED: Final = Path("/state/folder")
"""There where the kernel lent no loop device, and volumes are on the disk of the machine."""
_READ_BYTES: Final = 1 << 20
_RECORD_MAX_BYTES: Final = 16 << 20
_UNREADABLE: Final = (OSError, ValueError, LookupError, TypeError, RecursionError)
_MODES: Final = {"x": "exclusive", "r": "read_only"}
_PLAIN: Final = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789_-")
_TARGET: Final = re.compile(r"^Target (\d+): (\S+)$", re.MULTILINE)
_kept: dict[str, tuple[object, str]] = {}


def inventory(namespace: str) -> Inventory:
    """All that is there of one namespace."""
    folder = _folder(namespace)
    things = sorted(_things(folder), key=lambda thing: (thing.kind, thing.key, thing.id))
    return Inventory(things=tuple(things), outside_digest=_outside(folder))


def _folder(namespace: str) -> Path:
    data = namespace.encode()
    name = "".join(chr(byte) if byte in _PLAIN else f"%{byte:02x}" for byte in data)
    return ROOT / name / "primary"


def _things(folder: Path) -> Iterator[Inspected]:
    for path in folder.parent.glob(".primary.*"):
        yield _leftover(path)
    targets = _targets()
    served = _served(targets, folder)
    if not folder.exists():
        yield from (_target_left(name) for name in served)
        return
    store = _json(folder / "store.json")
    hosts = tuple(store.get("hosts", ()))
    yield Inspected(
        kind=OwnedKind.STORE,
        key=store["name"],
        id=store["id"],
        detail=f"{store['name']}|{store.get('state', 'up')}|{','.join(hosts)}",
    )
    yield from disks(folder / "volumes", OwnedKind.VOLUME)
    yield from disks(folder / "snapshots", OwnedKind.SNAPSHOT)
    yield from _grants(folder, served)
    known = {
        "store.json",
        "store.spare",
        "lock",
        "fences",
        "grants",
        "staging",
        "volumes",
        "snapshots",
    }
    yield from (_stranger(path) for path in folder.iterdir() if path.name not in known)
    yield from (_leftover(path) for path in (folder / "staging").iterdir())


def _opened(path: Path) -> BinaryIO:
    """A regular file; nothing is followed, and nobody is waited for."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise ValueError(f"{path.name} is no file")
    return cast("BinaryIO", open(fd, "rb", buffering=0))  # noqa: PTH123 - open already


def _json(path: Path) -> dict[str, Any]:
    with _opened(path) as file:
        return dict(json.loads(file.read(_RECORD_MAX_BYTES)))


def _where(path: Path) -> str:
    return f"{path.parent.name}/{ascii(path.name)[1:-1]}"


def _leftover(path: Path) -> Inspected:
    return Inspected(kind=OwnedKind.TEMPORARY, key=_where(path), unfinished=True)


def _stranger(path: Path, why: str = "nobody's") -> Inspected:
    return Inspected(kind=OwnedKind.UNREADABLE, key=_where(path), detail=why)


def _target_left(name: str) -> Inspected:
    return Inspected(kind=OwnedKind.TEMPORARY, key=name, unfinished=True)


def disks(folder: Path, kind: OwnedKind) -> Iterator[Inspected]:
    """Volumes or snapshots, and what cannot be read among them."""
    for path in folder.iterdir():
        try:
            found = list(_disk(path, kind))
        except _UNREADABLE as error:
            found = [_stranger(path, ascii(str(error)))]
        yield from found


def _disk(path: Path, kind: OwnedKind) -> Iterator[Inspected]:
    if path.is_symlink():
        raise ValueError("it is a link")
    row = _json(path / "row.json")
    if "~" not in path.name and unquote(path.name) != row["key"]:
        raise ValueError("row.json is of another key")
    data = path / str(row.get("data", "data"))
    if data.parent != path or not data.name.startswith("data"):
        raise ValueError(f"row.json names {data}")
    with _opened(data) as file:
        size_bytes = os.fstat(file.fileno()).st_size
    yield Inspected(
        kind=kind,
        key=row["key"],
        id=row["id"],
        size_bytes=size_bytes,
        digest=_digest(data),
        detail=row.get("volume", ""),
    )
    for other in path.iterdir():
        if other not in {path / "row.json", data}:
            yield _leftover(other) if other.name.startswith("data") else _stranger(other)


def _grants(folder: Path, served: dict[str, str]) -> Iterator[Inspected]:
    """What tgt really serves, and whatever is recorded or served without its other half."""
    left = dict(served)
    for path in (folder / "grants").iterdir():
        try:
            _, _, mode, name, _ = path.name.split(".")
            record = _json(path)
        except _UNREADABLE as error:
            yield _stranger(path, ascii(str(error)))
            continue
        text = left.pop(record["target"], "")
        host = hashlib.blake2b(record["host"].encode(), digest_size=8).hexdigest()
        if f":host.{host}\n" not in f"{text}\n" or ("Readonly: Yes" in text) != (mode == "r"):
            yield _leftover(path)
            continue
        key = record["volume"]
        yield Inspected(
            kind=OwnedKind.GRANT, key=key, id=name, detail=f"{key}|{record['host']}|{_MODES[mode]}"
        )
    yield from (_target_left(name) for name in left)


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


def _digest(path: Path) -> str:
    """The content digest; kept while the kernel says that nothing changed the file."""
    status = path.stat()
    state = (
        status.st_ino,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_size,
        status.st_blocks,
    )
    found = _kept.get(str(path))
    if found is None or found[0] != state:
        found = _kept[str(path)] = (state, _raw_digest(path))
    return found[1]


def _raw_digest(path: Path) -> str:
    with _opened(path) as file:
        size_bytes = os.fstat(file.fileno()).st_size
        return digest_of_hashes(size_bytes, _block_hashes(file.fileno(), size_bytes))


def _block_hashes(fd: int, size_bytes: int) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset < size_bytes:
        try:
            offset = os.lseek(fd, offset, os.SEEK_DATA) // BLOCK_BYTES * BLOCK_BYTES
        except OSError:  # only a hole is left
            return
        end = min(os.lseek(fd, offset, os.SEEK_HOLE), size_bytes)
        while offset < end:
            data = os.pread(fd, min(_READ_BYTES, size_bytes - offset), offset)
            for start in range(0, len(data), BLOCK_BYTES):
                yield (
                    (offset + start) // BLOCK_BYTES,
                    block_hash(data[start : start + BLOCK_BYTES]),
                )
            offset += len(data)


def _outside(folder: Path) -> str:
    """A digest of every name, mode and content around the store."""
    digest = hashlib.sha256()
    own = {folder, folder.parent / ".primary.coming", folder.parent / ".primary.leaving", _FULL}
    waiting = [VOLUMES]
    while waiting:
        path = waiting.pop()
        if path in own:
            continue
        status = path.lstat()
        if path != folder.parent:
            digest.update(f"{path}\0{status.st_mode}\0".encode())
        if stat.S_ISDIR(status.st_mode):
            waiting += sorted(path.iterdir())
        elif stat.S_ISREG(status.st_mode):
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


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
    for path in [path for path in _kept if path.startswith(f"{folder}/")]:
        del _kept[path]


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
    for decoy in DECOYS:
        path = VOLUMES / decoy
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_bytes(decoy.encode())
    for line in sys.stdin.buffer:
        question, *words = json.loads(line)
        sys.stdout.buffer.write(msgspec.json.encode(QUESTIONS[question](*words)) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
