"""The schema that migrations make, and the one the code expects."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from holdfast.catalogue.codec import column_type
from holdfast.catalogue.migrations import configuration
from holdfast.catalogue.schema import METADATA, REVISION, TABLES, table_of
from holdfast.catalogue.sqlite import open_catalogue
from holdfast.model.rows import ROWS, Row, Volume

OPEN_TWICE = """
import asyncio, json, sys
from holdfast.catalogue.sqlite import open_catalogue

async def run():
    async with open_catalogue(sys.argv[1]):
        pass

asyncio.run(run())
print(json.dumps("alembic" in sys.modules))
"""


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """The file of a new, closed catalogue."""

    async def run() -> None:
        async with open_catalogue(tmp_path / "zone.db"):
            pass

    asyncio.run(run())
    return tmp_path / "zone.db"


def test_migrations_make_the_schema_of_the_rows(made: Path) -> None:
    """A migrated catalogue has the tables, columns and indexes that the rows ask for."""
    engine = sa.create_engine(f"sqlite:///{made}")
    with engine.connect() as connection:
        difference = compare_metadata(MigrationContext.configure(connection), METADATA)
        names = set(sa.inspect(connection).get_table_names())
    engine.dispose()

    assert difference == []
    assert names == {kind.table for kind in ROWS} | {"alembic_version", "catalogue"}


def test_the_revision_in_the_code_is_the_newest() -> None:
    """The revision that opens without Alembic is the head of the one line of migrations."""
    assert ScriptDirectory.from_config(configuration()).get_heads() == [REVISION]


def test_a_current_catalogue_opens_without_alembic(made: Path) -> None:
    """Opening a current catalogue does not load Alembic."""
    ran = subprocess.run(
        [sys.executable, "-c", OPEN_TWICE, str(made)], check=True, capture_output=True, text=True
    )

    assert json.loads(ran.stdout) is False


@pytest.mark.slow
def test_the_wheel_has_the_migrations(installed_wheel: Path, tmp_path: Path) -> None:
    """A new catalogue is made by an installed wheel, without the source tree."""
    environment = {**os.environ, "PYTHONPATH": str(installed_wheel)}
    command = [sys.executable, "-c", OPEN_TWICE, str(tmp_path / "zone.db")]
    ran = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)

    assert json.loads(ran.stdout) is True
    assert (tmp_path / "zone.db").exists()


def test_every_kind_of_row_has_a_table() -> None:
    """A table has id, version, the kind's columns, the body and its digest; columns are indexed."""
    shapes = {kind: [column.name for column in TABLES[kind].columns] for kind in ROWS}
    indexed = {kind: {c.name for i in TABLES[kind].indexes for c in i.columns} for kind in ROWS}

    assert shapes == {kind: ["id", "version", *kind.columns, "body", "digest"] for kind in ROWS}
    assert indexed == {kind: set(kind.columns) for kind in ROWS}


def test_a_column_is_text_or_a_whole_number() -> None:
    """A field of another type cannot be a column, and is named."""

    class Odd(Row, frozen=True, kw_only=True):
        table = "odd"
        columns = ("ratio",)
        ratio: float

    assert (str, int) == (column_type(Volume, "state"), column_type(Volume, "size_bytes"))
    with pytest.raises(TypeError, match=r"Odd\.ratio"):
        table_of(Odd, sa.MetaData())
