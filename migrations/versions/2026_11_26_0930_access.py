"""Access: API keys; an audit that is only added to; the mark that erasures leave."""

import sqlalchemy as sa
from alembic import op

revision = "access"
down_revision = "models_in_production"
branch_labels = None
depends_on = None

MOMENT = sa.BigInteger().with_variant(sa.TIMESTAMP(timezone=True), "postgresql")
BEFORE = ("songs", "bundles")
AFTER = (*BEFORE, "keys", "erasures")

SQLITE_GUARDS = [
    f"CREATE TRIGGER audit_no_{act.lower()} BEFORE {act} ON audit "
    "BEGIN SELECT RAISE(ABORT, 'the audit is only added to'); END"
    for act in ("UPDATE", "DELETE")
]
POSTGRESQL_GUARDS = [
    "CREATE FUNCTION audit_only_added_to() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION 'the audit is only added to'; END $$",
    "CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE ON audit "
    "FOR EACH ROW EXECUTE FUNCTION audit_only_added_to()",
]


def upgrade() -> None:
    op.create_table(
        "api_keys",
        sa.Column("key_id", sa.String(length=32), nullable=False),
        sa.Column("app_id", sa.String(length=128), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("revoked_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["app_id"], ["apps.app_id"], name=op.f("fk_api_keys_apps")),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_api_keys")),
    )
    op.add_column("audit", sa.Column("app_id", sa.String(length=128), nullable=True))
    _allow_revisions(AFTER)
    op.execute("INSERT INTO revisions (name, number) VALUES ('keys', 0), ('erasures', 0)")
    for guard in SQLITE_GUARDS if _is_sqlite() else POSTGRESQL_GUARDS:
        op.execute(guard)


def downgrade() -> None:
    if _is_sqlite():
        op.execute("DROP TRIGGER audit_no_update")
        op.execute("DROP TRIGGER audit_no_delete")
    else:
        op.execute("DROP TRIGGER audit_no_change ON audit")
        op.execute("DROP FUNCTION audit_only_added_to()")
    op.execute("DELETE FROM revisions WHERE name IN ('keys', 'erasures')")
    _allow_revisions(BEFORE)
    op.drop_column("audit", "app_id")
    op.drop_table("api_keys")


def _is_sqlite() -> bool:
    return op.get_bind().dialect.name == "sqlite"


def _allow_revisions(names: tuple[str, ...]) -> None:
    """Allow these names and no others; SQLite changes a constraint only with its table."""
    rule = f"name IN ({', '.join(repr(name) for name in names)})"
    if not _is_sqlite():
        op.drop_constraint(op.f("ck_revisions_name"), "revisions", type_="check")
        op.create_check_constraint(op.f("ck_revisions_name"), "revisions", rule)
        return
    op.create_table(
        "revisions_anew",
        sa.Column("name", sa.String(length=16), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(rule, name=op.f("ck_revisions_name")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_revisions")),
    )
    op.execute("INSERT INTO revisions_anew (name, number) SELECT name, number FROM revisions")
    op.drop_table("revisions")
    op.rename_table("revisions_anew", "revisions")
