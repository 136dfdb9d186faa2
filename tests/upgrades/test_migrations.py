"""A catalogue's schema is changed whole or not at all, wherever the process dies."""

import os
import signal
import sqlite3
from pathlib import Path

import pytest

from catalogue_files import harm_of, transacted
from holdfast.catalogue import sqlite as opening
from holdfast.catalogue.observer import observe
from holdfast.catalogue.port import Transaction
from holdfast.contract.errors import HoldfastError
from holdfast.model.rows import ROWS, Row
from upgrade_fixtures import CATALOGUE, names, unpack


def rows(tx: Transaction) -> dict[str, list[Row]]:
    return {kind.__name__: tx.select(kind) for kind in ROWS}


class Kills:
    """Ends the process before or after a commit."""

    def __init__(self, point: str) -> None:
        self.point = point

    def before(self) -> None:
        if self.point == "before":
            os.kill(os.getpid(), signal.SIGKILL)

    def after(self) -> None:
        if self.point == "after":
            os.kill(os.getpid(), signal.SIGKILL)


def killing(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_opening(path: Path, point: str, patch: pytest.MonkeyPatch) -> None:
    """Open a catalogue in a process that is killed at a point of its migration."""
    child = os.fork()
    if not child:
        try:
            if point == "renaming":
                patch.setattr(opening, "_rename", killing)
            with observe(Kills(point)):
                transacted(path, rows)
        finally:
            os._exit(70)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("point", ["renaming", "before", "after"])
def test_a_migration_that_is_killed_happens_later_or_has_happened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, point: str
) -> None:
    """A catalogue whose migration was killed opens, with every row it had."""
    for folder in ("whole", "killed"):
        (tmp_path / folder).mkdir()
        unpack(name, tmp_path / folder)
    whole, killed = tmp_path / "whole" / CATALOGUE, tmp_path / "killed" / CATALOGUE
    die_opening(killed, point, monkeypatch)

    assert harm_of(killed) == ()
    expected, found = (transacted(path, rows) for path in (whole, killed))
    assert {kind: len(held) for kind, held in expected.items()} == {
        kind: len(held) for kind, held in found.items()
    }
    assert harm_of(whole) == ()


@pytest.mark.parametrize("name", names())
def test_every_row_of_an_earlier_version_has_its_digest(tmp_path: Path, name: str) -> None:
    """A migrated catalogue is not damaged, and a change of any migrated row shows."""
    unpack(name, tmp_path)
    path = tmp_path / CATALOGUE
    assert harm_of(path) == ()
    connection = sqlite3.connect(path, isolation_level=None)
    (volume,) = connection.execute("SELECT min(id) FROM volumes").fetchone()
    connection.execute("UPDATE volumes SET body = body || ' ' WHERE id = ?", (volume,))
    connection.close()

    found = harm_of(path)
    assert not isinstance(found, HoldfastError)
    assert [(one.what, one.key) for one in found] == [("Volume", volume)]
