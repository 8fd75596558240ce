"""Models in production: trials and returns, canary listeners, what bundles showed, what workers hold."""

import sqlalchemy as sa
from alembic import op

revision = "models_in_production"
down_revision = "0001"
branch_labels = None
depends_on = None

MOMENT = sa.BigInteger().with_variant(sa.TIMESTAMP(timezone=True), "postgresql")
LONG_AGO = {"postgresql": sa.text("to_timestamp(0)"), "sqlite": sa.text("0")}


def upgrade() -> None:
    long_ago = LONG_AGO[op.get_bind().dialect.name]
    op.add_column("bundles", sa.Column("staged_at", MOMENT, nullable=False, server_default=long_ago))
    op.add_column("bundles", sa.Column("on_trial", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("bundles", sa.Column("returned_at", MOMENT, nullable=True))
    op.add_column("bundles", sa.Column("returned_reason", sa.Text(), nullable=True))
    op.execute("UPDATE bundles SET staged_at = COALESCE(live_since, registered_at)")
    op.create_table(
        "canary_listeners",
        sa.Column("listener_number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("clinical", sa.Boolean(), nullable=False),
        sa.Column("enrolled_at", MOMENT, nullable=False),
        sa.Column("enrolled_by", sa.String(length=128), nullable=False),
        sa.ForeignKeyConstraint(
            ["listener_number"],
            ["listeners.listener_number"],
            name=op.f("fk_canary_listeners_listeners"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("listener_number", name=op.f("pk_canary_listeners")),
    )
    op.create_table(
        "measurements",
        sa.Column("bundle", sa.String(length=160), nullable=False),
        sa.Column("since", MOMENT, nullable=False),
        sa.Column("day", MOMENT, nullable=False),
        sa.Column("measure", sa.String(length=48), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("bundle", "since", "day", "measure", name=op.f("pk_measurements")),
    )
    op.create_table(
        "replicas",
        sa.Column("replica", sa.String(length=128), nullable=False),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("seen_at", MOMENT, nullable=False),
        sa.Column("holding", sa.JSON(), nullable=False),
        sa.Column("failures", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("replica", name=op.f("pk_replicas")),
    )
    op.create_table(
        "duties",
        sa.Column("duty", sa.String(length=48), nullable=False),
        sa.Column("holder", sa.String(length=128), nullable=False),
        sa.Column("until", MOMENT, nullable=False),
        sa.Column("done_to", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("duty", name=op.f("pk_duties")),
    )
    op.create_index(op.f("ix_sessions_ended_at"), "sessions", ["ended_at"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_sessions_ended_at"), "sessions")
    for table in ("duties", "replicas", "measurements", "canary_listeners"):
        op.drop_table(table)
    for column in ("returned_reason", "returned_at", "on_trial", "staged_at"):
        op.drop_column("bundles", column)
