"""Reads stores in the storage host's own file system: one JSON line in, one JSON line out.

It runs inside the container, knows the layout from the driver's README alone, and shares no code
with it. Digests are kept for as long as inode, times and size of a file, as this kernel tells them,
stay what they were; nothing that a client of the NFS server does can bring the ctime back.
"""

import functools
import hashlib
import json
import os
import re
import shutil
import stat
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from holdfast_drivers.nfs.inside_disks import disk_of, opened

Told = dict[str, Any]

RECORD_MAX_BYTES = 16 << 20
SECTOR_BYTES = 512
TAIL_BYTES = 1 << 20
SHELVES = ("objects", "uploads", "parts", "staging")
SETTLED_NS = 50_000_000
"""How old a change must be before its time alone tells it from a later one."""
FOOTER = struct.Struct("<Q8s")
EXPORTS = Path("/state/exports")
GANESHA = "org.ganesha.nfsd"
MODES = {"x": "exclusive", "r": "read_only"}
NEIGHBOUR = "neighbour"
_kept: dict[tuple[str, str], tuple[tuple[int, ...], Any]] = {}


def kept(path: Path, name: str, compute: Callable[[Path], Any]) -> Any:
    """What is computed of a file, again when the file has changed."""
    status = path.stat()
    state = (
        status.st_ino,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_size,
        status.st_blocks,
    )
    found = _kept.get((name, str(path)))
    if found is not None and found[0] == state:
        return found[1]
    computed = compute(path)
    if status.st_ctime_ns < time.time_ns() - SETTLED_NS:
        _kept[name, str(path)] = (state, computed)
    return computed


def object_of(path: Path) -> Told:
    """What an object's file says of itself, and the digest of its bytes."""
    with opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        tail = os.pread(file.fileno(), TAIL_BYTES, max(size - TAIL_BYTES, 0))
        length, _ = FOOTER.unpack(tail[-FOOTER.size :])
        record = -(-(length + FOOTER.size) // SECTOR_BYTES) * SECTOR_BYTES
        row = json.loads(tail[-record:][:length])
        whole = size - record - row["size_bytes"] in range(SECTOR_BYTES)
        digest = hashlib.sha256()
        left = row["size_bytes"] if whole else 0
        while data := file.read(min(left, TAIL_BYTES)):
            digest.update(data)
            left -= len(data)
    return {
        "key": row["key"],
        "id": row["id"],
        "size_bytes": row["size_bytes"] if whole else -1,
        "digest": digest.hexdigest(),
    }


def plain(path: Path) -> str:
    """The SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def loads(path: Path) -> Told:
    """A JSON file."""
    with opened(path) as file:
        return dict(json.loads(file.read(RECORD_MAX_BYTES)))


def each(folder: Path, look: Callable[[Path], Iterator[Told]]) -> Iterator[Told]:
    """What there is under each name; what is unreadable is told by where it is, and why."""
    for path in folder.iterdir():
        try:
            found = [stranger(path, "it is a link")] if path.is_symlink() else list(look(path))
        except FileNotFoundError as error:
            if not settled(path):
                raise  # it changed while it was read
            found = [stranger(path, str(error))]
        except (OSError, ValueError, LookupError, TypeError, RecursionError, struct.error) as error:
            found = [stranger(path, str(error))]
        yield from found


def settled(path: Path) -> bool:
    """Whether nothing has changed a folder for a while."""
    try:
        return path.lstat().st_ctime_ns < time.time_ns() - SETTLED_NS
    except FileNotFoundError:
        return False


def thing(kind: str, key: str, **more: Any) -> Told:
    """One thing, as ``holdfast.testbed.Inspected`` has it."""
    return {"kind": kind, "key": key, **more}


def where(path: Path) -> str:
    """The last two names, printable."""
    return f"{path.parent.name}/{ascii(path.name)[1:-1]}"


def leftover(path: Path) -> Told:
    """Something that is not finished, or not gone."""
    return thing("temporary", where(path), unfinished=True)


def stranger(path: Path, why: str = "nobody's") -> Told:
    """Something that cannot be read, or that nobody put there."""
    return thing("unreadable", where(path), detail=ascii(why))


# Image stores


def image(folder: Path) -> Iterator[Told]:
    """Everything in an image store."""
    names = {path.name for path in folder.iterdir()}
    store = loads(folder / "store.json")
    states = [name for name in names if name.startswith(("maintenance", "working"))]
    latest = max(states, key=lambda name: (name.partition(".")[2], name[0] == "m"), default="")
    hosts = b",".join(sorted({path.read_bytes() for path in (folder / "hosts").iterdir()}))
    name, state = store["name"], latest.partition(".")[0].replace("working", "up") or "up"
    yield thing("store", name, id=store["id"], detail=f"{name}|{state}|{hosts.decode()}")
    yield from each(folder / "objects", stored)
    parts = {path.name: path for path in (folder / "parts").iterdir()}
    yield from each(folder / "uploads", lambda path: upload(path, parts))
    known = {*("store.json", "fences", "hosts"), *states, *SHELVES}
    yield from (stranger(folder / name) for name in sorted(names - known))
    yield from map(leftover, (*parts.values(), *(folder / "staging").iterdir()))


def stored(path: Path) -> Iterator[Told]:
    """One object."""
    found = kept(path, "object", object_of)
    if "~" not in path.name and unquote(path.name) != found["key"]:
        raise ValueError("it is of another key")
    yield {"kind": "object", **found}


def upload(path: Path, parts: dict[str, Path]) -> Iterator[Told]:
    """One open upload; its parts are taken out of those that are there."""
    row = loads(path)
    if "~" not in path.name and unquote(path.name) != row["key"]:
        raise ValueError("it is of another key")
    mine = [name for name in parts if name.startswith(f"{path.name}.{row['id']}.")]
    size = sum(parts.pop(name).lstat().st_size for name in mine)
    yield thing("upload", row["key"], id=row["id"], size_bytes=size, unfinished=True)


# Primary stores


def primary(folder: Path) -> Iterator[Told]:
    """Everything in a primary store, and the exports that belong to none."""
    store = loads(folder / "store.json")
    detail = f"{store['name']}|{store.get('state', 'up')}|{','.join(store.get('hosts', ()))}"
    yield thing("store", store["name"], id=store["id"], detail=detail)
    yield from disks(folder / "volumes", "volume")
    yield from disks(folder / "snapshots", "snapshot")
    yield from grants(folder)
    known = {
        "store.json",
        "store.spare",
        "lock",
        "fences",
        "volumes",
        "snapshots",
        "grants",
        "served",
        "staging",
    }
    yield from (stranger(path) for path in folder.iterdir() if path.name not in known)
    yield from (leftover(path) for path in (folder / "staging").iterdir())


def disks(folder: Path, kind: str) -> Iterator[Told]:
    """Volumes or snapshots."""
    yield from each(folder, lambda path: disk(path, kind))


def disk(path: Path, kind: str) -> Iterator[Told]:
    """One volume or snapshot, and what is beside its data."""
    row = loads(path / "row.json")
    if "~" not in path.name and unquote(path.name) != row["key"]:
        raise ValueError("row.json is of another key")
    data = path / str(row.get("data", "data"))
    if data.parent != path or not data.name.startswith("data"):
        raise ValueError(f"row.json names {data}")
    form = row.get("format", "raw")
    size, digest = kept(data, form, functools.partial(disk_of, qcow2=form == "qcow2"))
    yield thing(
        kind,
        row["key"],
        id=row["id"],
        size_bytes=size,
        digest=digest,
        detail=row.get("volume", ""),
    )
    for other in path.iterdir():
        if other.name not in {"row.json", data.name}:
            yield leftover(other) if other.name.startswith("data") else stranger(other)


def grants(folder: Path) -> Iterator[Told]:
    """Grants, and what is served or described of none."""
    recorded = {path.name.split(".")[3] for path in (folder / "grants").glob("*.*.*.*.*")}
    yield from each(folder / "grants", grant)
    if (folder / "served").is_dir():
        for path in (folder / "served").iterdir():
            if path.name != "by" and path.name.removesuffix(".by") not in recorded:
                yield leftover(path)
    everywhere = {
        path.name.split(".")[3] for path in folder.parent.parent.glob("*/primary/grants/*.*.*.*.*")
    }
    for path in EXPORTS.iterdir():
        if path.name.partition(".")[0] not in everywhere:
            yield leftover(path)
    for pseudo in exports():
        name = pseudo.removeprefix("/holdfast/")
        if name != pseudo and name not in everywhere:
            yield thing("temporary", f"exports{pseudo}", unfinished=True)


def grant(path: Path) -> Iterator[Told]:
    """One grant."""
    _, _, mode, name, _ = path.name.split(".")
    row = loads(path)
    detail = f"{row['volume']}|{row['host']}|{MODES[mode]}"
    yield thing("grant", row["volume"], id=name, detail=detail)


def exports() -> list[str]:
    """What ganesha says it serves; nothing where it does not run."""
    shown = sent("ShowExports")
    return re.findall(r'uint16 \d+\n\s+string "([^"]*)"', shown)


# Questions


def things(folder: Path, role: str) -> Iterator[Told]:
    """Everything in a store, and what is beside it of stores that come or go."""
    for path in folder.parent.glob(f".{role}.*"):
        yield leftover(path)
    if folder.exists():
        yield from image(folder) if role == "image" else primary(folder)


def outside(sandbox: Path, folder: Path, role: str) -> str:
    """A digest of all that is around a store; other namespaces of its root are no part of it."""
    digest = hashlib.sha256()
    root = folder.parent.parent
    waiting = [sandbox]
    while waiting:
        path = waiting.pop()
        if path == folder or (path.parent == folder.parent and path.name.startswith(f".{role}.")):
            continue
        if path.parent == root and path != folder.parent and path.name != NEIGHBOUR:
            continue
        status = path.lstat()
        if path != folder.parent:
            digest.update(f"{path.relative_to(sandbox)}\0{status.st_mode}\0".encode())
        if stat.S_ISDIR(status.st_mode):
            waiting += sorted(path.iterdir())
        elif stat.S_ISREG(status.st_mode):
            digest.update(kept(path, "plain", plain).encode())
    return digest.hexdigest()


def make(sandbox: Path, files: list[str]) -> Told:
    """Make a store's surroundings; what is there already stays."""
    for name in files:
        path = sandbox / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_text(name)
    return {}


def look(sandbox: Path, folder: Path, role: str) -> Told:
    """Everything in a store, and a digest of what is around it."""
    if not sandbox.exists():
        return {"things": [], "outside": ""}
    return {"things": list(things(folder, role)), "outside": outside(sandbox, folder, role)}


def remove(folder: Path) -> Told:
    """Remove a folder with all that is in it, and what is served of it."""
    for path in EXPORTS.glob("*.conf"):
        text = path.read_text()
        if f'Path = "{folder}/' in text:
            number = text.partition("Export_Id = ")[2].partition(";")[0]
            path.unlink()
            sent("RemoveExport", f"uint16:{number}")
    shutil.rmtree(folder, ignore_errors=True)
    return {}


def sent(method: str, *arguments: str) -> str:
    """Tell ganesha something, and what it says; nothing where it refuses or does not run."""
    done = subprocess.run(  # noqa: S603 - no shell, and words of our own
        [
            "/usr/bin/dbus-send",
            "--system",
            "--print-reply",
            f"--dest={GANESHA}",
            "/org/ganesha/nfsd/ExportMgr",
            f"org.ganesha.nfsd.exportmgr.{method}",
            *arguments,
        ],
        capture_output=True,
        check=False,
        text=True,
    )
    return done.stdout


def move(old: Path, new: Path) -> Told:
    """Give a file another name, if it is there."""
    if old.exists():
        old.rename(new)
    return {}


def identity() -> Told:
    """What is exported and by which version, and what this kernel can do for it."""
    version = ["/usr/bin/dpkg-query", "--show", "--showformat=${Version}", "nfs-ganesha"]
    shown = subprocess.run(version, capture_output=True, check=True, text=True)  # noqa: S603 - ours
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    kinds = [words[2] for words in mounts if words[1] == "/export"]
    return {
        "file_system": kinds[-1] if kinds else "an unknown file system",
        "version": shown.stdout,
        "bounded": not Path("/state/folder").exists(),
        "shapes": shapes(),
    }


def shapes() -> bool:
    """Whether this kernel can make a network slow; it is tried on one that nobody uses."""
    on = "tc qdisc add dev lo root tbf rate 2kbit burst 1600 latency 60s"
    tried = ["/bin/sh", "-c", f"{on} && tc qdisc del dev lo root"]
    return not subprocess.run(tried, capture_output=True, check=False).returncode  # noqa: S603 - ours


def answer(asked: Told) -> Told:
    """The answer to one question."""
    match asked["do"]:
        case "make":
            return make(Path(asked["sandbox"]), asked["files"])
        case "identity":
            return identity()
        case "look":
            sandbox = Path(asked["sandbox"])
            return look(sandbox, sandbox / asked["folder"], asked["role"])
        case "remove":
            return remove(Path(asked["folder"]))
        case "move":
            return move(Path(asked["old"]), Path(asked["new"]))
        case _:
            raise ValueError(asked["do"])


def main() -> None:
    """Answer until there are no more questions."""
    for line in sys.stdin:
        try:
            told = answer(json.loads(line))
        except FileNotFoundError as error:
            told = {"again": str(error)}  # it changed while it was read
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
