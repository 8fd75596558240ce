"""SiTunes as a listening log: what 30 people heard, felt and did in a laboratory and in daily life.

Source: Grigorev et al., CHIIR 2024; github.com/JiayuLi-997/SiTunes_dataset (no licence stated; cite when used).

Identity. Listener `user-7`, song `song-529`. Stage 1 is one session of twenty plays, `stage1-user-7`, whose
position + 1 is the record (`No.`) of the published splits; each row of Stages 2 and 3 is a session of one play,
`stage2-inter-17`, because each row has a report of its own before the song: joined by a gap of, say, 30 minutes,
a session would keep the first of them and lose the others (38 rows follow another within that time).

Reports. The one before the song is the session's; the one after it is the play's, in all three stages, and is
not repeated as the session's end: nobody asked twice.

What was measured. Rating: 3 and more of 5 is a like (the benchmark's own cut). Engagement: seconds heard over
the song's length, cut at 1 because the timer ran on through replays, pauses and questionnaires; absent where the
seconds are (133 rows of Stage 2) and in Stage 1, which played excerpts. Timestamps are the song's start: in
Stage 1 the next one never comes before the song is over.

Situation. Stage 3's is read from `Stage3/env.json`, never from the published split files, which carry Stage 2's
by mistake. The local clock is China's, UTC+8. The half hour on the wrist before the song gives the main activity
(the most frequent of the 30 minutes; absent where that is "missing") and means over the minutes that were
measured: a heart rate of exactly 0 is a minute without measurement (0.4% of Stage 2, 25% of Stage 3; no steps in
any of them). GPS is left out: rescaled by the authors, it means nothing elsewhere.

Songs. All 946 are the catalogue. Embedding space `situnes`: nine Spotify features and the eight openSMILE
functionals, each standardised over the songs that have it and cut at 4 standard deviations, then key and genre
one-hot. Popularity is left out: it is not content, and a new song has none. Song -1, which nobody heard, has no
Spotify columns: it stands at the mean of those nine, has no key, length, or tags of affect. Nine of the 307
songs heard have no title. The tags of affect are Spotify's valence and energy, annotated once for everybody.

Left as they are. Stage 2 records 14/15, 29/30 and 45/46 are the same play with two reports before it; both rows
stay (30 and 46 are in no published split). Propensities are unknown: the rows of Stages 2 and 3 called random
(`Rand`, `Random`) were drawn from a pool of songs that is published nowhere.
"""

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from jaxtyping import Float
from numpy import ndarray

from models.affect import SIGNED
from models.context import CategoryField, ClockField, ContextSchema, NumberField
from models.errors import DataError
from models.log import Log
from models.log_schema import EmbeddingSpace, LogDescription

SPACE: Final = "situnes"

ACTIVITIES: Final = ("still", "still_after_activity", "walking", "lying", "running")
_ACTIVITY_OF_TYPE: Final = np.array([0.0, 1.0, 2.0, np.nan, 3.0, 4.0])
"""The place among `ACTIVITIES` of the wrist's types 0 to 5; type 3 is missing."""

CONTEXT: Final = ContextSchema(
    fields=(
        ClockField(name="local_time"),
        CategoryField(name="day_part", values=("morning", "afternoon", "evening")),
        CategoryField(name="weather", values=("sunny", "cloudy", "rainy")),
        NumberField(name="pressure", low=900, high=1050),
        NumberField(name="temperature", low=-20, high=45),
        NumberField(name="humidity", low=0, high=100),
        CategoryField(name="activity", values=ACTIVITIES),
        NumberField(name="heart_rate", low=-50, high=100),
        NumberField(name="activity_intensity", low=0, high=255),
        NumberField(name="steps_per_minute", low=0, high=200),
    )
)
"""hPa, degrees Celsius and percent; the heart rate is relative to the listener's own."""

_SPOTIFY: Final = (
    "loudness",
    "danceability",
    "energy",
    "speechiness",
    "acousticness",
    "instrumentalness",
    "valence",
    "tempo",
    "duration",
)
_OPENSMILE: Final = (
    "F0final_sma_amean",
    "F0final_sma_stddev",
    "audspec_lengthL1norm_sma_stddev",
    "pcm_RMSenergy_sma_stddev",
    "pcm_fftMag_psySharpness_sma_amean",
    "pcm_fftMag_psySharpness_sma_stddev",
    "pcm_zcr_sma_amean",
    "pcm_zcr_sma_stddev",
)
_KEY_COUNT: Final = 12
_GENRE_COUNT: Final = 13
_MOST_DEVIATIONS: Final = 4.0
_CHINA_HOURS: Final = 8
_WRIST_MINUTES: Final = 30


def import_situnes(folder: Path) -> Log:
    """Return the three stages in the folder, as published, as one log.

    Raises:
        DataError: a file is missing or is not what the data set's authors published.
    """
    songs, vectors = _songs(folder)
    durations = dict(songs.select("song_id", "duration_seconds").iter_rows())
    stages = [_stage1(folder), _later_stage(folder, 2, durations), _later_stage(folder, 3, durations)]
    sessions = pl.concat([sessions for sessions, _ in stages], how="diagonal")
    plays = pl.concat([plays for _, plays in stages], how="diagonal")
    plays = _with_propensities(plays, sessions, song_count=len(songs))
    user = pl.col("listener_id").str.strip_prefix("user-").cast(pl.Int64)
    listeners = sessions.select("listener_id").unique().sort(user)
    return Log.from_tables(
        description=_description(vectors.shape[1], len(plays)),
        songs=songs,
        listeners=listeners.with_columns(population=pl.lit("unspecified"), consent=pl.lit(value=True)),
        sessions=sessions,
        plays=plays,
        embeddings={SPACE: vectors},
    )


def _description(width: int, play_count: int) -> LogDescription:
    signed = "from [-1, 1]: (x + 1) / 2"
    return LogDescription(
        name="situnes",
        simulated=False,
        scales={
            "valence": signed,
            "arousal": signed,
            "rating": "from 1-5: 3 and more is 1, less is 0",
            "engagement": "seconds heard / song length, at most 1",
            "tag_valence": "Spotify's valence, already on [0, 1]",
            "tag_arousal": "Spotify's energy, already on [0, 1]",
        },
        context=CONTEXT,
        embeddings={
            SPACE: EmbeddingSpace(
                width=width,
                source="9 Spotify features, 8 openSMILE functionals (standardised), key and genre (one-hot)",
                licence="none stated by the authors",
            )
        },
        provenance={
            "origin": "github.com/JiayuLi-997/SiTunes_dataset, commit aea53feca9ba092406b5b95a3976dba0b44c568f",
            "citation": "Grigorev et al., SiTunes: A Situational Music Recommendation Dataset with Physiological "
            "and Psychological Signals, CHIIR 2024",
            "licence": "none stated by the authors",
            "interactions": play_count,
        },
    )


def _songs(folder: Path) -> tuple[pl.DataFrame, Float[ndarray, "songs width"]]:
    """Return the songs table and the embedding of each of its rows."""
    columns = ("item_id", *_SPOTIFY, *_OPENSMILE, "key", "general_genre_id", "general_genre")
    info = _table(folder, "music_metadata/music_info.csv", columns).sort("item_id")
    names = _table(folder, "music_metadata/music_info_withname.csv", ("i_id_c", "music", "singer"))
    named = info.join(
        names.with_columns(pl.col("i_id_c").cast(pl.Int64)),
        left_on="item_id",
        right_on="i_id_c",
        how="left",
        maintain_order="left",
    )
    songs = named.select(
        song_id=pl.format("song-{}", "item_id"),
        title="music",
        artist="singer",
        duration_seconds=pl.col("duration") / 1000,
        tags=pl.concat_list("general_genre"),
        tag_valence="valence",
        tag_arousal="energy",
    )
    numbers = info.select(*_SPOTIFY, *_OPENSMILE).cast(pl.Float64).to_numpy()
    standard = (numbers - np.nanmean(numbers, axis=0)) / np.nanstd(numbers, axis=0)
    standard = np.nan_to_num(np.clip(standard, -_MOST_DEVIATIONS, _MOST_DEVIATIONS), nan=0.0)
    key = info["key"].to_numpy()[:, None] == np.arange(_KEY_COUNT)
    genre = info["general_genre_id"].to_numpy()[:, None] == np.arange(_GENRE_COUNT)
    return songs, np.hstack([standard, key, genre]).astype(np.float32)


def _stage1(folder: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return sessions and plays of the laboratory: twenty songs in one sitting."""
    columns = ("user_id", "item_id", "No.", "timestamp", "rating", "emo_valence", "emo_arousal")
    rows = _table(folder, "Stage1/interactions.csv", columns)
    rows = rows.with_columns(session_id=pl.format("stage1-user-{}", "user_id"))
    first = rows.sort("timestamp").group_by("session_id", "user_id", maintain_order=True).first()
    sessions = first.select("session_id", **_session_columns())
    plays = rows.select(
        "session_id",
        position=pl.col("No.") - 1,
        **_play_columns(),
        valence=_unit(rows["emo_valence"]),
        arousal=_unit(rows["emo_arousal"]),
    )
    return sessions, plays


def _later_stage(
    folder: Path, stage: int, durations: dict[str, float | None]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return sessions and plays of daily life: each row a session of one song."""
    columns = (
        "inter_id",
        "user_id",
        "item_id",
        "timestamp",
        "rating",
        "emo_pre_valence",
        "emo_pre_arousal",
        "emo_post_valence",
        "emo_post_arousal",
        "duration",
        "rec_type",
    )
    rows = _table(folder, f"Stage{stage}/interactions.csv", columns)
    rows = rows.with_columns(session_id=pl.format("stage{}-inter-{}", pl.lit(stage), "inter_id"))
    sessions = rows.select(
        "session_id",
        **_session_columns(),
        before_valence=_unit(rows["emo_pre_valence"]),
        before_arousal=_unit(rows["emo_pre_arousal"]),
        **_environment(folder, stage, rows["inter_id"].to_list()),
        **_wrist(folder, stage, len(rows)),
    )
    length = pl.format("song-{}", "item_id").replace_strict(durations, return_dtype=pl.Float64)
    plays = rows.select(
        "session_id",
        position=pl.lit(0, pl.Int64),
        **_play_columns(),
        engagement=(pl.col("duration") / length).clip(upper_bound=1.0),
        random=pl.lit(stage == 3) & (pl.col("rec_type") == "Random"),
        valence=_unit(rows["emo_post_valence"]),
        arousal=_unit(rows["emo_post_arousal"]),
    )
    return sessions, plays


def _with_propensities(plays: pl.DataFrame, sessions: pl.DataFrame, *, song_count: int) -> pl.DataFrame:
    """Return the plays with the chance of each random one: uniform over the songs new to its listener."""
    owned = plays.join(sessions.select("session_id", "listener_id"), on="session_id", maintain_order="left")
    heard = pl.struct("listener_id", "song_id").is_first_distinct().cast(pl.Int64)
    in_time = owned.with_row_index("row").sort("listener_id", "played_at", "row")
    before = (heard.cum_sum() - heard).over("listener_id")
    known = in_time.select("row", propensity=pl.when("random").then(1 / (song_count - before))).sort("row")
    return plays.drop("random").with_columns(known["propensity"])


def _time() -> pl.Expr:
    return pl.from_epoch("timestamp", time_unit="s").dt.replace_time_zone("UTC")


def _session_columns() -> dict[str, pl.Expr]:
    """Return what every session has: listener, start and the hour on the listener's clock."""
    second_of_day = (pl.col("timestamp") + _CHINA_HOURS * 3600) % 86400
    return {
        "listener_id": pl.format("user-{}", "user_id"),
        "mode": pl.lit("unspecified"),
        "started_at": _time(),
        "context_local_time": second_of_day / 3600,
    }


def _play_columns() -> dict[str, pl.Expr]:
    """Return what every play has: song, start and rating."""
    return {
        "song_id": pl.format("song-{}", "item_id"),
        "played_at": _time(),
        "rating": (pl.col("rating") >= 3).cast(pl.Int8),
    }


def _unit(signed: pl.Series) -> pl.Series:
    return pl.Series(SIGNED.to_unit(signed.to_numpy()))


def _environment(folder: Path, stage: int, records: list[int]) -> dict[str, pl.Series]:
    """Return part of the day and weather of each record, from the stage's own `env.json`."""
    path = folder / f"Stage{stage}" / "env.json"
    try:
        known: dict[str, dict[str, Any]] = json.loads(path.read_bytes())
        facts = [(known[str(record)]["time"] - 1, *known[str(record)]["weather"]) for record in records]
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"expected {path} to tell time and weather of all {len(records)} records; {error}"
        ) from None
    names = ("day_part", "weather", "pressure", "temperature", "humidity")
    columns = np.array(facts, np.float64).T  # (5, records)
    return {f"context_{name}": pl.Series(column) for name, column in zip(names, columns, strict=True)}


def _wrist(folder: Path, stage: int, record_count: int) -> dict[str, pl.Series]:
    """Return main activity and mean heart rate, intensity and steps of the half hour before each record."""
    path = folder / f"Stage{stage}" / "wrist.npy"
    try:
        minutes = np.load(path, allow_pickle=False)  # (records, 30, 4)
    except (OSError, ValueError) as error:
        raise DataError(f"expected {path} to be a NumPy array; {error}") from None
    if minutes.shape != (record_count, _WRIST_MINUTES, 4):
        raise DataError(f"expected {path} of shape {(record_count, _WRIST_MINUTES, 4)}, found {minutes.shape}")
    types = minutes[..., 3, None] == np.arange(len(_ACTIVITY_OF_TYPE))  # (records, 30, 6)
    measured = minutes[..., 0] != 0
    minute_count = np.where(measured.any(axis=1), measured.sum(axis=1), np.nan)  # (records,)
    means = (minutes[..., :3] * measured[..., None]).sum(axis=1) / minute_count[:, None]  # (records, 3)
    return {
        "context_activity": _series(_ACTIVITY_OF_TYPE[types.sum(axis=1).argmax(axis=1)]),
        "context_heart_rate": _series(means[:, 0]),
        "context_activity_intensity": _series(means[:, 1]),
        "context_steps_per_minute": _series(means[:, 2]),
    }


def _series(values: Float[ndarray, " N"]) -> pl.Series:
    return pl.Series(values, nan_to_null=True)


def _table(folder: Path, name: str, columns: tuple[str, ...]) -> pl.DataFrame:
    """Return the columns of one of the data set's tables."""
    try:
        frame = pl.read_csv(folder / name, infer_schema_length=None)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(f"expected {folder / name} to be a CSV file; {str(error).splitlines()[0]}") from None
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise DataError(f"expected column {missing[0]} in {folder / name}, found {', '.join(frame.columns)}")
    return frame.select(columns)
