"""Reads stores in the storage host's own file system: one JSON line in, one JSON line out.

It runs inside the container, knows the layout from the driver's README alone, and shares no code
with it. Digests are kept for as long as inode, times and size of a file, as this kernel tells them,
stay what they were; nothing that a client of the NFS server does can bring the ctime back.
"""

import hashlib
import json
import os
import pathlib
import shutil
import stat
import struct
import subprocess
import sys

BLOCK = 4096
READ = 1 << 20
FOOTER = struct.Struct("<Q8s")
KEPT = {}


def kept(path, name, compute):
    status = path.stat()
    state = (
        status.st_ino,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_size,
        status.st_blocks,
    )
    found = KEPT.get((name, str(path)))
    if found is None or found[0] != state:
        found = KEPT[name, str(path)] = (state, compute(path))
    return found[1]


def raw_digest(path):
    import xxhash

    with path.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        digest = xxhash.xxh3_128(size.to_bytes(8, "little"))
        offset = 0
        while offset < size:
            try:
                offset = os.lseek(file.fileno(), offset, os.SEEK_DATA) // BLOCK * BLOCK
            except OSError:  # only a hole is left
                break
            end = min(os.lseek(file.fileno(), offset, os.SEEK_HOLE), size)
            while offset < end:
                data = os.pread(file.fileno(), min(READ, size - offset), offset)
                for start in range(0, len(data), BLOCK):
                    block = data[start : start + BLOCK].ljust(BLOCK, b"\0")
                    if block != bytes(BLOCK):
                        digest.update(((offset + start) // BLOCK).to_bytes(8, "little"))
                        digest.update(xxhash.xxh3_128_digest(block))
                offset += len(data)
    return digest.hexdigest()


def qcow2_digest(path):
    raw = pathlib.Path("/run/inspect.raw")
    subprocess.run(
        ["qemu-img", "convert", "-U", "-f", "qcow2", "-O", "raw", str(path), str(raw)], check=True
    )
    try:
        return [raw_digest(raw), raw.stat().st_size]
    finally:
        raw.unlink()


def object_of(path):
    data = path.read_bytes()
    length, _ = FOOTER.unpack(data[-FOOTER.size :])
    record = -(-(length + FOOTER.size) // 512) * 512
    row = json.loads(data[-record:][:length])
    content = data[: row["size_bytes"]]
    whole = len(data) - record - len(content) in range(512)
    return {
        "key": row["key"],
        "id": row["id"],
        "size": len(content) if whole else -1,
        "digest": hashlib.sha256(content).hexdigest(),
    }


def plain(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def loads(path):
    return json.loads(path.read_bytes())


def thing(kind, key, **more):
    return {"kind": kind, "key": key, **more}


def leftover(path):
    return thing("temporary", f"{path.parent.name}/{path.name}", unfinished=True)


def image(folder):
    names = {path.name for path in folder.iterdir()}
    store = loads(folder / "store.json")
    state = "maintenance" if "maintenance" in names else "up"
    hosts = sorted(path.read_bytes() for path in (folder / "hosts").iterdir())
    detail = f"{store['name']}|{state}|{b','.join(hosts).decode()}"
    yield thing("store", store["name"], id=store["id"], detail=detail)
    for path in (folder / "objects").iterdir():
        yield thing("object", **kept(path, "object", object_of))
    parts = {path.name: path for path in (folder / "parts").iterdir()}
    for path in (folder / "uploads").iterdir():
        row = loads(path)
        mine = [name for name in parts if name.startswith(f"{path.name}.{row['id']}.")]
        size = sum(parts.pop(name).stat().st_size for name in mine)
        yield thing("upload", row["key"], id=row["id"], size=size, unfinished=True)
    known = {"store.json", "maintenance", "hosts", "objects", "uploads", "parts", "staging"}
    for name in sorted(names - known):
        yield leftover(folder / name)
    for path in (*parts.values(), *(folder / "staging").iterdir()):
        yield leftover(path)


def disks(folder, kind):
    for path in folder.iterdir():
        row = loads(path / "row.json")
        data = path / row.get("data", "data")
        if row.get("format") == "qcow2":
            digest, size = kept(data, "qcow2", qcow2_digest)
        else:
            digest, size = kept(data, "raw", raw_digest), data.stat().st_size
        yield thing(
            kind, row["key"], id=row["id"], size=size, digest=digest, detail=row.get("volume", "")
        )
        for other in path.iterdir():
            if other.name not in {"row.json", data.name}:
                yield leftover(other)


def things(folder, role):
    for path in folder.parent.glob(f".{role}.*"):
        yield leftover(path)
    if folder.exists():
        yield from image(folder) if role == "image" else primary(folder)


def primary(folder):
    raise SystemExit("no primary stores here")


def outside(sandbox, folder, role):
    digest = hashlib.sha256()
    waiting = [sandbox]
    while waiting:
        path = waiting.pop()
        if path == folder or (path.parent == folder.parent and path.name.startswith(f".{role}.")):
            continue
        status = path.lstat()
        if path != folder.parent:
            digest.update(f"{path.relative_to(sandbox)}\0{status.st_mode}\0".encode())
        if stat.S_ISDIR(status.st_mode):
            waiting += sorted(path.iterdir())
        elif stat.S_ISREG(status.st_mode):
            digest.update(kept(path, "plain", plain).encode())
    return digest.hexdigest()


def answer(asked):
    sandbox = pathlib.Path(asked["sandbox"])
    match asked["do"]:
        case "make":
            for name, text in asked["files"].items():
                path = sandbox / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
        case "remove":
            shutil.rmtree(sandbox, ignore_errors=True)
        case "look":
            folder, role = sandbox / asked["folder"], asked["role"]
            if not sandbox.exists():
                return {"things": [], "outside": ""}
            return {"things": list(things(folder, role)), "outside": outside(sandbox, folder, role)}
    return {}


def main():
    for line in sys.stdin:
        try:
            told = answer(json.loads(line))
        except FileNotFoundError as error:
            told = {"again": str(error)}  # it changed while it was read
        print(json.dumps(told), flush=True)


main()
