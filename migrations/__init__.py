"""The database's history (Alembic): one file per change, each goes up and down on SQLite and on PostgreSQL."""
