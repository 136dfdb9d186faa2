"""What may stand in a store's folder although no driver put it there: makers, by name."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

from holdfast_drivers.local.names import name_of

Maker = Callable[[Path], object]
BAD = "bad"
ROW = b'{"key":"bad","id":"vol-bad","operation":"op","data":"data"}'


def _outside(path: Path) -> Path:
    """The folder beside the store's root."""
    return next(parent for parent in path.parents if parent.name == "root").parent / "outside"


def _socket(path: Path) -> None:
    here = Path.cwd()
    try:
        os.chdir(path.parent)  # a socket's address is short
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


def _linked_file(path: Path) -> None:
    path.symlink_to(_outside(path) / "file")


def _linked_folder(path: Path) -> None:
    path.symlink_to(_outside(path) / "thing")


def _huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


NO_FILES: dict[str, Maker] = {
    "a pipe": os.mkfifo,
    "a socket": _socket,
    "a link": _linked_file,
    "a link to nothing": lambda path: path.symlink_to("nothing"),
    "a link to itself": lambda path: path.symlink_to(path.name),
}
"""What is neither a file nor a folder."""


def _with_row(row: bytes | Maker) -> Maker:
    def make(path: Path) -> None:
        path.mkdir()
        (path / "data").write_bytes(bytes(4096))
        if isinstance(row, bytes):
            (path / "row.json").write_bytes(row)
        else:
            row(path / "row.json")

    return make


def _with_data(data: Maker) -> Maker:
    def make(path: Path) -> None:
        path.mkdir()
        (path / "row.json").write_bytes(ROW)
        data(path / "data")

    return make


def _named(data: str) -> bytes:
    return ROW.replace(b'"data"}', f'"{data}"}}'.encode())


ROWS: dict[str, Maker] = {
    "a truncated row": _with_row(ROW[:20]),
    "an empty row": _with_row(b""),
    "a row of zeroes": _with_row(bytes(100)),
    "a row that is no text": _with_row(b'{"key":"\xff\xfe"}'),
    "a row of another key": _with_row(ROW.replace(b'"bad"', b'"good"')),
    "a row of endless depth": _with_row(b'{"key":' + b"[" * 200_000),
    "a row without end": _with_row(_huge),
    "a row that names a file outside": _with_row(_named("../../../../outside/file")),
    "a row that names an absolute path": _with_row(_named("/etc/hostname")),
    "a row that names itself": _with_row(_named("row.json")),
    "a row that names its folder": _with_row(_named(".")),
    "a row that names nothing": _with_row(_named("")),
    "a folder as row": _with_row(Path.mkdir),
    **{f"{name} as row": _with_row(make) for name, make in NO_FILES.items()},
}
"""Things whose row is no row."""

ENTRIES: dict[str, Maker] = {
    "a stray file": lambda path: path.write_bytes(b"stray"),
    "an empty folder": Path.mkdir,
    "a link to a folder": _linked_folder,
    **NO_FILES,
    **ROWS,
}
"""What may stand in the place of a thing of any kind."""

DISKS: dict[str, Maker] = {
    **ENTRIES,
    "no data": _with_data(lambda _: None),
    "a folder as data": _with_data(Path.mkdir),
    **{f"{name} as data": _with_data(make) for name, make in NO_FILES.items()},
}
"""What may stand in the place of a volume."""

NAMES: dict[str, bytes] = {
    "an upper-case name": b"Upper Case",
    "a name with dots": b"a.b.c",
    "a name that is no text": b"\xff\xfe",
    "a name that acts on terminals": b"\x1b[2J\r\nfake",
    "the longest name": b"x" * 255,
    "a name that ends as a digest": name_of("k" * 128 + "é").encode() + b"~" + b"0" * 64,
}


def surroundings(base: Path) -> Path:
    """Make what lies around a root, and the root."""
    outside = base / "outside"
    (outside / "thing").mkdir(parents=True)
    (outside / "file").write_bytes(b"outside")
    (outside / "thing/row.json").write_bytes(ROW)
    (outside / "thing/data").write_bytes(b"outside" * 1000)
    (base / "root").mkdir()
    return base / "root"


def untouched(base: Path) -> bool:
    """Whether everything outside is as it was made."""
    outside = base / "outside"
    found = {
        str(path.relative_to(outside)): path.read_bytes()
        for path in outside.rglob("*")
        if path.is_file()
    }
    return found == {
        "file": b"outside",
        "thing/row.json": ROW,
        "thing/data": b"outside" * 1000,
    }
