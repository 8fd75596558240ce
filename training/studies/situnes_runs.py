"""One seed of the SiTunes benchmark: references and predictors fitted to its training part, scored on its tests.

Settings 2 and 3 share their training part, so one trial serves the tests of both. World models are trained once,
heads of likes twice: for Settings 1 and 3 they are chosen by leaving out whole songs, because most of what is
played there are songs that nobody was heard to rate before. The valid part is not used at all.

Legend: N training rows · Q asked rows · X columns
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from training.situnes import references
from training.situnes.benchmark import Benchmark, Rows, Setting, read_benchmark
from training.situnes.encoding import ENCODING, Encoded, EncodingConfig, Sight, encode_crosswise, fit_encoding
from training.situnes.heads import TREES, Material, Mixture
from training.situnes.predictors import fit_likes, fit_moods, fit_reports, liked_chance
from training.situnes.references import FOREST_TREES, published_inputs
from training.situnes.scores import affect_scores, like_scores, mood_scores
from training.studies.cells import Records, Row
from training.tasks import Advance

OURS: Final = "ours"
NAMES_ALONE: Final = "ours, without the encoding"
WORLD_MODEL: Final = "world models alone"
MEANS: Final = "listener + song mean"
FOREST: Final = "random forest"
REGRESSION: Final = "logistic regression"
ALWAYS: Final = "always like"
MAJORITY: Final = "majority"
PERSISTENCE: Final = "persistence"
LEAST_SQUARES: Final = "least squares"

_NAMED: Final = ("liked", "rating", "classes", "named", "forest")
"""Heads that know listeners by name and read no encoding."""

TRUE_CONTEXT: Final = "S3 sit., true context"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """What a trial is made with."""

    encoding: EncodingConfig = ENCODING
    tree_count: int = TREES
    """Of the heads that are trees."""
    reference_trees: int = FOREST_TREES
    """Of the random forest they are held against."""


RUN: Final = RunConfig()


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is learned from, what may be seen, and the columns of the tables that it fills."""

    setting: Setting
    sight: Sight
    columns: tuple[str, ...]


LIKES: Final[Mapping[str, Task]] = {
    "laboratory": Task(
        setting=Setting.LABORATORY_TO_LIFE, sight=Sight(situation=False, before=False), columns=("S1 no sit.",)
    ),
    "no situation": Task(
        setting=Setting.LIFE, sight=Sight(situation=False, before=False), columns=("S2 no sit.", "S3 no sit.")
    ),
    "situation": Task(
        setting=Setting.LIFE,
        sight=Sight(situation=True, before=False),
        columns=("S2 sit.", "S3 sit.", TRUE_CONTEXT),
    ),
}
"""Task A, by its inputs."""
MOODS: Final = Task(setting=Setting.LIFE, sight=Sight(situation=False, before=True), columns=("S2", "S3"))
"""Task B and the reports after songs; situations were tried and do not help."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Test:
    column: str
    rows: Rows
    encoded: Encoded
    new_songs: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trial:
    """A task with one seed: its training part and its tests, encoded."""

    task: Task
    seed: int
    config: RunConfig
    benchmark: Benchmark
    encoded: Encoded
    tests: tuple[_Test, ...]

    @classmethod
    def of(cls, folder: Path, task: Task, seed: int, *, config: RunConfig = RUN, advance: Advance) -> "Trial":
        """Read the files and train the world models.

        Raises:
            DataError: a file is missing or is not what was published.
        """
        benchmark = read_benchmark(folder, task.setting, seed)
        train, songs = benchmark.train, benchmark.songs
        encoding = fit_encoding(train, songs, task.sight, config.encoding, seed=seed)
        advance(len(train))
        tests = []
        for column in task.columns:
            later = column.startswith("S3")
            rows = (
                read_benchmark(folder, Setting.LIFE_TO_LATER, seed, corrected=column == TRUE_CONTEXT).test
                if later
                else benchmark.test
            )
            new_songs = later or task.setting is Setting.LABORATORY_TO_LIFE
            tests.append(
                _Test(column=column, rows=rows, encoded=encoding.encode(rows, train), new_songs=new_songs)
            )
        crosswise = encode_crosswise(train, songs, task.sight, config.encoding, seed=seed)
        advance(len(train))
        return cls(task=task, seed=seed, config=config, benchmark=benchmark, encoded=crosswise, tests=tuple(tests))

    def material(self, *, new_songs: bool) -> Material:
        """Return the training part as heads read it."""
        return Material.of(
            self.benchmark.train,
            self.encoded,
            self.benchmark.songs,
            self.task.sight,
            new_songs=new_songs,
            seed=self.seed,
            tree_count=self.config.tree_count,
        )

    def inputs(self) -> tuple[Float[ndarray, "N X"], list[Float[ndarray, "_ X"]]]:
        """Return the published inputs of the training part and of every test."""
        listeners = np.unique(self.benchmark.train.user)
        told = [
            published_inputs(rows, self.benchmark.songs, listeners, self.task.sight)
            for rows in (self.benchmark.train, *(test.rows for test in self.tests))
        ]
        return told[0], told[1:]


def run_likes(folder: Path, inputs: str, seed: int, *, config: RunConfig = RUN, advance: Advance) -> Records:
    """Return the scores of every model on every test, and what the mixture is made of."""
    trial = Trial.of(folder, LIKES[inputs], seed, config=config, advance=advance)
    train = trial.benchmark.train
    known, asked = trial.inputs()
    forest = references.random_forest(
        known, train.liked.astype(np.int64), asked, seed=seed, tree_count=config.reference_trees
    )
    regression = references.logistic_regression(known, train.liked.astype(np.int64), asked)
    materials = {new: trial.material(new_songs=new) for new in {test.new_songs for test in trial.tests}}
    mixtures = {new: fit_likes(material) for new, material in materials.items()}
    scores: list[Row] = []
    for number, test in enumerate(trial.tests):
        seen = materials[test.new_songs].asked(test.rows, test.encoded)
        mixture = mixtures[test.new_songs]
        chances = {
            ALWAYS: references.always_liked(test.rows),
            MEANS: references.listener_and_song_means(train, test.rows),
            REGRESSION: regression[number][:, 1],
            FOREST: forest[number][:, 1],
            WORLD_MODEL: 1 / (1 + np.exp(-test.encoded.expected[:, 0])),
            NAMES_ALONE: liked_chance(mixture.only(_NAMED, train.liked.astype(np.float64)[:, None]), seen),
            OURS: liked_chance(mixture, seen),
        }
        for model, chance in chances.items():
            scores.append({"column": test.column, "model": model, **asdict(like_scores(chance, test.rows.liked))})
    return {"likes": scores, "heads": _heads(mixtures)}


def run_moods(folder: Path, seed: int, *, config: RunConfig = RUN, advance: Advance) -> Records:
    """Return the scores of every model for changes of mood and for the reports after songs."""
    trial = Trial.of(folder, MOODS, seed, config=config, advance=advance)
    train = trial.benchmark.train
    known, asked = trial.inputs()
    forest = references.random_forest(known, train.mood, asked, seed=seed, tree_count=config.reference_trees)
    regression = references.logistic_regression(known, train.mood, asked)
    material = trial.material(new_songs=False)
    reporter = fit_reports(material)
    mixture = fit_moods(material, reporter)
    classes = (train.mood[:, None] == np.arange(3)).astype(np.float64)
    mood_rows: list[Row] = []
    report_rows: list[Row] = []
    for number, test in enumerate(trial.tests):
        seen = material.asked(test.rows, test.encoded)
        chances = {
            MAJORITY: references.majority(train.mood, len(test.rows)),
            REGRESSION: regression[number],
            FOREST: forest[number],
            NAMES_ALONE: mixture.only(_NAMED, classes).predict(seen),
            OURS: mixture.predict(seen),
        }
        for model, chance in chances.items():
            mood_rows.append(
                {"column": test.column, "model": model, **asdict(mood_scores(chance, test.rows.mood))}
            )
        reports = {
            PERSISTENCE: references.persistence(test.rows),
            LEAST_SQUARES: references.least_squares(train, test.rows),
            WORLD_MODEL: 2 / (1 + np.exp(-test.encoded.expected[:, 1:])) - 1,
            NAMES_ALONE: reporter.only(_NAMED, train.after).predict(seen),
            OURS: reporter.predict(seen),
        }
        for model, told in reports.items():
            report_rows.append(
                {"column": test.column, "model": model, **asdict(affect_scores(told, test.rows.after))}
            )
    heads = [*_heads({False: mixture}, "moods"), *_heads({False: reporter}, "reports")]
    return {"moods": mood_rows, "reports": report_rows, "heads": heads}


def _heads(mixtures: Mapping[bool, Mixture], of: str = "likes") -> list[Row]:
    """Return each head's share, and the weights it chose."""
    return [
        {
            "of": of,
            "left out": "songs" if new_songs else "rows",
            "head": head.name,
            "share": float(share),
            **{f"weight of {part}": weight for part, weight in head.weights.items()},
        }
        for new_songs, mixture in mixtures.items()
        for share, head in zip(mixture.shares, mixture.heads, strict=True)
    ]
