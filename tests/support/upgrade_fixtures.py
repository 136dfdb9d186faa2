"""Fixtures of earlier formats: what one holds, and how it is put into a folder of a test."""

import shutil
import sqlite3
import subprocess
from pathlib import Path

import msgspec

from holdfast.catalogue.digests import digest_of, table_seed
from holdfast.demo.acknowledgement import Promise

FIXTURES = Path(__file__).resolve().parent.parent / "upgrades" / "fixtures"
CATALOGUE = "catalogue.sqlite"
KNOWN = "known.json"


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What whoever made a fixture knew when it was killed."""

    root: str
    """Where the folder was."""
    promises: tuple[Promise, ...]
    """What was acknowledged, with the contents that each thing may have after recovery."""
    in_flight: dict[str, str]
    """The state in the journal of each operation that was under way."""
    in_error: tuple[str, ...]
    """Keys that scrub goes on naming until their rows are deleted."""


def names() -> list[str]:
    """Every fixture there is."""
    return sorted(path.name.removesuffix(".tar.xz") for path in FIXTURES.glob("*.tar.xz"))


def unpack(name: str, folder: Path) -> Known:
    """Put a fixture into an empty folder, as if it had been made there."""
    packed = FIXTURES / f"{name}.tar.xz"
    subprocess.run(["tar", "--extract", "--file", packed, "-C", folder], check=True)
    known = msgspec.json.decode((folder / KNOWN).read_bytes(), type=Known)
    (folder / KNOWN).unlink()
    _move(folder / CATALOGUE, known.root, str(folder))
    return known


def _move(catalogue: Path, old: str, new: str) -> None:
    """Have every row name the folder where it is now; what is in the WAL stays there."""
    connection = sqlite3.connect(catalogue, isolation_level=None)
    connection.execute("PRAGMA wal_autocheckpoint=0")
    for (table,) in connection.execute(
        "SELECT m.name FROM sqlite_master m, pragma_table_info(m.name) c "
        "WHERE m.type = 'table' AND c.name = 'body'"
    ).fetchall():
        connection.execute(f"UPDATE {table} SET body = replace(body, ?, ?)", (old, new))
        _digest_again(connection, table)
    # Closing would bring the WAL into the catalogue.
    files = [catalogue.with_name(catalogue.name + ending) for ending in ("", "-wal", "-shm")]
    for file in files:
        shutil.copyfile(file, file.with_name(f"kept-{file.name}"))
    connection.close()
    for file in files:
        file.with_name(f"kept-{file.name}").replace(file)


def _digest_again(connection: sqlite3.Connection, table: str) -> None:
    """Rows that were changed behind the catalogue's back carry the digest of what they are now."""
    columns = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
    if "digest" not in columns:
        return
    (key,) = connection.execute("SELECT key FROM catalogue").fetchone()
    for row_id, body in connection.execute(f"SELECT id, body FROM {table}").fetchall():
        digest = digest_of(body.encode(), table_seed(key, table))
        connection.execute(f"UPDATE {table} SET digest = ? WHERE id = ?", (digest, row_id))
