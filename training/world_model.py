"""Training a world model, and an ensemble of them: one page, the loop in sight.

After every epoch the model is judged on whole histories of validation listeners. The epoch with the best mean
rank over the four signals is kept: a bundle has one checkpoint (SCIENCE §1). The best epoch of each signal is kept
beside it for the tables, which compare signal by signal as the paper does.

Legend: T tokens · M members
"""

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from torch.optim import AdamW

from models.affect import Signal
from models.errors import ConfigError, DataError
from training.linear_fit import USUAL_FIT, LinearFit, fit_linear_part
from training.losses import feedback_losses, observed
from training.metrics.prediction import PredictionScores, mean_ranks, prediction_scores
from training.networks.encoder import EncoderConfig
from training.networks.reading import ReadingConfig
from training.networks.standardisation import standardisation
from training.networks.world import Architecture, WorldForm, WorldModel, WorldModelConfig
from training.prediction import predict_histories
from training.seeding import torch_seeded_by
from training.splits import Split
from training.tasks import Advance, map_tasks
from training.windows import EVERY_TOKEN_ONCE, Histories, TrainingWindows, batches

Form = TypeVar("Form", bound=WorldForm)


_USUAL_LOOKBACK = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldTrainingConfig:
    """How a world model is trained; nothing about its architecture."""

    lookback: int = 64
    """How many tokens a window holds, in training and in serving."""
    epochs: int = 20
    batch_size: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    warmup: float = 0.1
    """The share of all steps over which the learning rate rises; it then falls to 0 along a cosine."""
    max_grad_norm: float = 1.0
    windows: TrainingWindows = EVERY_TOKEN_ONCE
    """How an epoch's windows are drawn."""
    linear: LinearFit | None = USUAL_FIT
    """How the linear part is fitted; None leaves it at the mean, and everything to the transformer."""

    def __post_init__(self) -> None:
        if min(self.lookback, self.epochs, self.batch_size) < 1:
            raise ConfigError("lookback, epochs and batch size must be at least 1")
        if not self.learning_rate > 0 or self.weight_decay < 0 or not 0 <= self.warmup < 1:
            raise ConfigError("a learning rate above 0, weight decay from 0 and a warm-up in [0, 1) are needed")

    @property
    def most_tokens(self) -> int:
        """Of a batch, padding included: what `batch_size` windows of the usual lookback come to."""
        return self.batch_size * min(self.lookback, _USUAL_LOOKBACK)

    def windows_per_batch(self, window: int) -> int:
        """Return how many windows of so many tokens share a batch: the shorter they are, the more."""
        return max(self.batch_size, self.batch_size * min(self.lookback, _USUAL_LOOKBACK) // window)

    def rate(self, epoch: float) -> float:
        """Return the learning rate when so many epochs are done, fractions included."""
        done = epoch / self.epochs
        if done < self.warmup:
            return self.learning_rate * max(done / self.warmup, 0.01)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * (done - self.warmup) / (1 - self.warmup)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """What one epoch came to."""

    losses: list[float]
    """Mean training loss per label: squared errors; nats for the rating."""
    validation: PredictionScores


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainedWorldModel(Generic[Form]):
    """The kept checkpoint and the road to it."""

    model: Form
    epochs: tuple[Epoch, ...]
    kept: int
    """The epoch whose weights the model has, counted from 0."""
    best: tuple[int, int, int, int]
    """The best epoch of each signal by its validation loss; the kept one where validation says nothing of it."""
    checkpoints: Mapping[int, Mapping[str, Tensor]]
    """The weights of those epochs."""

    def at(self, epoch: int) -> Form:
        """Return a copy of the model as it was after one of those epochs."""
        model = copy.deepcopy(self.model)
        model.load_state_dict(self.checkpoints[epoch])
        return model.eval()


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldPreset:
    """Everything that, with histories, a split and a seed, fixes an ensemble."""

    reading: ReadingConfig
    architecture: WorldModelConfig
    training: WorldTrainingConfig
    member_count: int = 3
    """M."""


QUICK = WorldPreset(
    reading=ReadingConfig(),
    architecture=WorldModelConfig(encoder=EncoderConfig(width=32, dropout=0.3), hidden=64),
    training=WorldTrainingConfig(
        lookback=64, epochs=6, batch_size=16, learning_rate=3e-4, linear=LinearFit(effect_penalty=3_000.0)
    ),
)
"""Half a minute for a small platform: the linear part knows most of what 240 listeners can teach."""

PAPER = WorldPreset(
    reading=ReadingConfig(),
    architecture=WorldModelConfig(encoder=EncoderConfig(width=64, dropout=0.4), hidden=128),
    training=WorldTrainingConfig(
        lookback=64, epochs=8, batch_size=32, learning_rate=5e-4, linear=LinearFit(effect_penalty=10_000.0)
    ),
)
"""For logs of the paper's size: about a thousand listeners."""


def train_world_model(
    histories: Histories,
    split: Split,
    *,
    feature_names: tuple[str, ...],
    architecture: Architecture[Form],
    config: WorldTrainingConfig,
    rng: np.random.Generator,
    listeners: Int[ndarray, " n"] | None = None,
    advance: Advance = lambda _: None,
) -> TrainedWorldModel[Form]:
    """Return a world model fitted to the training listeners, at its best epoch on the validation listeners.

    Args:
        listeners: a bootstrap of the training listeners; they themselves when left out.
        advance: told how many tokens were just trained on.

    Raises:
        DataError: the training listeners have no tokens.
    """
    listeners = split.train if listeners is None else listeners
    tokens = histories.tokens_of(split.train)
    if not len(tokens):
        raise DataError("a world model needs training listeners who have done something; got none")
    labels = LabelStatistics.of(histories.targets[tokens])
    with torch_seeded_by(rng):
        model = architecture.draw(
            song_width=histories.song_vectors.shape[1],
            standard=standardisation(histories.columns.features[tokens], feature_names),
            mean=labels.mean,
        )
        if config.linear is not None:
            fit_linear_part(
                model.linear,
                histories,
                listeners,
                lookback=config.lookback,
                inputs=architecture.inputs,
                fit=config.linear,
            )
        window = architecture.inputs.window(config.lookback)
        optimizer = AdamW(model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
        epochs: list[Epoch] = []
        states: list[dict[str, Tensor]] = []
        for epoch in range(config.epochs):
            windows = config.windows.draw(histories, listeners, lookback=window, rng=rng)
            steps = list(
                batches(
                    windows,
                    batch_size=config.windows_per_batch(window),
                    rng=rng,
                    most_tokens=config.most_tokens,
                )
            )
            step_count, token_count = len(steps), int((windows.length * windows.weights).sum())
            worth = torch.from_numpy(labels.worth(token_count / step_count))  # (4,)
            total, label_count = torch.zeros(4), torch.zeros(4)
            for step, chosen in enumerate(steps):
                batch = histories.batch(chosen).shown(architecture.inputs)
                logits = model(batch.song, batch.features, batch.candidate)
                weight = batch.weight[:, None, None]
                losses = (weight * feedback_losses(logits, batch.targets)).sum(dim=(0, 1))  # (4,)

                for group in optimizer.param_groups:
                    group["lr"] = config.rate(epoch + step / step_count)
                optimizer.zero_grad()
                (losses * worth).sum().backward()
                clip_grad_norm_(model.parameters(), config.max_grad_norm, error_if_nonfinite=True)
                optimizer.step()

                total += losses.detach()
                label_count += (weight * observed(batch.targets)).sum(dim=(0, 1))
                advance(int(batch.length.sum()))
            mean_losses = (total / label_count.clamp(min=1)).tolist()
            epochs.append(Epoch(losses=mean_losses, validation=_judge(model, histories, split, config)))
            states.append({name: value.clone() for name, value in model.state_dict().items()})
    kept = int(mean_ranks(np.array([epoch.validation.losses for epoch in epochs])).argmin())
    best = best_epochs(epochs, otherwise=kept)
    model.load_state_dict(states[kept])
    return TrainedWorldModel(
        model=model.eval(),
        epochs=tuple(epochs),
        kept=kept,
        best=best,
        checkpoints={epoch: states[epoch] for epoch in sorted({kept, *best})},
    )


def best_epochs(epochs: Sequence[Epoch], *, otherwise: int) -> tuple[int, int, int, int]:
    """Return each signal's epoch of the lowest validation loss; `otherwise` where a signal has no labels."""
    losses = np.array([epoch.validation.signal_losses for epoch in epochs])  # (epochs, 4)
    engagement, rating, valence, arousal = (
        otherwise if np.isnan(column).any() else int(column.argmin()) for column in losses.T
    )
    return engagement, rating, valence, arousal


def train_ensemble(
    histories: Histories,
    split: Split,
    *,
    feature_names: tuple[str, ...],
    preset: WorldPreset,
    seed: int,
    processes: int = 1,
    advance: Advance = lambda _: None,
) -> list[TrainedWorldModel[WorldModel]]:
    """Return the members, each fitted to its own bootstrap of the training listeners.

    The same seed gives the same members, however many processes they are trained in.
    """
    tasks = [
        _Member(histories, split, feature_names, preset, each) for each in _member_seeds(seed, preset.member_count)
    ]
    return map_tasks(_train_member, tasks, processes=processes, advance=advance)


@dataclass(frozen=True, slots=True)
class _Member:
    histories: Histories
    split: Split
    feature_names: tuple[str, ...]
    preset: WorldPreset
    seed: np.random.SeedSequence


def _train_member(task: _Member, advance: Advance) -> TrainedWorldModel[WorldModel]:
    rng = np.random.default_rng(task.seed)
    bootstrap = draw_bootstrap(task.split, rng)
    return train_world_model(
        task.histories,
        bootstrap.judged(task.split),
        feature_names=task.feature_names,
        architecture=task.preset.architecture,
        config=task.preset.training,
        rng=rng,
        listeners=bootstrap.drawn,
        advance=advance,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bootstrap:
    """What becomes of the training listeners in one member."""

    drawn: Int[ndarray, " n"]
    """It is fitted to them; some come more than once, about a third not at all."""
    judges: Int[ndarray, " j"]
    """Of those left out, as many as there are validation listeners: they choose its checkpoint."""
    strangers: Int[ndarray, " s"]
    """The rest of those left out: it knows nothing of them."""

    def judged(self, split: Split) -> Split:
        """Return the split with the judges as validation listeners; the split itself where nobody was left out.

        So validation listeners are strangers to the whole ensemble, and may calibrate it
        (docs/decisions/intervals.md).
        """
        return replace(split, validation=self.judges) if len(self.judges) else split


def draw_bootstrap(split: Split, rng: np.random.Generator) -> Bootstrap:
    """Return a bootstrap of the training listeners."""
    drawn = rng.choice(split.train, len(split.train))
    left_out = np.setdiff1d(split.train, drawn)
    judges = np.sort(rng.choice(left_out, min(len(left_out), len(split.validation)), replace=False))
    return Bootstrap(drawn=drawn, judges=judges, strangers=np.setdiff1d(left_out, judges))


def ensemble_bootstraps(split: Split, *, seed: int, member_count: int) -> list[Bootstrap]:
    """Return the bootstraps that `train_ensemble` draws of the same split with the same seed."""
    return [draw_bootstrap(split, np.random.default_rng(each)) for each in _member_seeds(seed, member_count)]


def _member_seeds(seed: int, member_count: int) -> list[np.random.SeedSequence]:
    return [np.random.SeedSequence([seed, number]) for number in range(member_count)]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelStatistics:
    """What the training labels say before anything is learned."""

    mean: Float[ndarray, " 4"]
    """Of each signal, in (0, 1); one half where there are no labels."""
    loss: Float[ndarray, " 4"]
    """What always predicting the mean costs: the variance; the entropy of the rating, in nats."""
    share: Float[ndarray, " 4"]
    """Labels per token."""

    @classmethod
    def of(cls, targets: Float[ndarray, "T 4"]) -> "LabelStatistics":
        """Return the statistics of the training tokens' targets."""
        known = ~np.isnan(targets)
        count = known.sum(axis=0)
        filled = np.where(known, targets, 0.0)
        mean = np.where(count > 0, filled.sum(axis=0) / np.maximum(count, 1), 0.5).clip(0.02, 0.98)
        loss = (np.where(known, targets - mean, 0.0) ** 2).sum(axis=0) / np.maximum(count, 1)
        liked = mean[Signal.RATING]
        loss[Signal.RATING] = -liked * np.log(liked) - (1 - liked) * np.log(1 - liked)
        return cls(mean=mean, loss=np.maximum(loss, 1e-3), share=known.mean(axis=0))

    def worth(self, token_count: float) -> Float[ndarray, " 4"]:
        """Return what one label's loss is worth in a batch of so many tokens.

        Every signal then starts at a loss of about 1 (inverse label variance: SCIENCE, loss weights), and every
        label counts the same, whichever batch it falls into.
        """
        labels = np.maximum(self.share * token_count, 1.0)
        return np.asarray(1.0 / (self.loss * labels), np.float32)


def _judge(model: WorldForm, histories: Histories, split: Split, config: WorldTrainingConfig) -> PredictionScores:
    predicted = predict_histories([model], histories, split.validation, lookback=config.lookback)[0]
    rows = histories.tokens_of(split.validation)
    return prediction_scores(predicted[rows], histories.targets[rows])
