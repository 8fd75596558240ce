"""First tables: listeners and what they were given and said; songs; bundles; audit."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

MOMENT = sa.BigInteger().with_variant(sa.TIMESTAMP(timezone=True), "postgresql")
MODES = "mode IN ('unspecified', 'energize', 'focus', 'calm', 'sleep')"


def upgrade() -> None:
    op.create_table(
        "apps",
        sa.Column("app_id", sa.String(length=128), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("app_id", name=op.f("pk_apps")),
    )
    op.create_table(
        "audit",
        sa.Column("audit_number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("actor", sa.String(length=128), nullable=False),
        sa.Column("act", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=256), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("audit_number", name=op.f("pk_audit")),
    )
    op.create_table(
        "bundles",
        sa.Column("version", sa.String(length=160), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("embedding_space", sa.String(length=128), nullable=False),
        sa.Column("gates_passed", sa.Boolean(), nullable=False),
        sa.Column("stage", sa.String(length=16), nullable=False),
        sa.Column("registered_at", MOMENT, nullable=False),
        sa.Column("live_since", MOMENT, nullable=True),
        sa.Column("live_count", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "stage IN ('candidate', 'shadow', 'canary', 'live', 'retired')", name=op.f("ck_bundles_stage")
        ),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_bundles")),
    )
    op.create_index(
        "ix_bundles_one_live",
        "bundles",
        ["stage"],
        unique=True,
        postgresql_where=sa.text("stage = 'live'"),
        sqlite_where=sa.text("stage = 'live'"),
    )
    op.create_table(
        "decisions",
        sa.Column("listener_number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("ordinal", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("decided_at", MOMENT, nullable=False),
        sa.Column("bundle", sa.String(length=160), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("listener_number", "sequence", "ordinal", name=op.f("pk_decisions")),
    )
    op.create_table(
        "revisions",
        sa.Column("name", sa.String(length=16), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("name IN ('songs', 'bundles')", name=op.f("ck_revisions_name")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_revisions")),
    )
    op.create_table(
        "songs",
        sa.Column("song_id", sa.String(length=128), nullable=False),
        sa.Column("song_key", sa.BigInteger(), nullable=False),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("artist", sa.Text(), nullable=True),
        sa.Column("duration_seconds", sa.Float(), nullable=True),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("tag_valence", sa.Float(), nullable=True),
        sa.Column("tag_arousal", sa.Float(), nullable=True),
        sa.Column("withdrawn", sa.Boolean(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.CheckConstraint("duration_seconds > 0", name=op.f("ck_songs_duration")),
        sa.CheckConstraint("tag_arousal >= 0 AND tag_arousal <= 1", name=op.f("ck_songs_tag_arousal")),
        sa.CheckConstraint("tag_valence >= 0 AND tag_valence <= 1", name=op.f("ck_songs_tag_valence")),
        sa.PrimaryKeyConstraint("song_id", name=op.f("pk_songs")),
        sa.UniqueConstraint("song_key", name=op.f("uq_songs_song_key")),
    )
    op.create_index(op.f("ix_songs_revision"), "songs", ["revision"], unique=False)
    op.create_table(
        "listeners",
        sa.Column("listener_number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("app_id", sa.String(length=128), nullable=False),
        sa.Column("listener_id", sa.String(length=128), nullable=False),
        sa.Column("population", sa.String(length=16), nullable=False),
        sa.Column("consent", sa.Boolean(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("active_at", MOMENT, nullable=False),
        sa.CheckConstraint(
            "population IN ('unspecified', 'clinical', 'consumer')", name=op.f("ck_listeners_population")
        ),
        sa.ForeignKeyConstraint(["app_id"], ["apps.app_id"], name=op.f("fk_listeners_apps")),
        sa.PrimaryKeyConstraint("listener_number", name=op.f("pk_listeners")),
        sa.UniqueConstraint("app_id", "listener_id", name=op.f("uq_listeners_app_id_listener_id")),
    )
    op.create_table(
        "song_embeddings",
        sa.Column("space", sa.String(length=128), nullable=False),
        sa.Column("song_id", sa.String(length=128), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["song_id"], ["songs.song_id"], name=op.f("fk_song_embeddings_songs"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("space", "song_id", name=op.f("pk_song_embeddings")),
    )
    op.create_table(
        "blocks",
        sa.Column("listener_number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("value", sa.String(length=256), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.CheckConstraint("kind IN ('song', 'artist', 'tag')", name=op.f("ck_blocks_kind")),
        sa.ForeignKeyConstraint(
            ["listener_number"],
            ["listeners.listener_number"],
            name=op.f("fk_blocks_listeners"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("listener_number", "kind", "value", name=op.f("pk_blocks")),
    )
    op.create_table(
        "receipts",
        sa.Column("listener_number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("client_id", sa.String(length=128), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=False),
        sa.Column("written_at", MOMENT, nullable=False),
        sa.CheckConstraint("kind IN ('session', 'request', 'event')", name=op.f("ck_receipts_kind")),
        sa.ForeignKeyConstraint(
            ["listener_number"],
            ["listeners.listener_number"],
            name=op.f("fk_receipts_listeners"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("listener_number", "kind", "client_id", name=op.f("pk_receipts")),
    )
    op.create_table(
        "sessions",
        sa.Column("listener_number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("session_number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("session_id", sa.String(length=128), nullable=False),
        sa.Column("mode", sa.String(length=16), nullable=False),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.Column("end_reason", sa.String(length=16), nullable=True),
        sa.Column("before_valence", sa.Float(), nullable=True),
        sa.Column("before_arousal", sa.Float(), nullable=True),
        sa.Column("after_valence", sa.Float(), nullable=True),
        sa.Column("after_arousal", sa.Float(), nullable=True),
        sa.Column("context", sa.JSON(), nullable=False),
        sa.CheckConstraint("end_reason IN ('app', 'idle', 'superseded')", name=op.f("ck_sessions_end_reason")),
        sa.CheckConstraint(MODES, name=op.f("ck_sessions_mode")),
        sa.CheckConstraint(
            "(after_valence IS NULL) = (after_arousal IS NULL)", name=op.f("ck_sessions_after_whole")
        ),
        sa.CheckConstraint(
            "(before_valence IS NULL) = (before_arousal IS NULL)", name=op.f("ck_sessions_before_whole")
        ),
        sa.CheckConstraint("(ended_at IS NULL) = (end_reason IS NULL)", name=op.f("ck_sessions_end_whole")),
        sa.CheckConstraint("after_arousal >= 0 AND after_arousal <= 1", name=op.f("ck_sessions_after_arousal")),
        sa.CheckConstraint("after_valence >= 0 AND after_valence <= 1", name=op.f("ck_sessions_after_valence")),
        sa.CheckConstraint("before_arousal >= 0 AND before_arousal <= 1", name=op.f("ck_sessions_before_arousal")),
        sa.CheckConstraint("before_valence >= 0 AND before_valence <= 1", name=op.f("ck_sessions_before_valence")),
        sa.ForeignKeyConstraint(
            ["listener_number"],
            ["listeners.listener_number"],
            name=op.f("fk_sessions_listeners"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("listener_number", "session_number", name=op.f("pk_sessions")),
        sa.UniqueConstraint("listener_number", "session_id", name=op.f("uq_sessions_listener_number_session_id")),
    )
    op.create_index(
        "ix_sessions_one_open",
        "sessions",
        ["listener_number"],
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL"),
        sqlite_where=sa.text("ended_at IS NULL"),
    )
    op.create_table(
        "mode_changes",
        sa.Column("listener_number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("session_number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("event_id", sa.String(length=128), nullable=False),
        sa.Column("mode", sa.String(length=16), nullable=False),
        sa.Column("occurred_at", MOMENT, nullable=False),
        sa.CheckConstraint(MODES, name=op.f("ck_mode_changes_mode")),
        sa.ForeignKeyConstraint(
            ["listener_number", "session_number"],
            ["sessions.listener_number", "sessions.session_number"],
            name=op.f("fk_mode_changes_sessions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("listener_number", "session_number", "event_id", name=op.f("pk_mode_changes")),
    )
    op.create_table(
        "recommendations",
        sa.Column("listener_number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("session_number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("song_id", sa.String(length=128), nullable=False),
        sa.Column("song_key", sa.BigInteger(), nullable=False),
        sa.Column("artist_key", sa.BigInteger(), nullable=False),
        sa.Column("duration_seconds", sa.Float(), nullable=True),
        sa.Column("mode", sa.String(length=16), nullable=False),
        sa.Column("bundle", sa.String(length=160), nullable=False),
        sa.Column("offered_at", MOMENT, nullable=False),
        sa.CheckConstraint(MODES, name=op.f("ck_recommendations_mode")),
        sa.CheckConstraint("duration_seconds > 0", name=op.f("ck_recommendations_duration")),
        sa.CheckConstraint("position >= 0", name=op.f("ck_recommendations_position")),
        sa.ForeignKeyConstraint(
            ["listener_number", "session_number"],
            ["sessions.listener_number", "sessions.session_number"],
            name=op.f("fk_recommendations_sessions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("listener_number", "session_number", "position", name=op.f("pk_recommendations")),
    )
    op.create_index(
        op.f("ix_recommendations_listener_number_sequence_ordinal"),
        "recommendations",
        ["listener_number", "sequence", "ordinal"],
        unique=False,
    )
    op.create_index(
        op.f("ix_recommendations_mode_offered_at"), "recommendations", ["mode", "offered_at"], unique=False
    )
    op.create_table(
        "feedback",
        sa.Column("listener_number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("session_number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("event_id", sa.String(length=128), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("occurred_at", MOMENT, nullable=False),
        sa.Column("received_at", MOMENT, nullable=False),
        sa.Column("played_seconds", sa.Float(), nullable=True),
        sa.Column("engagement", sa.Float(), nullable=True),
        sa.Column("rating", sa.Integer(), nullable=True),
        sa.CheckConstraint("engagement >= 0 AND engagement <= 1", name=op.f("ck_feedback_engagement")),
        sa.CheckConstraint("rating IN (0, 1)", name=op.f("ck_feedback_rating")),
        sa.ForeignKeyConstraint(
            ["listener_number", "session_number", "position"],
            ["recommendations.listener_number", "recommendations.session_number", "recommendations.position"],
            name=op.f("fk_feedback_recommendations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "listener_number", "session_number", "position", "event_id", name=op.f("pk_feedback")
        ),
    )
    op.create_table(
        "plays",
        sa.Column("listener_number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("session_number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("engagement", sa.Float(), nullable=True),
        sa.Column("rating", sa.Integer(), nullable=True),
        sa.Column("played_at", MOMENT, nullable=False),
        sa.CheckConstraint("engagement >= 0 AND engagement <= 1", name=op.f("ck_plays_engagement")),
        sa.CheckConstraint("rating IN (0, 1)", name=op.f("ck_plays_rating")),
        sa.ForeignKeyConstraint(
            ["listener_number", "session_number", "position"],
            ["recommendations.listener_number", "recommendations.session_number", "recommendations.position"],
            name=op.f("fk_plays_recommendations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("listener_number", "session_number", "position", name=op.f("pk_plays")),
    )
    now = {"postgresql": sa.text("now()"), "sqlite": sa.text("strftime('%s', 'now') * 1000000")}
    apps = sa.table("apps", sa.column("app_id"), sa.column("created_at"))
    op.execute(apps.insert().values(app_id="default", created_at=now[op.get_bind().dialect.name]))
    op.execute("INSERT INTO revisions (name, number) VALUES ('songs', 0), ('bundles', 0)")


def downgrade() -> None:
    for table in (
        "plays",
        "feedback",
        "recommendations",
        "mode_changes",
        "sessions",
        "receipts",
        "blocks",
        "song_embeddings",
        "listeners",
        "songs",
        "revisions",
        "decisions",
        "bundles",
        "audit",
        "apps",
    ):
        op.drop_table(table)
