"""The tables, in their one order: a parent before its children.

Every listener's writes are numbered: `listeners.sequence` counts them, and each row keeps the number of the
write that made it. A session's number is the sequence at its start, so sessions of one listener sort by it.
A recommendation is offered while it has no play; `expired` is not stored, it follows from the clock.
"""

from typing import Any, Final

from sqlalchemy import (
    TIMESTAMP,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Dialect,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.types import JSON, TypeDecorator, TypeEngine

from models.listening import Mode, Population
from service.clock import Instant, from_datetime, to_datetime

metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Moment(TypeDecorator[Instant]):
    """An instant; `timestamptz` in PostgreSQL, whole microseconds in SQLite, which has no times."""

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        kind = TIMESTAMP(timezone=True) if dialect.name == "postgresql" else BigInteger()
        return dialect.type_descriptor(kind)

    def process_bind_param(self, value: Instant | None, dialect: Dialect) -> Any:
        return to_datetime(value) if value is not None and dialect.name == "postgresql" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> Instant | None:
        return from_datetime(value) if value is not None and dialect.name == "postgresql" else value


Id = String(128)
"""An id chosen by a client."""
Version = String(160)
"""A bundle's version."""
Label = String(16)


def _one_of(column: str, labels: list[str]) -> CheckConstraint:
    quoted = ", ".join(f"'{label}'" for label in labels)
    return CheckConstraint(f"{column} IN ({quoted})", name=column)


def _unit(*columns: str) -> list[CheckConstraint]:
    return [CheckConstraint(f"{column} >= 0 AND {column} <= 1", name=column) for column in columns]


def _number(name: str, *, primary_key: bool = False, nullable: bool = False) -> Column[int]:
    return Column(name, BigInteger, primary_key=primary_key, autoincrement=False, nullable=nullable)


def _of_listener() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["listener_number"], ["listeners.listener_number"], ondelete="CASCADE")


MODES: Final = [mode.label for mode in Mode]
POPULATIONS: Final = [population.label for population in Population]
END_REASONS: Final = ["app", "idle", "superseded"]
STAGES: Final = ["candidate", "shadow", "canary", "live", "retired"]
BLOCK_KINDS: Final = ["song", "artist", "tag"]

apps: Final = Table(
    "apps",
    metadata,
    Column("app_id", Id, primary_key=True),
    Column("created_at", Moment, nullable=False),
)

api_keys: Final = Table(
    "api_keys",
    metadata,
    Column("key_id", String(32), primary_key=True),
    Column("app_id", Id, ForeignKey("apps.app_id"), nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("digest", LargeBinary(32), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("revoked_at", Moment),
)
"""What opens the service: of a key's secret only the SHA-256. A revoked key stays on record."""

listeners: Final = Table(
    "listeners",
    metadata,
    _number("listener_number", primary_key=True),
    Column("app_id", Id, ForeignKey("apps.app_id"), nullable=False),
    Column("listener_id", Id, nullable=False),
    Column("population", Label, nullable=False),
    Column("consent", Boolean, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("active_at", Moment, nullable=False),
    UniqueConstraint("app_id", "listener_id"),
    _one_of("population", POPULATIONS),
)

receipts: Final = Table(
    "receipts",
    metadata,
    _number("listener_number", primary_key=True),
    Column("kind", Label, primary_key=True),
    Column("client_id", Id, primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("digest", LargeBinary(32), nullable=False),
    Column("answer", LargeBinary, nullable=False),
    Column("written_at", Moment, nullable=False),
    _of_listener(),
    _one_of("kind", ["session", "request", "event"]),
)
"""One row per acknowledged write that carried a client's id: the same id again gets the same answer, for ever."""

sessions: Final = Table(
    "sessions",
    metadata,
    _number("listener_number", primary_key=True),
    _number("session_number", primary_key=True),
    Column("session_id", Id, nullable=False),
    Column("mode", Label, nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Column("end_reason", Label),
    Column("before_valence", Float),
    Column("before_arousal", Float),
    Column("after_valence", Float),
    Column("after_arousal", Float),
    Column("context", JSON, nullable=False),
    UniqueConstraint("listener_number", "session_id"),
    _of_listener(),
    _one_of("mode", MODES),
    _one_of("end_reason", END_REASONS),
    *_unit("before_valence", "before_arousal", "after_valence", "after_arousal"),
    CheckConstraint("(before_valence IS NULL) = (before_arousal IS NULL)", name="before_whole"),
    CheckConstraint("(after_valence IS NULL) = (after_arousal IS NULL)", name="after_whole"),
    CheckConstraint("(ended_at IS NULL) = (end_reason IS NULL)", name="end_whole"),
    Index(None, "ended_at"),
    Index(
        "ix_sessions_one_open",
        "listener_number",
        unique=True,
        postgresql_where=text("ended_at IS NULL"),
        sqlite_where=text("ended_at IS NULL"),
    ),
)

mode_changes: Final = Table(
    "mode_changes",
    metadata,
    _number("listener_number", primary_key=True),
    _number("session_number", primary_key=True),
    Column("event_id", Id, primary_key=True),
    Column("mode", Label, nullable=False),
    Column("occurred_at", Moment, nullable=False),
    ForeignKeyConstraint(
        ["listener_number", "session_number"],
        ["sessions.listener_number", "sessions.session_number"],
        ondelete="CASCADE",
    ),
    _one_of("mode", MODES),
)

recommendations: Final = Table(
    "recommendations",
    metadata,
    _number("listener_number", primary_key=True),
    _number("session_number", primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("sequence", BigInteger, nullable=False),
    Column("ordinal", Integer, nullable=False),
    Column("song_id", Id, nullable=False),
    Column("song_key", BigInteger, nullable=False),
    Column("artist_key", BigInteger, nullable=False),
    Column("duration_seconds", Float),
    Column("mode", Label, nullable=False),
    Column("bundle", Version, nullable=False),
    Column("offered_at", Moment, nullable=False),
    ForeignKeyConstraint(
        ["listener_number", "session_number"],
        ["sessions.listener_number", "sessions.session_number"],
        ondelete="CASCADE",
    ),
    _one_of("mode", MODES),
    CheckConstraint("position >= 0", name="position"),
    CheckConstraint("duration_seconds > 0", name="duration"),
    Index(None, "listener_number", "sequence", "ordinal"),
    Index(None, "mode", "offered_at"),
)

decisions: Final = Table(
    "decisions",
    metadata,
    _number("listener_number", primary_key=True),
    _number("sequence", primary_key=True),
    Column("ordinal", Integer, primary_key=True, autoincrement=False),
    Column("decided_at", Moment, nullable=False),
    Column("bundle", Version, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
"""What each choice rested on, also where no song was allowed. It outlives its listener's name: no foreign key."""

feedback: Final = Table(
    "feedback",
    metadata,
    _number("listener_number", primary_key=True),
    _number("session_number", primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("event_id", Id, primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("occurred_at", Moment, nullable=False),
    Column("received_at", Moment, nullable=False),
    Column("played_seconds", Float),
    Column("engagement", Float),
    Column("rating", Integer),
    ForeignKeyConstraint(
        ["listener_number", "session_number", "position"],
        [
            "recommendations.listener_number",
            "recommendations.session_number",
            "recommendations.position",
        ],
        ondelete="CASCADE",
    ),
    *_unit("engagement"),
    CheckConstraint("rating IN (0, 1)", name="rating"),
)
"""Every feedback event, as it came."""

plays: Final = Table(
    "plays",
    metadata,
    _number("listener_number", primary_key=True),
    _number("session_number", primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("engagement", Float),
    Column("rating", Integer),
    Column("played_at", Moment, nullable=False),
    ForeignKeyConstraint(
        ["listener_number", "session_number", "position"],
        [
            "recommendations.listener_number",
            "recommendations.session_number",
            "recommendations.position",
        ],
        ondelete="CASCADE",
    ),
    *_unit("engagement"),
    CheckConstraint("rating IN (0, 1)", name="rating"),
)
"""What the feedback events of one recommendation say together."""

blocks: Final = Table(
    "blocks",
    metadata,
    _number("listener_number", primary_key=True),
    Column("kind", Label, primary_key=True),
    Column("value", String(256), primary_key=True),
    Column("created_at", Moment, nullable=False),
    _of_listener(),
    _one_of("kind", BLOCK_KINDS),
)

revisions: Final = Table(
    "revisions",
    metadata,
    Column("name", Label, primary_key=True),
    Column("number", BigInteger, nullable=False),
    _one_of("name", ["songs", "bundles", "keys", "erasures"]),
)
"""Counters that replicas watch: a higher number means that the songs, the bundles' stages, or the keys changed.

That of the erasures is the highest sequence any erased listener had: see `service.journal.erasure`."""

songs: Final = Table(
    "songs",
    metadata,
    Column("song_id", Id, primary_key=True),
    Column("song_key", BigInteger, nullable=False, unique=True),
    Column("title", Text),
    Column("artist", Text),
    Column("duration_seconds", Float),
    Column("tags", JSON, nullable=False),
    Column("tag_valence", Float),
    Column("tag_arousal", Float),
    Column("withdrawn", Boolean, nullable=False),
    Column("revision", BigInteger, nullable=False, index=True),
    Column("updated_at", Moment, nullable=False),
    CheckConstraint("duration_seconds > 0", name="duration"),
    *_unit("tag_valence", "tag_arousal"),
)

song_embeddings: Final = Table(
    "song_embeddings",
    metadata,
    Column("space", Id, primary_key=True),
    Column("song_id", Id, ForeignKey("songs.song_id", ondelete="CASCADE"), primary_key=True),
    Column("vector", LargeBinary, nullable=False),
)
"""One little-endian float32 vector per song and space."""

bundles: Final = Table(
    "bundles",
    metadata,
    Column("version", Version, primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("embedding_space", Id, nullable=False),
    Column("gates_passed", Boolean, nullable=False),
    Column("stage", Label, nullable=False),
    Column("registered_at", Moment, nullable=False),
    Column("live_since", Moment),
    Column("live_count", BigInteger, nullable=False),
    Column("staged_at", Moment, nullable=False),
    Column("on_trial", Boolean, nullable=False),
    Column("returned_at", Moment),
    Column("returned_reason", Text),
    _one_of("stage", STAGES),
    Index(
        "ix_bundles_one_live",
        "stage",
        unique=True,
        postgresql_where=text("stage = 'live'"),
        sqlite_where=text("stage = 'live'"),
    ),
)
"""`live_count` is a bundle's place in the line of live ones that a rollback walks back; 0: not in it.
`on_trial`: it came to be live by promotion, and may be returned from by itself. `returned_at`: when that happened;
it is then not promoted again until an operator makes it a candidate."""

canary_listeners: Final = Table(
    "canary_listeners",
    metadata,
    _number("listener_number", primary_key=True),
    Column("clinical", Boolean, nullable=False),
    Column("enrolled_at", Moment, nullable=False),
    Column("enrolled_by", Id, nullable=False),
    _of_listener(),
)
"""The listeners whom an operator enrolled for canary bundles, by name; `clinical`: knowing that they are."""

measurements: Final = Table(
    "measurements",
    metadata,
    Column("bundle", Version, primary_key=True),
    Column("since", Moment, primary_key=True),
    Column("day", Moment, primary_key=True),
    Column("measure", String(48), primary_key=True),
    Column("count", BigInteger, nullable=False),
    Column("total", Float, nullable=False),
)
"""What was measured of a bundle in service, as sums over listeners: count and total of each measure and day."""

replicas: Final = Table(
    "replicas",
    metadata,
    Column("replica", Id, primary_key=True),
    Column("started_at", Moment, nullable=False),
    Column("seen_at", Moment, nullable=False),
    Column("holding", JSON, nullable=False),
    Column("failures", JSON, nullable=False),
)
"""What each worker says of itself: which bundle it holds in which role, and which it could not load, and why."""

duties: Final = Table(
    "duties",
    metadata,
    Column("duty", String(48), primary_key=True),
    Column("holder", Id, nullable=False),
    Column("until", Moment, nullable=False),
    Column("done_to", Moment, nullable=False),
)
"""Work that one worker at a time does for all: who does it now, until when, and how far it is done."""

audit: Final = Table(
    "audit",
    metadata,
    Column("audit_number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("at", Moment, nullable=False),
    Column("actor", Id, nullable=False),
    Column("act", String(64), nullable=False),
    Column("subject", String(256), nullable=False),
    Column("app_id", Id),
    Column("detail", JSON, nullable=False),
)
"""Every operator's act, every erasure, every read of an export; `app_id` where it concerns one app alone.

Rows are added and never changed, which triggers hold; a listener stands here by number only."""
