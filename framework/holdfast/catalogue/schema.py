"""The SQL schema: one table per kind of row, made from the row's class.

A table has the id, the version, one real column for each field that rows are selected by, the whole
row as JSON in ``body``, and the body's ``digest``. The other fields change with the code; these
change by migration. One more table holds a single row about the catalogue itself.
"""

import sqlalchemy as sa

from holdfast.catalogue.codec import column_type
from holdfast.model.rows import ROWS, Row

REVISION = "0003"
"""The newest migration; a catalogue that has it is opened without loading Alembic."""


def table_of(kind: type[Row], metadata: sa.MetaData) -> sa.Table:
    """The table of a kind of row."""
    columns = [
        sa.Column(
            name,
            sa.Text() if column_type(kind, name) is str else sa.BigInteger(),
            nullable=False,
            index=True,
        )
        for name in kind.columns
    ]
    return sa.Table(
        kind.table,
        metadata,
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        *columns,
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("digest", sa.BigInteger(), nullable=False, server_default="0"),
    )


METADATA = sa.MetaData(
    naming_convention={"ix": "ix_%(table_name)s_%(column_0_name)s", "pk": "pk_%(table_name)s"}
)
TABLES: dict[type[Row], sa.Table] = {kind: table_of(kind, METADATA) for kind in ROWS}

CATALOGUE = sa.Table(
    "catalogue",
    METADATA,
    sa.Column("id", sa.Integer(), primary_key=True),
    sa.Column("key", sa.BigInteger(), nullable=False),
    sa.Column("opened_as", sa.Text(), nullable=False),
    sa.Column("schema", sa.BigInteger(), nullable=False),
)
"""What a catalogue knows of itself: the key of its digests, the path it was last opened by (quoted
as in a URL), and a digest of its schema.
"""
