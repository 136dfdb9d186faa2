"""Operations are found by their parent, and steps that are performed leave checkpoints."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """No operation before had a parent, and no step a checkpoint."""
    op.add_column("operations", sa.Column("parent", sa.Text(), nullable=False, server_default=""))
    op.create_index("ix_operations_parent", "operations", ["parent"])
    op.create_table(
        "checkpoints",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("digest", sa.BigInteger(), nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("id", name="pk_checkpoints"),
    )
    op.create_index("ix_checkpoints_step", "checkpoints", ["step"])
