"""Copycat: behaviour cloning of the production policy, the reference that preference optimisation is tied to.

Given a history, the policy looks in the direction of the song that was played next; every song of the catalogue
is a negative, which at some thousand songs is cheaper than sampling. Source: AMRS eq. 1 (InfoNCE).

Legend: B windows · L tokens · P plays in a batch · N songs · Q target width
"""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import AdamW

from models.errors import ConfigError
from models.listening import NO_SONG
from training.catalogue_nats import catalogue_nats
from training.networks.encoder import EncoderConfig, HistoryEncoder
from training.networks.policy import PolicyNetwork
from training.networks.reading import Reading, ReadingConfig, UnscaledConfig, fit_reading, fit_unscaled
from training.networks.standardisation import standardisation
from training.seeding import torch_seeded_by
from training.splits import Split
from training.trained import unit_targets
from training.windows import Batch, Bound, Histories, alike, batches, cut, whole_histories

_ENCODER: Final = EncoderConfig(width=64, blocks=2, heads=4, dropout=0.2)
_TARGET: Final = ReadingConfig(components=32, spread=1.0)
_AT_ONCE: Final = Bound(windows=64)
"""Of validation histories. A bound of tokens would round their loss otherwise, and might keep another epoch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CopycatConfig:
    """The policy's architecture and how it is cloned."""

    encoder: EncoderConfig = _ENCODER
    target: ReadingConfig | UnscaledConfig = _TARGET
    """The space in which it looks for the next one: whitened, so that neighbours can be told apart."""
    temperature: float = 0.2
    """τ: how sharply the cosine becomes a probability; see docs/decisions/policy.md for why not 0.05."""
    epochs: int = 12
    patience: int = 3
    """Epochs without a better validation loss after which cloning stops."""
    batch_size: int = 32
    learning_rate: float = 3e-3
    weight_decay: float = 0.05
    max_grad_norm: float = 1.0

    def __post_init__(self) -> None:
        if not self.temperature > 0 or self.epochs < 1 or self.patience < 1 or self.batch_size < 1:
            raise ConfigError(
                "temperature must be above 0 and epochs, patience and batch_size at least 1; got "
                f"{self.temperature}, {self.epochs}, {self.patience} and {self.batch_size}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class CloningEpoch:
    """Mean loss of one epoch, in nats per play."""

    train_nats: float
    validation_nats: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Copycat:
    """The cloned policy, at its best epoch, and the road to it."""

    network: PolicyNetwork
    target: Reading
    """Embedding → the space of the policy's cosine, before scaling to unit length."""
    epochs: tuple[CloningEpoch, ...]


def info_nce(
    wanted: Float[Tensor, "P Q"], played: Int[Tensor, " P"], targets: Float[Tensor, "N Q"], *, temperature: float
) -> Float[Tensor, " P"]:
    """Return the InfoNCE loss of each play, in nats: −log softmax over the catalogue of cosine / τ.

    Args:
        wanted: ŝ, of unit length.
        played: row of the song that was played next.
        targets: every song of the catalogue, of unit length.
        temperature: τ, above 0.

    Returns:
        log N where the policy looks at no song more than at another.
    """
    return catalogue_nats(wanted / temperature, targets, played)


def target_space(embeddings: Float[ndarray, "N E"], config: ReadingConfig | UnscaledConfig) -> Reading:
    """Return the map into the space in which the policy looks, fitted on the given songs."""
    if isinstance(config, UnscaledConfig):
        return fit_unscaled(embeddings, config)
    return fit_reading(embeddings, config)


def clone_behaviour(
    histories: Histories,
    embeddings: Float[ndarray, "N E"],
    split: Split,
    *,
    feature_names: tuple[str, ...],
    lookback: int,
    config: CopycatConfig,
    rng: np.random.Generator,
    advance: Callable[[CloningEpoch], None] = lambda _: None,
) -> Copycat:
    """Return the policy that best repeats the logged choices of the validation listeners.

    Args:
        histories: of every listener.
        embeddings: of the catalogue, in the order of the histories' song rows.
        split: whom to learn from, and by whom to choose the epoch.
        feature_names: of the tokens.
        lookback: tokens in the longest window.
        config: architecture and recipe.
        rng: first weights, dropout, and the order of windows.
        advance: told of each epoch as it ends.
    """
    heard = np.unique(histories.song_row[histories.tokens_of(split.train)])
    heard = heard[heard != NO_SONG]
    target = target_space(embeddings[heard], config.target)
    targets = torch.from_numpy(unit_targets(target, embeddings))
    standard = standardisation(histories.columns.features[histories.tokens_of(split.train)], feature_names)
    with torch_seeded_by(rng):
        song_width = histories.song_vectors.shape[1]
        encoder = HistoryEncoder(config.encoder, song_width=song_width, standard=standard)
        network = PolicyNetwork(encoder, target_width=target.width)

        def nats(batch: Batch, counted: Bool[Tensor, "B L"]) -> Float[Tensor, " P"]:
            wanted = network(batch.song, batch.features)[:, :-1][counted]  # (P, Q): before each play
            return info_nce(wanted, batch.song_row[counted], targets, temperature=config.temperature)

        epochs = learn_plays(
            network, nats, histories, split, lookback=lookback, config=config, rng=rng, advance=advance
        )
    return Copycat(network=network.eval(), target=target, epochs=epochs)


def learn_plays(
    network: nn.Module,
    nats_of: Callable[[Batch, Bool[Tensor, "B L"]], Float[Tensor, " P"]],
    histories: Histories,
    split: Split,
    *,
    lookback: int,
    config: CopycatConfig,
    rng: np.random.Generator,
    advance: Callable[[CloningEpoch], None],
) -> tuple[CloningEpoch, ...]:
    """Train a network until it no longer better foretells the plays of validation listeners; return the epochs.

    It is left at the best of them.

    Args:
        network: whatever says what is played next; dropout draws from torch's own stream.
        nats_of: the loss of every play that counts, in nats, foretold from what came before it.
        histories: of every listener.
        split: whom to learn from, and by whom to choose the epoch.
        lookback: tokens in the longest window.
        config: the recipe; neither architecture, target nor temperature is read.
        rng: the order of windows.
        advance: told of each epoch as it ends.
    """
    optimizer = AdamW(network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    curve: list[CloningEpoch] = []
    best = deepcopy(network.state_dict())
    for epoch in range(config.epochs):
        network.train()
        windows = cut(histories, split.train, lookback=lookback, rng=rng)
        total_nats, play_count = 0.0, 0
        for chosen in batches(windows, batch_size=config.batch_size, rng=rng):
            batch = histories.batch(chosen)
            plays = batch.song_row != NO_SONG  # (B, L)
            if not plays.any():
                continue
            nats = nats_of(batch, plays)

            optimizer.zero_grad()
            nats.mean().backward()
            clip_grad_norm_(network.parameters(), config.max_grad_norm, error_if_nonfinite=True)
            optimizer.step()
            total_nats, play_count = total_nats + float(nats.detach().sum()), play_count + len(nats)

        network.eval()
        validation = _mean_nats(nats_of, histories, split.validation, lookback=lookback)
        curve.append(CloningEpoch(train_nats=total_nats / max(play_count, 1), validation_nats=validation))
        advance(curve[-1])
        best_epoch = int(np.argmin([each.validation_nats for each in curve]))
        if best_epoch == epoch:
            best = deepcopy(network.state_dict())
        elif epoch - best_epoch >= config.patience:
            break
    network.load_state_dict(best)
    return tuple(curve)


@torch.inference_mode()
def _mean_nats(
    nats_of: Callable[[Batch, Bool[Tensor, "B L"]], Float[Tensor, " P"]],
    histories: Histories,
    listeners: Int[ndarray, " b"],
    *,
    lookback: int,
) -> float:
    """Return the mean loss over every play of the given listeners, each told from as much as fits, in nats."""
    read = whole_histories(histories, listeners, lookback=lookback)
    total_nats, play_count = 0.0, 0
    for rows in alike(read.windows.length, _AT_ONCE):
        batch = histories.batch(read.windows.take(rows))
        nats = nats_of(batch, torch.from_numpy(read.reads(rows)[0]) & (batch.song_row != NO_SONG))
        total_nats, play_count = total_nats + float(nats.sum()), play_count + len(nats)
    return total_nats / max(play_count, 1)
