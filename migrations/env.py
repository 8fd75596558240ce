"""How a migration reaches a database: over the connection the caller opened, all steps in one transaction.

On PostgreSQL a step waits a second at most for a table somebody uses, for whoever comes after it waits behind it;
then all is taken back, and tried again (`service.journal.migrate`). Its own work may take as long as it takes.
"""

from alembic import context
from sqlalchemy import text

from service.journal.tables import metadata

connection = context.config.attributes["connection"]
if connection.dialect.name == "postgresql":
    connection.execute(text("SET LOCAL lock_timeout = '1s'"))
    connection.execute(text("SET LOCAL statement_timeout = 0"))
context.configure(
    connection=connection,
    target_metadata=metadata,
    render_as_batch=connection.dialect.name == "sqlite",
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
