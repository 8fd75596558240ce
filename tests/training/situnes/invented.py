"""A small invented data set in the published format, defects included: six users, eight songs, one clear law.

Whoever walks dislikes the odd songs; valence moves towards the song's own.
"""

import gzip
import json
from pathlib import Path

import numpy as np

from training.situnes.benchmark import ENVIRONMENT, METADATA, SEEDS, SITUATION

USERS, ITEMS = 6, 8
_NUMBERS = [name for name in METADATA if not name.startswith(("key_", "genre_"))]
_PUBLISHED_ORDER = (*SITUATION[:3], *SITUATION[12:], *SITUATION[3:12])
_ITEM_TOKENS = ("popularity", "duration")


def invent_situnes(folder: Path, *, seeds: tuple[int, ...] = SEEDS[:1], seed: int = 0) -> Path:
    """Write the files of all three settings and return the folder."""
    rng = np.random.default_rng(seed)
    splits = folder / "published_splits"
    splits.mkdir(parents=True)
    (folder / "Stage3").mkdir()
    songs = rng.normal(size=(ITEMS, len(_NUMBERS)))
    for setting in (1, 2, 3):
        _write_items(splits / f"setting{setting}.item", songs)
    for number in seeds:
        laboratory = [_row(rng, songs, user, when) for user in range(USERS) for when in range(10)]
        _write(splits / f"setting1-{number}.train.inter.gz", laboratory[::2], stage=1)
        _write(splits / f"setting1-{number}.valid.inter.gz", laboratory[1::5], stage=1)
        life = [_row(rng, songs, user, 100 + when) for user in range(USERS) for when in range(20)]
        _write(splits / f"setting2-{number}.train.inter.gz", life[::2] + life[1::4], stage=2)
        _write(splits / f"setting2-{number}.valid.inter.gz", life[3::8], stage=2)
        _write(splits / f"setting2-{number}.test.inter.gz", life[7::8], stage=2)
    later = [_row(rng, songs, user, 1000 + when) for user in range(USERS // 2) for when in range(10)]
    _write(splits / "setting3.test.inter.gz", later, stage=3)
    _write_stage3(folder / "Stage3", later, rng)
    return folder


def _row(rng: np.random.Generator, songs: np.ndarray, user: int, when: int) -> dict[str, float]:
    item, walking = int(rng.integers(ITEMS)), int(rng.random() < 0.4)
    valence, arousal = rng.uniform(-0.5, 0.5, 2)
    disliked = walking and item % 2
    hour = int(rng.integers(3))
    kind = int(rng.integers(3))
    return {
        "user_id": user + 1,
        "item_id": 10 * (item + 1),
        "rating": (2 if disliked else 4) - int(rng.random() < 0.1),
        "timestamp": 1_625_000_000 + when * 3600 * 7 + user,
        **{name: float(rng.normal()) for name in SITUATION},
        **{name: float(place == hour) for place, name in enumerate(("morning", "afternoon", "evening"))},
        **{f"weather_{name}": float(place == kind) for place, name in enumerate(("sunny", "cloudy", "rainy"))},
        "walking": walking,
        "emo_pre_valence": valence,
        "emo_pre_arousal": arousal,
        "emo_post_valence": 0.5 * valence + 0.2 * np.tanh(songs[item, 0]) + 0.1 * rng.normal(),
        "emo_post_arousal": 0.7 * arousal,
    }


def _write_items(path: Path, songs: np.ndarray) -> None:
    kinds = {name: "token" if name in _ITEM_TOKENS else "float" for name in _NUMBERS}
    head = [
        "item_id:token",
        "key:token",
        "general_genre_id:token",
        *(f"{name}:{kinds[name]}" for name in _NUMBERS),
    ]
    lines = [[10 * (item + 1), item % 12, item % 3, *numbers] for item, numbers in enumerate(songs)]
    path.write_text(_table(head, lines))


def _write(path: Path, rows: list[dict[str, float]], *, stage: int) -> None:
    if stage == 1:
        names = {"emo_valence": "emo_post_valence", "emo_arousal": "emo_post_arousal"}
        situation: list[str] = []
    else:
        names = {
            each: each for each in ("emo_pre_valence", "emo_pre_arousal", "emo_post_valence", "emo_post_arousal")
        }
        situation = list(_PUBLISHED_ORDER)
    head = ["user_id:token", "item_id:token", "rating:float", *(f"{name}:float" for name in situation)]
    columns = ["user_id", "item_id", "rating", *situation, "timestamp"]
    head += ["timestamp:float"]
    if stage == 3:  # four columns of one name, two of them arousal; and another stage's time, weather and place
        head += ["emo_pre_valence:float"] * 4 + ["emo_post_valence:float", "emo_post_arousal:float"]
        columns += ["emo_pre_valence", "emo_pre_arousal"] * 2 + ["emo_post_valence", "emo_post_arousal"]
        rows = [row | dict.fromkeys(ENVIRONMENT, 0.0) for row in rows]
    else:
        head += [f"{name}:float" for name in names]
        columns += list(names.values())
    path.write_bytes(gzip.compress(_table(head, [[row[name] for name in columns] for row in rows]).encode()))


def _write_stage3(folder: Path, rows: list[dict[str, float]], rng: np.random.Generator) -> None:
    records = {int(number): row for number, row in zip(rng.permutation(len(rows)) + 1, rows, strict=True)}
    head = ("inter_id", "user_id", "item_id", "timestamp")
    lines = [(number, *(row[name] for name in head[1:])) for number, row in records.items()]
    (folder / "interactions.csv").write_text(_table(list(head), lines).replace("\t", ","))
    kinds = ("weather_sunny", "weather_cloudy", "weather_rainy")
    times = ("morning", "afternoon", "evening")
    facts = {
        str(number): {
            "time": 1 + [row[name] for name in times].index(1.0),
            "weather": [
                [row[name] for name in kinds].index(1.0),
                *(row[f"weather{place}"] for place in (2, 3, 4)),
            ],
            "GPS": [row[f"GPS{place}"] for place in (1, 2, 3)],
        }
        for number, row in records.items()
    }
    (folder / "env.json").write_text(json.dumps(facts))


def _table(head: list[str], lines: list[list[float]] | list[tuple[float, ...]]) -> str:
    return "\n".join("\t".join(map(str, line)) for line in [head, *lines]) + "\n"
