"""The service's own listening log, read from SQL: what listeners who consented did and said, for training.

Everything is read in one transaction that sees one moment, a few listeners at a time: no more of what they did is
ever in memory. Names do not leave: listeners and sessions get pseudonyms, keyed digests that stay the same from
one export to the next, and that nobody turns back without the key. The service draws no dice on listeners: no play
has a propensity.

Legend: N songs · E embedding width
"""

import hmac
from base64 import b32encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
from jaxtyping import Float
from numpy import ndarray
from sqlalchemy import Connection, Select, and_, bindparam, func, or_, select

from models.context import ContextSchema
from models.errors import DataError
from models.log import EmbeddingSpace, Log, LogDescription
from models.log_schema import LISTENERS, PLAYS, SONGS, context_column, sessions_table
from service.clock import to_datetime
from service.journal.outcomes import OF_PLAY
from service.journal.tables import listeners, plays, recommendations, sessions, song_embeddings, songs

_ROWS_AT_A_TIME: Final = 10_000
LISTENERS_AT_A_TIME: Final = 1_000
_PSEUDONYM_BYTES: Final = 15


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """Names for those who must not be named."""

    key: bytes

    def listener(self, app_id: str, listener_id: str) -> str:
        """Return the listener's pseudonym: the same for the same listener, under the same key."""
        return f"l-{self._digest(app_id, listener_id)}"

    def session(self, app_id: str, listener_id: str, session_number: int) -> str:
        """Return the pseudonym of one of the listener's sessions."""
        return f"s-{self._digest(app_id, listener_id, str(session_number))}"

    def _digest(self, *names: str) -> str:
        whole = b"".join(len(name).to_bytes(2, "big") + name.encode() for name in names)
        return b32encode(hmac.new(self.key, whole, "sha256").digest()[:_PSEUDONYM_BYTES]).decode().lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedSongs:
    """What the logs of all listeners share: the songs that are active or were played, and where they come from."""

    description: LogDescription
    frame: pl.DataFrame
    embeddings: Mapping[str, Float[ndarray, "N E"]]
    spaces_left_out: tuple[str, ...]
    """Embedding spaces that do not hold every song of the log."""


def count_consented(sql: Connection) -> dict[str, int]:
    """Return how many listeners consented, and how many plays are theirs."""
    return {"listeners": sql.scalars(_LISTENER_COUNT).one(), "plays": sql.scalars(_PLAY_COUNT).one()}


def read_served_songs(
    sql: Connection,
    *,
    context: ContextSchema,
    spaces: Mapping[str, EmbeddingSpace],
    provenance: Mapping[str, str | int],
) -> ServedSongs:
    """Return the songs that are active or were played to listeners who consented.

    Args:
        context: by which what a session said of its situation is read; what it cannot read is absent.
        spaces: what is known of where embeddings come from; of other spaces, that it is not known.
        provenance: where the log comes from, in words.

    Raises:
        DataError: no embedding space holds every song.
    """
    if sql.dialect.name == "postgresql":
        sql.exec_driver_sql("SET LOCAL statement_timeout = 0")
    frame = _frame(SONGS.columns, (_song(row) for row in _rows(sql, _SONGS)))
    embeddings = _embeddings(sql, frame["song_id"].to_list())
    left_out = tuple(sorted(set(sql.scalars(_SPACES)) - set(embeddings)))
    if not embeddings:
        raise DataError(
            f"one embedding space must hold all {len(frame)} songs that are active or were played; "
            f"of {', '.join(left_out) or 'no space'} none does"
        )
    description = LogDescription(
        name="served",
        simulated=False,
        context=context,
        embeddings={space: spaces.get(space) or _unknown(matrix) for space, matrix in embeddings.items()},
        provenance=dict(provenance),
    )
    return ServedSongs(description=description, frame=frame, embeddings=embeddings, spaces_left_out=left_out)


def logs_by_listeners(
    sql: Connection, songs: ServedSongs, *, pseudonyms: Pseudonyms, at_a_time: int = LISTENERS_AT_A_TIME
) -> Iterator[Log]:
    """Yield what the listeners who consented did and said, as one log for each few of them; at least one log.

    Raises:
        LogError: what SQL holds breaks the log's contract.
    """
    context = songs.description.context
    numbers = sql.scalars(_NUMBERS).all()
    for first in range(0, max(len(numbers), 1), at_a_time):
        some = numbers[first : first + at_a_time]
        these = {"first": some[0], "last": some[-1]} if some else {"first": 0, "last": -1}
        yield Log.from_tables(
            description=songs.description,
            songs=songs.frame,
            listeners=_frame(
                LISTENERS.columns, (_listener(row, pseudonyms) for row in _rows(sql, _LISTENERS, these))
            ),
            sessions=_frame(
                sessions_table(context).columns,
                (_session(row, pseudonyms, context) for row in _rows(sql, _SESSIONS, these)),
            ),
            plays=_frame(PLAYS.columns, (_play(row, pseudonyms) for row in _rows(sql, _PLAYS, these))),
            embeddings=songs.embeddings,
        )


def _rows(sql: Connection, question: "Select[Any]", parameters: Mapping[str, int] | None = None) -> Iterable[Any]:
    with sql.execute(question, parameters, execution_options={"yield_per": _ROWS_AT_A_TIME}) as found:
        yield from found


def _frame(columns: Iterable[Any], rows: Iterable[dict[str, Any]]) -> pl.DataFrame:
    """Return rows as columns, gathered some at a time."""
    schema = {column.stored.name: column.stored.dtype for column in columns}
    frames, waiting = [pl.DataFrame(schema=schema)], []
    for row in rows:
        waiting.append(row)
        if len(waiting) == _ROWS_AT_A_TIME:
            frames.append(pl.DataFrame(waiting, schema=schema))
            waiting = []
    frames.append(pl.DataFrame(waiting, schema=schema))
    return pl.concat(frames)


def _song(row: Any) -> dict[str, Any]:
    return {
        "song_id": row.song_id,
        "title": row.title,
        "artist": row.artist,
        "duration_seconds": row.duration_seconds,
        "tags": list(row.tags),
        "tag_valence": row.tag_valence,
        "tag_arousal": row.tag_arousal,
    }


def _listener(row: Any, pseudonyms: Pseudonyms) -> dict[str, Any]:
    return {
        "listener_id": pseudonyms.listener(row.app_id, row.listener_id),
        "population": row.population,
        "consent": True,
    }


def _session(row: Any, pseudonyms: Pseudonyms, context: ContextSchema) -> dict[str, Any]:
    raw: dict[str, float | None] = {}
    for field in context.fields:
        try:
            raw[context_column(field.name)] = field.parse(row.context[field.name])
        except (KeyError, DataError):
            raw[context_column(field.name)] = None
    return {
        "session_id": pseudonyms.session(row.app_id, row.listener_id, row.session_number),
        "listener_id": pseudonyms.listener(row.app_id, row.listener_id),
        "mode": row.mode,
        "started_at": to_datetime(row.started_at),
        "ended_at": None if row.ended_at is None else to_datetime(max(row.ended_at, row.started_at)),
        "before_valence": row.before_valence,
        "before_arousal": row.before_arousal,
        "after_valence": row.after_valence,
        "after_arousal": row.after_arousal,
        **raw,
    }


def _play(row: Any, pseudonyms: Pseudonyms) -> dict[str, Any]:
    """Return a play at its place among the session's plays: songs offered and never answered leave no gap."""
    return {
        "session_id": pseudonyms.session(row.app_id, row.listener_id, row.session_number),
        "position": row.place,
        "song_id": row.song_id,
        "played_at": to_datetime(row.played_at),
        "mode": row.mode,
        "engagement": row.engagement,
        "rating": row.rating,
        "valence": None,
        "arousal": None,
        "propensity": None,
    }


def _embeddings(sql: Connection, song_ids: list[str]) -> dict[str, Float[ndarray, "N E"]]:
    """Return the matrix of each space that holds every song."""
    row_of = {song_id: row for row, song_id in enumerate(song_ids)}
    matrices: dict[str, Float[ndarray, "N E"]] = {}
    for space in sorted(sql.scalars(_SPACES)):
        matrix: Float[ndarray, "N E"] | None = None
        held = 0
        with sql.execute(_VECTORS, {"name": space}, execution_options={"yield_per": _ROWS_AT_A_TIME}) as found:
            for song_id, vector in found:
                row = row_of.get(song_id)
                if row is None:
                    continue
                if matrix is None:
                    matrix = np.empty((len(song_ids), len(vector) // 4), np.float32)
                matrix[row] = np.frombuffer(vector, "<f4")
                held += 1
        if matrix is not None and held == len(song_ids):
            matrices[space] = matrix
    return matrices


def _unknown(matrix: Float[ndarray, "N E"]) -> EmbeddingSpace:
    return EmbeddingSpace(width=matrix.shape[1], source="not on record", licence="not on record")


_CONSENTED: Final = listeners.c.consent.is_(True)
_NAMES: Final = (listeners.c.app_id, listeners.c.listener_id)
_LISTENER_COUNT: Final = select(func.count()).select_from(listeners).where(_CONSENTED)
_PLAY_COUNT: Final = (
    select(func.count())
    .select_from(plays)
    .join(listeners, listeners.c.listener_number == plays.c.listener_number)
    .where(_CONSENTED)
)
_NUMBERS: Final = select(listeners.c.listener_number).where(_CONSENTED).order_by(listeners.c.listener_number)
_THESE: Final = and_(_CONSENTED, listeners.c.listener_number.between(bindparam("first"), bindparam("last")))
_LISTENERS: Final = select(*_NAMES, listeners.c.population).where(_THESE).order_by(listeners.c.listener_number)
_SESSIONS: Final = (
    select(
        *_NAMES,
        sessions.c.session_number,
        sessions.c.mode,
        sessions.c.started_at,
        sessions.c.ended_at,
        sessions.c.before_valence,
        sessions.c.before_arousal,
        sessions.c.after_valence,
        sessions.c.after_arousal,
        sessions.c.context,
    )
    .join(listeners, listeners.c.listener_number == sessions.c.listener_number)
    .where(_THESE)
    .order_by(sessions.c.listener_number, sessions.c.session_number)
)
_PLAYS: Final = (
    select(
        *_NAMES,
        plays.c.session_number,
        (
            func.row_number().over(
                partition_by=(plays.c.listener_number, plays.c.session_number), order_by=plays.c.position
            )
            - 1
        ).label("place"),
        recommendations.c.song_id,
        plays.c.played_at,
        recommendations.c.mode,
        plays.c.engagement,
        plays.c.rating,
    )
    .join(recommendations, OF_PLAY)
    .join(listeners, listeners.c.listener_number == plays.c.listener_number)
    .where(_THESE)
    .order_by(plays.c.listener_number, plays.c.session_number, plays.c.position)
)
_PLAYED: Final = (
    select(recommendations.c.song_id)
    .join(plays, OF_PLAY)
    .join(listeners, listeners.c.listener_number == plays.c.listener_number)
    .where(_CONSENTED)
)
_SONGS: Final = (
    select(songs).where(or_(songs.c.withdrawn.is_(False), songs.c.song_id.in_(_PLAYED))).order_by(songs.c.song_id)
)
_SPACES: Final = select(song_embeddings.c.space).distinct()
_VECTORS: Final = select(song_embeddings.c.song_id, song_embeddings.c.vector).where(
    song_embeddings.c.space == bindparam("name")
)
