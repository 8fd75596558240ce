"""The published benchmark of SiTunes: its ten splits, the inputs each task may see, and its labels.

Source: Grigorev et al., CHIIR 2024, `Experiments/` of github.com/JiayuLi-997/SiTunes_dataset. Files, in the folder
`published_splits` of the data set, tab separated and gzipped: `setting{1,2}-{seed}.{train,valid}.inter.gz`,
`setting2-{seed}.test.inter.gz`, `setting3.test.inter.gz` and `setting{1,2,3}.item`. Settings 1 and 2 share their
tests, Settings 2 and 3 their training; Setting 3 has one test for all seeds.

The file of Setting 3's test has two defects. Its header names four columns `emo_pre_valence:float`; the first two
are valence and arousal. And its time of day, weather and place are those of Stage 2 records of the same number:
`corrected` puts those of `Stage3/env.json` in their stead. The wrist's columns are right.

Legend: N rows · I songs · C situation columns · K metadata columns
"""

import gzip
import io
import json
from dataclasses import dataclass, replace
from enum import IntEnum
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from models.errors import ConfigError, DataError

SEEDS: Final = tuple(range(101, 111))

ENVIRONMENT: Final = (
    *("morning", "afternoon", "evening"),
    *("weather_sunny", "weather_cloudy", "weather_rainy", "weather2", "weather3", "weather4"),
    *("GPS1", "GPS2", "GPS3"),
)
WRIST: Final = (
    *("relative_HB_mean", "activity_intensity_mean", "activity_step_mean"),
    *("relative_HB_std", "activity_intensity_std", "activity_step_std"),
    *("still", "act2still", "walking", "none", "sleeping", "running"),
)
SITUATION: Final = (*ENVIRONMENT, *WRIST)
"""The columns that "with situation" means in Task A and "objective" in Task B, next to the timestamp."""
WALKING: Final = SITUATION.index("walking")

_NUMBERS: Final = (
    *("popularity", "loudness", "danceability", "energy", "speechiness", "acousticness", "instrumentalness"),
    *("valence", "tempo", "duration", "F0final_sma_amean", "F0final_sma_stddev"),
    *("audspec_lengthL1norm_sma_stddev", "pcm_RMSenergy_sma_stddev", "pcm_fftMag_psySharpness_sma_amean"),
    *("pcm_fftMag_psySharpness_sma_stddev", "pcm_zcr_sma_amean", "pcm_zcr_sma_stddev"),
)
_KEY_COUNT: Final = 12
_GENRE_COUNT: Final = 13
METADATA: Final = (
    *_NUMBERS,
    *(f"key_{number}" for number in range(_KEY_COUNT)),
    *(f"genre_{number}" for number in range(_GENRE_COUNT)),
)
"""The song's length is among them; the seconds heard are not, for no published model sees them."""
SOUND: Final = slice(0, len(_NUMBERS))
"""The numbers among them."""
_MOST_DEVIATIONS: Final = 4.0

MOOD_STEP: Final = 0.125
"""A change of valence, on [-1, 1], up to which the mood is kept."""
_LIKED_FROM: Final = 3


class Setting(IntEnum):
    """What is learned on and what is judged on."""

    LABORATORY_TO_LIFE = 1
    LIFE = 2
    LIFE_TO_LATER = 3


class Mood(IntEnum):
    """What became of valence."""

    DROP = 0
    KEEP = 1
    LIFT = 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """N interactions: what was known before the song, then what was said of it."""

    user: Int[ndarray, " N"]
    song: Int[ndarray, " N"]
    """Rows of `Songs`."""
    started_at: Float[ndarray, " N"]
    """Unix seconds."""
    situation: Float[ndarray, "N C"]
    """As published; NaN in the laboratory."""
    before: Float[ndarray, "N 2"]
    """Valence and arousal before the song, on [-1, 1]; NaN in the laboratory."""

    rating: Float[ndarray, " N"]
    """From 1 to 5."""
    after: Float[ndarray, "N 2"]
    """Valence and arousal after the song, on [-1, 1]."""

    def __len__(self) -> int:
        return len(self.user)

    @property
    def liked(self) -> Bool[ndarray, " N"]:
        """Task A's label."""
        return self.rating >= _LIKED_FROM

    @property
    def mood(self) -> Int[ndarray, " N"]:
        """Task B's label, a `Mood`; the cuts belong to the class below them.

        Raises:
            DataError: nobody was asked before the song.
        """
        if np.isnan(self.before).any():
            raise DataError("a change of mood needs a report before every song; the laboratory has none")
        change = self.after[:, 0] - self.before[:, 0]
        return np.digitize(change, [-MOOD_STEP, MOOD_STEP], right=True)

    def take(self, rows: Int[ndarray, " n"]) -> "Rows":
        """Return the given interactions."""
        return type(self)(**{name: getattr(self, name)[rows] for name in self.__slots__})

    def then(self, others: "Rows") -> "Rows":
        """Return these interactions, and the others after them."""
        joined = {name: np.concatenate([getattr(self, name), getattr(others, name)]) for name in self.__slots__}
        return type(self)(**joined)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Songs:
    """What is published of I songs."""

    item: Int[ndarray, " I"]
    """Published ids, ascending."""
    metadata: Float[ndarray, "I K"]
    """Numbers standardised over the songs and cut at four deviations, then key and genre one-hot."""

    def rows(self, items: Int[ndarray, " N"]) -> Int[ndarray, " N"]:
        """Return where the given ids stand.

        Raises:
            DataError: one has no metadata.
        """
        place = np.minimum(np.searchsorted(self.item, items), len(self.item) - 1)
        unknown = items[self.item[place] != items]
        if unknown.size:
            raise DataError(f"expected metadata of every song; song {unknown[0]} has none")
        return place


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Benchmark:
    """One setting with one seed."""

    setting: Setting
    seed: int
    songs: Songs
    train: Rows
    valid: Rows
    test: Rows


def read_benchmark(folder: Path, setting: Setting, seed: int, *, corrected: bool = False) -> Benchmark:
    """Return the setting as published.

    Args:
        folder: the data set's; the splits are in its `published_splits`.
        setting: which of the three.
        seed: one of `SEEDS`.
        corrected: whether Setting 3's test is given its own time of day, weather and place.

    Raises:
        ConfigError: no such seed.
        DataError: a file is missing or is not what was published.
    """
    if seed not in SEEDS:
        raise ConfigError(f"the benchmark's seeds are {SEEDS[0]} to {SEEDS[-1]}; got {seed}")
    songs = read_songs(folder)
    life = max(setting, Setting.LIFE)
    learned = min(setting, Setting.LIFE)
    test = "setting3.test" if setting is Setting.LIFE_TO_LATER else f"setting2-{seed}.test"
    rows = _read_rows(folder, test, songs)
    if corrected and life is Setting.LIFE_TO_LATER:
        rows = replace(rows, situation=_with_true_environment(folder, rows, songs))
    return Benchmark(
        setting=setting,
        seed=seed,
        songs=songs,
        train=_read_rows(folder, f"setting{learned:d}-{seed}.train", songs),
        valid=_read_rows(folder, f"setting{learned:d}-{seed}.valid", songs),
        test=rows,
    )


def read_songs(folder: Path) -> Songs:
    """Return every song of the three settings.

    Raises:
        DataError: a file is missing or lacks a column.
    """
    columns = [("item_id", "token"), ("key", "token"), ("general_genre_id", "token")]
    columns += [(name, "token" if name in ("popularity", "duration") else "float") for name in _NUMBERS]
    tables = [
        _columns(
            _table(folder / "published_splits" / f"setting{setting:d}.item"), columns, f"setting{setting:d}.item"
        )
        for setting in Setting
    ]
    table = np.unique(np.vstack(tables), axis=0)  # (I, 3 + numbers), by id
    numbers = table[:, 3:]
    spread = numbers.std(axis=0)
    standard = (numbers - numbers.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return Songs(
        item=table[:, 0].astype(np.int64),
        metadata=np.hstack(
            [
                np.clip(standard, -_MOST_DEVIATIONS, _MOST_DEVIATIONS),
                table[:, [1]] == np.arange(_KEY_COUNT),
                table[:, [2]] == np.arange(_GENRE_COUNT),
            ]
        ),
    )


def _read_rows(folder: Path, name: str, songs: Songs) -> Rows:
    """Return one published file, whichever stage it comes from."""
    frame = _table(folder / "published_splits" / f"{name}.inter.gz")
    numbers = ("user_id", "token"), ("item_id", "token"), ("rating", "float"), ("timestamp", "float")
    basic = _columns(frame, list(numbers), name)
    from_life = "emo_post_valence:float" in frame.columns
    absent = np.full((len(basic), len(SITUATION)), np.nan)
    post = "emo_post" if from_life else "emo"
    return Rows(
        user=basic[:, 0].astype(np.int64),
        song=songs.rows(basic[:, 1].astype(np.int64)),
        rating=basic[:, 2],
        started_at=basic[:, 3],
        situation=_columns(frame, [(each, "float") for each in SITUATION], name) if from_life else absent,
        before=_before(frame, name) if from_life else absent[:, :2],
        after=_columns(frame, [(f"{post}_valence", "float"), (f"{post}_arousal", "float")], name),
    )


def _before(frame: pl.DataFrame, name: str) -> Float[ndarray, "N 2"]:
    """Return the report before the song; Setting 3's header calls its arousal valence again."""
    arousal = "emo_pre_arousal" if "emo_pre_arousal:float" in frame.columns else "emo_pre_valence"
    second = (arousal, "float") if arousal == "emo_pre_arousal" else (arousal, "float_again")
    return _columns(frame, [("emo_pre_valence", "float"), second], name)


def _table(path: Path) -> pl.DataFrame:
    """Return one of the benchmark's tables; a column named again gets `_again` for each time."""
    try:
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode()
        head, _, body = text.partition("\n")
        names: list[str] = []
        for name in head.rstrip("\r").split("\t"):
            unused = name
            while unused in names:
                unused += "_again"
            names.append(unused)
        return pl.read_csv(
            io.StringIO(body), separator="\t", has_header=False, new_columns=names, infer_schema_length=None
        )
    except (OSError, EOFError, UnicodeError, pl.exceptions.PolarsError) as error:
        raise DataError(f"expected {path} to be a tab-separated table; {str(error).splitlines()[0]}") from None


def _columns(frame: pl.DataFrame, columns: list[tuple[str, str]], name: str) -> Float[ndarray, "N c"]:
    """Return the named columns, in order, refusing what is missing or not a number."""
    wanted = [f"{column}:{kind}" for column, kind in columns]
    missing = [column for column in wanted if column not in frame.columns]
    if missing:
        raise DataError(f"expected column {missing[0]} in {name}; found {', '.join(frame.columns)}")
    try:
        values = frame.select(wanted).cast(pl.Float64).to_numpy()
    except pl.exceptions.PolarsError as error:
        raise DataError(f"expected numbers in {name}; {str(error).splitlines()[0]}") from None
    bad = np.argwhere(~np.isfinite(values))
    if bad.size:
        row, column = bad[0]
        raise DataError(f"expected a number in row {row} of {name}, column {wanted[column]}; found none")
    return np.asarray(values)


def _with_true_environment(folder: Path, rows: Rows, songs: Songs) -> Float[ndarray, "N C"]:
    """Return the situation with time of day, weather and place as Stage 3 recorded them."""
    interactions = _interactions(folder)
    try:
        path = folder / "Stage3" / "env.json"
        known: dict[str, dict[str, Any]] = json.loads(path.read_bytes())
        facts = []
        for user, song, second in zip(rows.user, rows.song, rows.started_at, strict=True):
            place = known[str(interactions[int(user), int(songs.item[song]), int(second)])]
            weather = place["weather"]
            facts.append(
                [
                    *(place["time"] == part for part in (1, 2, 3)),
                    *(weather[0] == kind for kind in (0, 1, 2)),
                    *weather[1:],
                    *place["GPS"],
                ]
            )
        environment = np.array(facts, np.float64)
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise DataError(f"expected Stage 3 to tell the situation of all {len(rows)} rows; {error!r}") from None
    return np.hstack([environment, rows.situation[:, len(ENVIRONMENT) :]])


def _interactions(folder: Path) -> dict[tuple[int, int, int], int]:
    """Return the record number of every play of Stage 3, by user, song and second."""
    path = folder / "Stage3" / "interactions.csv"
    try:
        table = pl.read_csv(path, columns=["inter_id", "user_id", "item_id", "timestamp"])
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(f"expected {path} to be a CSV file; {str(error).splitlines()[0]}") from None
    return {(user, item, second): record for record, user, item, second in table.iter_rows()}
