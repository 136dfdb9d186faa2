"""The SQL schema: one table per kind of row, made from the row's class.

A table has the id, the version, one real column for each field that rows are selected by, and the
whole row as JSON in ``body``. The other fields change with the code; these change by migration.
"""

import sqlalchemy as sa

from holdfast.catalogue.codec import column_type
from holdfast.model.rows import ROWS, Row

REVISION = "0001"
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
    )


METADATA = sa.MetaData(
    naming_convention={"ix": "ix_%(table_name)s_%(column_0_name)s", "pk": "pk_%(table_name)s"}
)
TABLES: dict[type[Row], sa.Table] = {kind: table_of(kind, METADATA) for kind in ROWS}
