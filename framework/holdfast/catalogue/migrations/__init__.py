"""The schema's history, by Alembic: loaded only when a catalogue is new or old."""

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory


def configuration() -> Config:
    """Alembic's configuration: no file, only where the migrations are."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def revisions() -> frozenset[str]:
    """Every schema this code can upgrade."""
    scripts = ScriptDirectory.from_config(configuration())
    return frozenset(script.revision for script in scripts.walk_revisions())


def upgrade(connection: sa.Connection, key: int) -> None:
    """Bring the schema to the newest revision, inside the transaction that is open.

    Args:
        connection: to the catalogue.
        key: for the digests of a catalogue that has none yet.
    """
    config = configuration()
    config.attributes["connection"] = connection
    config.attributes["key"] = key
    command.upgrade(config, "head")
