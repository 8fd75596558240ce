"""The runs behind Tables 2 and 3: one world model, or one set of references, on one split.

Splits are by listener and the same for every contender, as the paper's are. A table's numbers are those of the
best epoch of each signal on validation listeners; songs are ordered by the one checkpoint a bundle would keep.

log → material of the split → a contender's training → its scores on the test listeners → records.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from models.affect import SIGNALS, Signal
from models.errors import DataError
from models.log import read_log
from training.material import Material, affect_tags, prepare
from training.metrics.prediction import prediction_scores
from training.networks.heads import PlainHead
from training.networks.inputs import EVERYTHING, Inputs
from training.networks.positions import NO_POSITIONS, PositionEncoding
from training.networks.reading import fit_reading
from training.networks.standard import StandardWorldModelConfig
from training.networks.world import Architecture, WorldForm, WorldModel, WorldModelConfig
from training.platform.ceilings import latent_predictions, observed_labels
from training.platform.kalman import filter_observed
from training.platform.truth import Truth
from training.prediction import predict_histories
from training.references import hand_feature_ridge, linear_alone, listener_mean, persistence
from training.splits import draw_new_songs
from training.studies.cells import Records, Row
from training.studies.prediction_records import calibration_rows, curve_rows, rows_of, score_rows
from training.studies.song_order import Question, draw_question, model_order, reference_order
from training.tasks import Advance
from training.windows import DrawnWindows, Histories
from training.world_model import TrainedWorldModel, WorldPreset, WorldTrainingConfig, train_world_model

SPLITS_SEED: Final = 0
"""Every contender of every table is judged on the splits that this seed draws."""
_NEW_SONGS: Final = 0.2
"""The share of the catalogue that training never hears of, where songs are held out as well."""
_FROM_NOTHING_EPOCHS: Final = 1.5
_FROM_NOTHING_RATE: Final = 4.0
"""Against the preset's, where no linear part knows most of it before: on split 0 of the paper-sized platform of
seed 0, the validation loss of valence is then .0292 for .0309, and of the rating .330 nats for .363."""
_TRAINING, _SONGS, _HELD_OUT = range(1, 4)
"""The streams of randomness of one split."""


@runtime_checkable
class Contender(Protocol):
    """Something that predicts, and what its records are."""

    @property
    def name(self) -> str:
        """What its row is called, and its cells."""
        ...

    @property
    def space(self) -> str | None:
        """The embedding space in which it sees songs; None for the log's first."""
        ...

    def records(self, bench: "Bench") -> Records:
        """Return what came of it on one split."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bench:
    """One split of one log, and what every contender needs of it."""

    material: Material
    preset: WorldPreset
    split: int
    advance: Advance

    def stream(self, purpose: int) -> np.random.Generator:
        """Return the generator of one purpose, the same for every contender."""
        return np.random.default_rng([SPLITS_SEED, self.split, purpose])

    @property
    def targets(self) -> Float[ndarray, "T 4"]:
        """The labels of the test listeners; NaN everywhere else."""
        histories = self.material.histories
        return rows_of(histories.targets, histories.tokens_of(self.material.split.test))

    def question(self, among: Bool[ndarray, " N"] | None = None) -> Question | None:
        """Return whose songs are asked for, out of some or of all; None where no truth is known."""
        if self.material.truth is None:
            return None
        pool = None if among is None else np.flatnonzero(among)
        return draw_question(self.material, self.material.truth, self.stream(_SONGS), among=pool)

    def train(
        self, histories: Histories, architecture: Architecture[WorldForm], config: WorldTrainingConfig
    ) -> TrainedWorldModel[WorldForm]:
        """Return one world model, the same whoever trains it."""
        return train_world_model(
            histories,
            self.material.split,
            feature_names=self.material.feature_names,
            architecture=architecture,
            config=config,
            rng=self.stream(_TRAINING),
            advance=self.advance,
        )


def run_contender(
    contender: Contender, log: Path, *, preset: WorldPreset, split: int, advance: Advance
) -> Records:
    """Return a contender's records on one split of a log.

    Raises:
        DataError: the log has not the contender's embedding space, or too few listeners to split, or the training
            listeners have said nothing.
    """
    material = prepare(
        read_log(log),
        space=contender.space,
        reading=preset.reading,
        held_out=(),
        rng=np.random.default_rng([SPLITS_SEED, split]),
    )
    _refuse_silence(material)
    return contender.records(Bench(material=material, preset=preset, split=split, advance=advance))


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A world model: its form, how it tells positions apart, in which embeddings it hears songs, what it sees."""

    name: str
    space: str | None = None
    form: type[WorldModelConfig] | type[StandardWorldModelConfig] = WorldModelConfig
    positions: PositionEncoding = NO_POSITIONS
    inputs: Inputs = EVERYTHING

    def architecture(self, preset: WorldPreset) -> Architecture[WorldForm]:
        """Return the preset's architecture in this form."""
        encoder = replace(preset.architecture.encoder, positions=self.positions)
        return self.form(encoder=encoder, hidden=preset.architecture.hidden, inputs=self.inputs)

    def records(self, bench: Bench) -> Records:
        """Train it, and judge it on the test listeners."""
        trained = bench.train(bench.material.histories, self.architecture(bench.preset), bench.preset.training)
        return judged(self.name, trained, bench, lookback=bench.preset.training.lookback)


@dataclass(frozen=True, slots=True, kw_only=True)
class PapersInputs:
    """The factorized transformer on the paper's tokens, windows and whole histories, and nothing of ours.

    No linear part, no running means, no repeated report, no tags in the reading of songs, one head for all four
    signals; five windows of 50 to 1,000 tokens per listener. Feedback is standardised and songs are read through
    principal components as always. Nothing is known before training, so it is longer and in larger steps.
    """

    name: str = "the paper's inputs alone"
    space: str | None = None

    def records(self, bench: Bench) -> Records:
        """Train it, and judge it on the test listeners."""
        windows = DrawnWindows()
        architecture = replace(
            bench.preset.architecture,
            encoder=replace(bench.preset.architecture.encoder, decays=()),
            inputs=Inputs(extras=False),
            head=PlainHead,
        )
        usual = bench.preset.training
        config = replace(
            usual,
            lookback=windows.longest,
            windows=windows,
            linear=None,
            epochs=int(usual.epochs * _FROM_NOTHING_EPOCHS),
            learning_rate=usual.learning_rate * _FROM_NOTHING_RATE,
        )
        untagged = replace(bench, material=_read_anew(bench, known=None))
        trained = untagged.train(untagged.material.histories, architecture, config)
        return judged(self.name, trained, untagged, lookback=windows.longest)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSongs:
    """The deployed world model when a fifth of the catalogue is held out of training as well.

    Two rows: test listeners' plays of songs that training never heard of, and their plays of all others.
    """

    name: str = "a fifth of the songs held out"
    space: str | None = None

    def records(self, bench: Bench) -> Records:
        """Train on the plays of known songs, and judge both kinds on the test listeners."""
        count = len(bench.material.catalogue)
        new = draw_new_songs(count, bench.stream(_HELD_OUT), share=_NEW_SONGS)
        bench = replace(bench, material=_read_anew(bench, known=~new))
        histories, lookback = bench.material.histories, bench.preset.training.lookback
        trained = bench.train(histories.without_songs(new), bench.preset.architecture, bench.preset.training)
        predicted = best_predictions(trained, bench, lookback=lookback)
        is_new = (histories.song_row >= 0) & new[np.maximum(histories.song_row, 0)]
        scores: list[Row] = []
        order: list[Row] = []
        for name, plays, songs in ((NEW_SONGS, is_new, new), (OLD_SONGS, ~is_new, ~new)):
            targets = np.where(plays[:, None], bench.targets, np.float32(np.nan))
            scores += score_rows(name, predicted, targets)
            if bench.material.truth is not None:
                scores += _observed_ceiling(bench.material, bench.material.truth, OWN_CEILINGS[name], songs)
            question = bench.question(songs)
            if question is not None:
                order += model_order(name, trained.model, bench.material, question, lookback=lookback)
        return {"scores": scores, "song_order": order}


@dataclass(frozen=True, slots=True, kw_only=True)
class References:
    """What anybody would predict without a world model, and what nobody could predict better."""

    name: str = "references"
    space: str | None = None

    def records(self, bench: Bench) -> Records:
        """Fit what must be fitted, and judge everything on the test listeners."""
        material, lookback = bench.material, bench.preset.training.lookback
        histories, train, targets = material.histories, material.split.train, bench.targets
        linear = linear_alone(histories, train, feature_names=material.feature_names, lookback=lookback)
        said = {
            "persistence": persistence(histories, train),
            "listener mean": listener_mean(histories, train),
            "ridge on 14 hand-made features": hand_feature_ridge(histories, train, affect_tags(material.log)),
            LINEAR_ALONE: predict_histories([linear], histories, material.split.test, lookback=lookback)[0],
        }
        scores: list[Row] = [row for name, each in said.items() for row in score_rows(name, each, targets)]
        question = bench.question()
        if question is None or material.truth is None:
            return {"scores": scores}
        order = [*model_order(LINEAR_ALONE, linear, material, question, lookback=lookback)]
        order += reference_order(material, material.truth, question)
        scores += _observed_ceiling(material, material.truth, OBSERVED_CEILING)
        scores += _latent_ceiling(material, material.truth)
        return {"scores": scores, "song_order": order}


OBSERVED_CEILING: Final = "best from the observed history"
NEW_SONGS: Final = "new songs"
OLD_SONGS: Final = "songs trained on, beside the new ones"
OWN_CEILINGS: Final = {name: f"{OBSERVED_CEILING}, {name}" for name in (OLD_SONGS, NEW_SONGS)}
"""What could be predicted of the plays of each kind of song."""
LINEAR_ALONE: Final = "linear part alone"
LATENT_CEILING: Final = "knows the latent state"


def judged(name: str, trained: TrainedWorldModel[WorldForm], bench: Bench, *, lookback: int) -> Records:
    """Return scores, learning curve, calibration and song order of a trained world model."""
    predicted = best_predictions(trained, bench, lookback=lookback)
    question = bench.question()
    order: list[Row] = []
    if question is not None and trained.model.inputs.candidate:
        order = list(model_order(name, trained.model, bench.material, question, lookback=lookback))
    return {
        "scores": list(
            score_rows(name, predicted, bench.targets, hidden=_without_candidate(trained, bench, lookback))
        ),
        "curve": list(curve_rows(name, trained)),
        "calibration": list(calibration_rows(name, predicted, bench.targets)),
        "song_order": order,
    }


def best_predictions(
    trained: TrainedWorldModel[WorldForm], bench: Bench, *, lookback: int
) -> Float[ndarray, "T 4"]:
    """Return each signal's predictions of the test listeners by that signal's best epoch."""
    histories, test = bench.material.histories, bench.material.split.test
    by_epoch = {
        epoch: predict_histories([trained.at(epoch)], histories, test, lookback=lookback)[0]
        for epoch in sorted(set(trained.best))
    }
    return np.column_stack([by_epoch[trained.best[signal]][:, signal] for signal in Signal])


def _without_candidate(
    trained: TrainedWorldModel[WorldForm], bench: Bench, lookback: int
) -> Float[ndarray, "T 4"] | None:
    """Return the same where the candidate is hidden in the test alone: the average song stands in its place.

    None where it is hidden anyway, and in the standard form, where a candidate cannot be hidden and stay in the
    history.
    """
    if not isinstance(trained.model, WorldModel) or not trained.model.inputs.candidate:
        return None
    blind = trained.at(trained.kept)
    blind.inputs = replace(blind.inputs, candidate=False)
    histories, test = bench.material.histories, bench.material.split.test
    return predict_histories([blind], histories, test, lookback=lookback)[0]


def _read_anew(bench: Bench, *, known: Bool[ndarray, " N"] | None) -> Material:
    """Return the material with songs read without tags, or read as if only some songs were known."""
    material = bench.material
    heard = material.heard if known is None else material.heard[known[material.heard]]
    tags = None if known is None else affect_tags(material.log)[heard]
    reading = fit_reading(material.embeddings[heard], bench.preset.reading, tags=tags)
    histories = replace(material.histories, song_vectors=reading(material.embeddings))
    return replace(material, heard=heard, reading=reading, histories=histories)


def _observed_ceiling(
    material: Material, truth: Truth, name: str, songs: Bool[ndarray, " N"] | None = None
) -> Iterator[Row]:
    """Yield the scores of the best predictor from the observed history, over the labels of some or all songs."""
    observed = filter_observed(truth.simulation)
    labels = _test_labels(material, truth)
    if songs is not None:
        labels[~songs[truth.simulation.song]] = np.nan
    yield from score_rows(name, observed.with_song, labels, hidden=observed.without_song)


def _latent_ceiling(material: Material, truth: Truth) -> Iterator[Row]:
    """Yield the scores of the predictor that knows the true state."""
    yield from score_rows(LATENT_CEILING, latent_predictions(truth.simulation), _test_labels(material, truth))


def _test_labels(material: Material, truth: Truth) -> Float[ndarray, "P 4"]:
    """Return the labels of the platform's plays; NaN where nobody of the test listeners gave one."""
    labels = observed_labels(truth.simulation)
    tested = np.isin(truth.simulation.schedule.listener_of_play, material.listener_rows[material.split.test])
    labels[~tested] = np.nan
    return labels


def _refuse_silence(material: Material) -> None:
    """Raise where a split cannot be judged at all, and say which signals it says nothing of.

    Raises:
        DataError: no signal was observed of the training listeners, or none of the test listeners.
    """
    for part, listeners in (("training", material.split.train), ("test", material.split.test)):
        targets = material.histories.targets[material.histories.tokens_of(listeners)]
        counts = prediction_scores(np.full_like(targets, 0.5), targets).label_counts
        if not any(counts):
            raise DataError(
                f"log {material.log.description.name!r}: none of {', '.join(SIGNALS)} was observed of any of the "
                f"{len(listeners)} {part} listeners"
            )
