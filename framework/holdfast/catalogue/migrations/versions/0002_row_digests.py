"""Each row carries a digest of its body, and the catalogue a key for them and the path it has."""

import sqlalchemy as sa
from alembic import context, op

from holdfast.catalogue.digests import digest_of, table_seed

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TABLES = (
    "zones",
    "pods",
    "clusters",
    "hosts",
    "stores",
    "disk_offerings",
    "volumes",
    "snapshots",
    "templates",
    "backups",
    "stored_objects",
    "volume_grants",
    "ledger",
    "capacities",
    "operations",
    "steps",
    "quarantine",
    "leases",
)
_AT_ONCE = 500


def upgrade() -> None:
    """Add the digests, and fill in those of the rows that are there."""
    key: int = context.config.attributes["key"]
    made = op.create_table(
        "catalogue",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.BigInteger(), nullable=False),
        sa.Column("opened_as", sa.Text(), nullable=False),
        sa.Column("schema", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_catalogue"),
    )
    op.bulk_insert(made, [{"id": 1, "key": key, "opened_as": "", "schema": 0}])
    for table in _TABLES:
        op.add_column(
            table, sa.Column("digest", sa.BigInteger(), nullable=False, server_default="0")
        )
        _fill_in(table, table_seed(key, table))


def _fill_in(table: str, seed: int) -> None:
    rows = sa.table(
        table, sa.column("id", sa.Text()), sa.column("body", sa.Text()), sa.column("digest")
    )
    fill = (
        sa.update(rows)
        .where(rows.c.id == sa.bindparam("row_id"))
        .values(digest=sa.bindparam("found"))
    )
    connection = op.get_bind()
    last = ""
    while True:
        page = connection.execute(
            sa.select(rows.c.id, rows.c.body)
            .where(rows.c.id > last)
            .order_by(rows.c.id)
            .limit(_AT_ONCE)
        ).all()
        if not page:
            return
        found = [
            {"row_id": row_id, "found": digest_of(body.encode(), seed)} for row_id, body in page
        ]
        connection.execute(fill, found)
        last = page[-1][0]
