"""The first schema: one table per kind of row."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


_COLUMNS = {
    "zones": ("name",),
    "pods": ("zone",),
    "clusters": ("pod",),
    "hosts": ("cluster", "name", "state"),
    "stores": ("name", "role", "state"),
    "disk_offerings": ("name",),
    "volumes": ("name", "store", "state"),
    "snapshots": ("name", "volume", "store", "state"),
    "templates": ("name",),
    "backups": ("name", "volume"),
    "stored_objects": ("owner", "store", "state"),
    "volume_grants": ("volume", "host", "state"),
    "ledger": ("store", "holder"),
    "capacities": (),
    "operations": ("kind", "subject", "state"),
    "steps": ("operation",),
    "quarantine": ("store",),
    "leases": ("owner",),
}
"""The tables, and what their rows are selected by; all of it is text."""


def upgrade() -> None:
    """Create every table."""
    for table, columns in _COLUMNS.items():
        op.create_table(
            table,
            sa.Column("id", sa.Text(), nullable=False),
            sa.Column("version", sa.BigInteger(), nullable=False),
            *(sa.Column(column, sa.Text(), nullable=False) for column in columns),
            sa.Column("body", sa.Text(), nullable=False),
            sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
        )
        for column in columns:
            op.create_index(f"ix_{table}_{column}", table, [column])
