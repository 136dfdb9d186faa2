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

import xxhash

Told = dict[str, Any]

BLOCK_BYTES = 4096
READ_BYTES = 1 << 20
SECTOR_BYTES = 512
SETTLED_NS = 50_000_000
"""How old a change must be before its time alone tells it from a later one."""
FOOTER = struct.Struct("<Q8s")
HEADER = struct.Struct(">4s16xIQ4xIQ")
"""Of qcow2: magic, bits of a cluster, disk's size, entries and place of the table."""
OFFSET = 0x00FF_FFFF_FFFF_FE00
ZERO, COMPRESSED = 1, 1 << 62
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


def raw_runs(fd: int) -> Iterator[tuple[int, bytes]]:
    """What a raw file holds, and where; holes are not read."""
    size = os.fstat(fd).st_size
    offset = 0
    while offset < size:
        try:
            offset = os.lseek(fd, offset, os.SEEK_DATA) // BLOCK_BYTES * BLOCK_BYTES
        except OSError:  # only a hole is left
            return
        end = min(os.lseek(fd, offset, os.SEEK_HOLE), size)
        while offset < end:
            data = os.pread(fd, min(READ_BYTES, size - offset), offset)
            yield offset, data
            offset += len(data)


def qcow2_runs(fd: int) -> Iterator[tuple[int, bytes]]:
    """What the disk in a qcow2 image holds, and where (QEMU, docs/interop/qcow2)."""
    size, bits, entries, table = qcow2_header(fd)
    cluster = 1 << bits
    for high, upper in enumerate(words(fd, table, entries)):
        if not upper & OFFSET:
            continue
        for low, entry in enumerate(words(fd, upper & OFFSET, cluster // 8)):
            if not entry & OFFSET or entry & ZERO:
                continue
            if entry & COMPRESSED:
                raise ValueError("a compressed cluster, which no driver of ours writes")
            offset = (high * (cluster // 8) + low) * cluster
            data = os.pread(fd, cluster, entry & OFFSET).ljust(cluster, b"\0")
            yield offset, data[: max(size - offset, 0)]


def qcow2_header(fd: int) -> tuple[int, int, int, int]:
    """The disk's size, the bits of a cluster, and how many entries its first table has, where."""
    head = os.pread(fd, HEADER.size, 0)
    magic, bits, size, entries, table = HEADER.unpack(head)
    if magic != b"QFI\xfb":
        return -1, 9, 0, 0  # a host has destroyed it
    return size, bits, entries, table


def words(fd: int, offset: int, count: int) -> tuple[int, ...]:
    """A table of 8-byte numbers; what is past the file's end is zero."""
    return struct.unpack(f">{count}Q", os.pread(fd, 8 * count, offset).ljust(8 * count, b"\0"))


def disk_of(path: Path, *, qcow2: bool) -> tuple[int, str]:
    """The size of a disk, and its content digest (``holdfast.data.digest``)."""
    with path.open("rb", buffering=0) as file:
        fd = file.fileno()
        size = qcow2_header(fd)[0] if qcow2 else os.fstat(fd).st_size
        digest = xxhash.xxh3_128(size.to_bytes(8, "little", signed=True))
        for offset, data in qcow2_runs(fd) if qcow2 else raw_runs(fd):
            for start in range(0, len(data), BLOCK_BYTES):
                block = data[start : start + BLOCK_BYTES].ljust(BLOCK_BYTES, b"\0")
                if block != bytes(BLOCK_BYTES):
                    digest.update(((offset + start) // BLOCK_BYTES).to_bytes(8, "little"))
                    digest.update(xxhash.xxh3_128_digest(block))
    return size, digest.hexdigest()


def object_of(path: Path) -> Told:
    """What an object's file says of itself, and the digest of its bytes."""
    data = path.read_bytes()
    length, _ = FOOTER.unpack(data[-FOOTER.size :])
    record = -(-(length + FOOTER.size) // SECTOR_BYTES) * SECTOR_BYTES
    row = json.loads(data[-record:][:length])
    content = data[: row["size_bytes"]]
    whole = len(data) - record - len(content) in range(SECTOR_BYTES)
    return {
        "key": row["key"],
        "id": row["id"],
        "size_bytes": len(content) if whole else -1,
        "digest": hashlib.sha256(content).hexdigest(),
    }


def plain(path: Path) -> str:
    """The SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def loads(path: Path) -> Told:
    """A JSON file."""
    return dict(json.loads(path.read_bytes()))


def thing(kind: str, key: str, **more: Any) -> Told:
    """One thing, as ``holdfast.testbed.Inspected`` has it."""
    return {"kind": kind, "key": key, **more}


def leftover(path: Path) -> Told:
    """Something that is not finished, or not gone."""
    return thing("temporary", f"{path.parent.name}/{path.name}", unfinished=True)


# Image stores


def image(folder: Path) -> Iterator[Told]:
    """Everything in an image store."""
    names = {path.name for path in folder.iterdir()}
    store = loads(folder / "store.json")
    state = "maintenance" if "maintenance" in names else "up"
    hosts = b",".join(sorted(path.read_bytes() for path in (folder / "hosts").iterdir()))
    detail = f"{store['name']}|{state}|{hosts.decode()}"
    yield thing("store", store["name"], id=store["id"], detail=detail)
    for path in (folder / "objects").iterdir():
        yield {"kind": "object", **kept(path, "object", object_of)}
    parts = {path.name: path for path in (folder / "parts").iterdir()}
    for path in (folder / "uploads").iterdir():
        row = loads(path)
        mine = [name for name in parts if name.startswith(f"{path.name}.{row['id']}.")]
        size = sum(parts.pop(name).stat().st_size for name in mine)
        yield thing("upload", row["key"], id=row["id"], size_bytes=size, unfinished=True)
    known = {"store.json", "maintenance", "hosts", "objects", "uploads", "parts", "staging"}
    yield from (leftover(folder / name) for name in sorted(names - known))
    for path in (*parts.values(), *(folder / "staging").iterdir()):
        yield leftover(path)


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
    for path in (*folder.iterdir(), *(folder / "staging").iterdir()):
        if path.parent.name == "staging" or path.name not in known:
            yield leftover(path)


def disks(folder: Path, kind: str) -> Iterator[Told]:
    """Volumes or snapshots."""
    for path in folder.iterdir():
        row = loads(path / "row.json")
        data = path / row.get("data", "data")
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
                yield leftover(other)


def grants(folder: Path) -> Iterator[Told]:
    """Grants, and what is served or described of none."""
    recorded = {path.name.split(".")[3]: path for path in (folder / "grants").iterdir()}
    for name, path in recorded.items():
        row = loads(path)
        mode = MODES[path.name.split(".")[2]]
        yield thing("grant", row["volume"], id=name, detail=f"{row['volume']}|{row['host']}|{mode}")
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
