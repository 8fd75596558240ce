"""A listening log small enough to read: three listeners, three sessions, five plays, four songs."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl

from models.context import CategoryField, ClockField, ContextSchema
from models.log import EmbeddingSpace, Log, LogDescription

MONDAY = datetime(2026, 11, 16, 20, 0, tzinfo=UTC)
TUESDAY = datetime(2026, 11, 17, 8, 30, tzinfo=UTC)


def tiny_tables() -> dict[str, Any]:
    """Return the arguments of `Log.from_tables`, rows deliberately out of order."""
    return {
        "description": LogDescription(
            name="tiny",
            simulated=True,
            scales={"valence": "made on [0, 1]"},
            context=ContextSchema(
                fields=(
                    ClockField(name="local_time"),
                    CategoryField(name="weather", values=("sunny", "rainy")),
                )
            ),
            embeddings={"plain": EmbeddingSpace(width=3, source="invented", licence="CC0-1.0")},
            provenance={"seed": 1},
        ),
        "songs": pl.DataFrame(
            {
                "song_id": ["song-a", "song-b", "song-c", "song-d"],
                "title": ["A", "B", None, "D"],
                "duration_seconds": [180.0, 200.5, None, 61.0],
                "tags": [["calm"], [], ["calm", "folk"], []],
                "tag_valence": [0.5, None, 1.0, 0.0],
                "tag_arousal": [0.1, None, 0.3, 0.9],
            }
        ),
        "listeners": pl.DataFrame(
            {
                "listener_id": ["zoe", "abe", "mia"],
                "population": ["clinical", "consumer", "unspecified"],
                "consent": [True, False, True],
            }
        ),
        "sessions": pl.DataFrame(
            {
                "session_id": ["s-late", "s-early", "s-abe"],
                "listener_id": ["zoe", "zoe", "abe"],
                "mode": ["calm", "sleep", "focus"],
                "started_at": [TUESDAY, MONDAY, MONDAY],
                "ended_at": [None, TUESDAY, MONDAY],
                "before_valence": [0.25, None, 0.5],
                "before_arousal": [0.75, None, 0.5],
                "after_valence": [None, 0.5, None],
                "after_arousal": [None, 0.125, None],
                "context_local_time": [21.5, None, 9.0],
                "context_weather": [None, 1.0, 0.0],
            }
        ),
        "plays": pl.DataFrame(
            {
                "session_id": ["s-early", "s-early", "s-early", "s-abe", "s-late"],
                "position": [2, 0, 1, 0, 0],
                "song_id": ["song-c", "song-a", "song-b", "song-a", "song-a"],
                "played_at": [TUESDAY, MONDAY, None, MONDAY, None],
                "mode": ["calm", None, None, None, None],
                "engagement": [1.0, 0.5, None, 0.0, 0.25],
                "rating": [1, 0, None, 1, None],
                "valence": [None, 0.75, None, 0.5, None],
                "arousal": [None, 0.25, None, 0.5, None],
                "propensity": [0.5, None, None, None, None],
            }
        ),
        "embeddings": {"plain": np.arange(12, dtype=np.float32).reshape(4, 3)},
    }


def tiny_log() -> Log:
    """Return the small log."""
    return Log.from_tables(**tiny_tables())
