"""Reads stores in the storage host's own file system: one JSON line in, one JSON line out.

It runs inside the container, sent there with the readers that it imports; it knows the layout from
the driver's README alone, and shares no code with it.
"""

import functools
import hashlib
import json
import os
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from holdfast_drivers.inspection.readers.disk_content import disk_of
from holdfast_drivers.inspection.readers.kept_facts import KeptFacts, is_settled
from holdfast_drivers.inspection.readers.regular_files import loaded, opened, sha256_of
from holdfast_drivers.inspection.readers.seen import (
    Seen,
    grant_of,
    leftover,
    stranger,
    unfinished,
)
from holdfast_drivers.inspection.readers.store_folders import (
    Look,
    beside,
    disk,
    each,
    keyed,
    shelves,
    store_in,
)
from holdfast_drivers.inspection.readers.surroundings import make_surroundings, outside_digest

Told = dict[str, Any]

SECTOR_BYTES = 512
TAIL_BYTES = 1 << 20
SHELVES = ("objects", "uploads", "parts", "staging")
FOOTER = struct.Struct("<Q8s")
EXPORTS = Path("/state/exports")
GANESHA = "org.ganesha.nfsd"
GRANT = "*.*.*.*.*"
NEIGHBOUR = "neighbour"


class ChangedWhileReadError(Exception):
    """Something is gone that was there just now: whoever asked asks again."""


def steady(look: Look) -> Look:
    """Look, and tell what is missing from what is on its way: only the former is unreadable."""

    def looked(path: Path) -> Iterator[Seen]:
        try:
            yield from look(path)
        except FileNotFoundError as error:
            if is_settled(path):
                raise
            raise ChangedWhileReadError(str(error)) from error

    return looked


def object_of(path: Path) -> Seen:
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
    return Seen(
        kind="object",
        key=row["key"],
        id=row["id"],
        size_bytes=row["size_bytes"] if whole else -1,
        digest=digest.hexdigest(),
    )


OBJECTS = KeptFacts(object_of)
DISKS = {form: KeptFacts(functools.partial(disk_of, form=form)) for form in ("raw", "qcow2")}
CONTENTS = KeptFacts(sha256_of)


# Image stores


def image(folder: Path) -> Iterator[Seen]:
    """Everything in an image store."""
    names = {path.name for path in folder.iterdir()}
    states = [name for name in names if name.startswith(("maintenance", "working"))]
    latest = max(states, key=lambda name: (name.partition(".")[2], name[0] == "m"), default="")
    state = latest.partition(".")[0].replace("working", "up") or "up"
    hosts = sorted({path.read_bytes() for path in (folder / "hosts").iterdir() if path.is_file()})
    names_of = [host.decode(errors="backslashreplace") for host in hosts]
    yield store_in(folder, state=state, hosts=names_of)
    yield from each(folder / "objects", steady(stored))
    parts = {path.name: path for path in (folder / "parts").iterdir()}
    yield from each(folder / "uploads", steady(lambda path: upload(path, parts)))
    known = {*("store.json", "fences", "hosts"), *states, *SHELVES}
    yield from (stranger(folder / name) for name in sorted(names - known))
    yield from map(leftover, parts.values())
    yield from each(folder / "staging", lambda path: iter((leftover(path),)))


def stored(path: Path) -> Iterator[Seen]:
    """One object."""
    found = OBJECTS.of(path)
    keyed(path, vars(found))
    yield found


def upload(path: Path, parts: dict[str, Path]) -> Iterator[Seen]:
    """One open upload; its parts are taken out of those that are there."""
    row = keyed(path, loaded(path))
    mine = [name for name in parts if name.startswith(f"{path.name}.{row['id']}.")]
    size = sum(parts.pop(name).lstat().st_size for name in mine)
    yield Seen(kind="upload", key=row["key"], id=row["id"], size_bytes=size, unfinished=True)


# Primary stores


def primary(folder: Path) -> Iterator[Seen]:
    """Everything in a primary store, and the exports that belong to none."""
    looks = {
        "volumes": disks("volume"),
        "snapshots": disks("snapshot"),
        "grants": steady(grant),
    }
    yield from shelves(folder, looks, known={"served"})
    recorded = recorded_in((folder / "grants").glob(GRANT))
    if (folder / "served").is_dir():
        for path in (folder / "served").iterdir():
            if path.name != "by" and path.name.removesuffix(".by") not in recorded:
                yield leftover(path)
    everywhere = recorded_in(folder.parent.parent.glob(f"*/primary/grants/{GRANT}"))
    for path in EXPORTS.iterdir():
        if path.name.partition(".")[0] not in everywhere:
            yield leftover(path)
    for pseudo in exports():
        name = pseudo.removeprefix("/holdfast/")
        if name != pseudo and name not in everywhere:
            yield unfinished(f"exports{pseudo}")


def disks(kind: str) -> Look:
    """Volumes or snapshots."""
    return steady(lambda path: disk(path, kind, lambda data, form: DISKS[form].of(data)))


def recorded_in(grants: Iterator[Path]) -> set[str]:
    """The names of grants by which they are served."""
    return {path.name.split(".")[3] for path in grants}


def grant(path: Path) -> Iterator[Seen]:
    """One grant."""
    _, _, mode, name, _ = path.name.split(".")
    row = loaded(path)
    yield grant_of(row["volume"], row["host"], mode, name)


def exports() -> list[str]:
    """What ganesha says it serves; nothing where it does not run."""
    shown = sent("ShowExports")
    return re.findall(r'uint16 \d+\n\s+string "([^"]*)"', shown)


# Questions


def things(folder: Path, role: str) -> Iterator[Seen]:
    """Everything in a store, and what is beside it of stores that come or go."""
    yield from beside(folder)
    if folder.exists():
        yield from image(folder) if role == "image" else primary(folder)


def around(sandbox: Path, folder: Path) -> str:
    """A digest of all that is around a store; other namespaces of its root are no part of it."""
    root = folder.parent.parent

    def passed(path: Path) -> bool:
        return path.parent == root and path != folder.parent and path.name != NEIGHBOUR

    return outside_digest(sandbox, folder, passed=passed, content=CONTENTS.of)


def look(sandbox: Path, folder: Path, role: str) -> Told:
    """Everything in a store, and a digest of what is around it."""
    if not sandbox.exists():
        return {"things": [], "outside": ""}
    return {"things": list(map(vars, things(folder, role))), "outside": around(sandbox, folder)}


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
            make_surroundings(Path(asked["sandbox"]))
            return {}
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
        except (FileNotFoundError, ChangedWhileReadError) as error:
            told = {"again": str(error)}  # it changed while it was read
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
