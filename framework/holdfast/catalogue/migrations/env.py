"""Alembic's entry: runs migrations in the transaction of the connection it is given."""

from alembic import context

from holdfast.catalogue.schema import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    # SQLite's schema changes are transactional; Alembic's default says otherwise.
    transactional_ddl=True,
)
context.run_migrations()
