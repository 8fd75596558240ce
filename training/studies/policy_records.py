"""From rollouts to the flat rows that Tables 4 and 5 and their figures are made of.

Predicted means are the world models' own opinion; true ones are the simulated platform's expectation, None where
nobody knows. A number that does not exist is None.

Legend: R rollouts · T steps · N songs
"""

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray

from models.affect import SIGNALS
from models.exposure import coverage, gini, intra_list_diversity, mean_cosine_distance, normalized_entropy
from models.guardrails import AFFECT
from models.listening import NO_SONG, Mode
from models.tokens import tokenise
from training.choosing import Setting
from training.dpo import DpoLook, catalogue_kl
from training.judges.paired import rollout_means
from training.judges.truth import REGIONS
from training.metrics.adherence import Adherence, logged_after, time_step, user_wise
from training.rollout import Rollouts, Start
from training.situations import StartWindows
from training.studies.cells import Row, Scalar
from training.trained import PolicyOver
from training.windows import Histories

TRUE, PREDICTED = "true", "predicted"
USER_WISE, TIME_STEP = 2, 3
"""The levels of adherence, as the paper counts them."""


def policy_rows(
    rollouts: Mapping[str, Rollouts],
    networks: Mapping[str, PolicyOver],
    start: Start,
    setting: Setting,
    *,
    embeddings: Float[ndarray, "N E"],
    temperature: float,
) -> Iterator[Row]:
    """Yield one row per policy: means of the four signals, diversity, and distance from Copycat.

    Args:
        rollouts: Copycat's come first.
        networks: of the policies that have a distribution over the catalogue; Copycat's comes first.
        start: where they began.
        setting: under which they played.
        embeddings: in which songs are like or unlike each other.
        temperature: τ of the distributions.
    """
    distance = mean_cosine_distance(embeddings)
    reference = next(iter(rollouts.values()))
    divergence = dict(_divergence(networks, start, setting, temperature))
    for name, each in rollouts.items():
        counts = np.bincount(each.song[each.song != NO_SONG], minlength=len(embeddings))
        yield {
            "policy": name,
            **_means(PREDICTED, each.predicted.reshape(-1, 4)),
            **_means(TRUE, each.true_signals.reshape(-1, 4)),
            "coverage": coverage(counts),
            "normalized_entropy": normalized_entropy(counts),
            "gini": gini(counts),
            "intra_list_diversity": intra_list_diversity(each.song, embeddings, catalogue_distance=distance),
            "kl_nats": divergence.get(name),
            "same_first_song": float(np.mean(each.song[:, 0] == reference.song[:, 0])),
        }


def listener_rows(rollouts: Mapping[str, Rollouts], listener: Int[ndarray, " R"]) -> Iterator[Row]:
    """Yield one row per policy and listener: means over the listener's rollouts, and distances by mode.

    What stands for one listener under two policies began alike, so that differences are paired and intervals can
    be drawn by listener.
    """
    who, place = np.unique(listener, return_inverse=True)
    for name, each in rollouts.items():
        predicted = rollout_means(each.predicted, each)
        true = rollout_means(each.true_signals, each)
        away = rollout_means(_distance(each.true_signals, each.mode), each)
        for number, person in enumerate(who):
            own = place == number
            yield {
                "policy": name,
                "listener": int(person),
                **_means(PREDICTED, predicted[own]),
                **_means(TRUE, true[own]),
                **{
                    f"distance_{mode.label}": _mean(away[own & (each.mode == mode)])
                    for mode in Mode
                    if np.any(own & (each.mode == mode))
                },
            }


def trajectory_rows(rollouts: Mapping[str, Rollouts], start: Start) -> Iterator[Row]:
    """Yield mean valence and arousal by policy, mode and step; step 0 is where the rollouts began.

    The error is how far predicted and true affect lie apart, the mean over rollouts.
    """
    began = np.full((len(start.listening.population), 2), np.nan) if start.state is None else start.state.affect
    for name, each in rollouts.items():
        estimate = each.predicted[:, 0, AFFECT] - each.step[:, 0]
        for mode in Mode:
            chosen = each.mode == mode
            if not chosen.any():
                continue
            for step in range(each.song.shape[1] + 1):
                predicted = estimate if step == 0 else each.predicted[:, step - 1, AFFECT]
                true = began if step == 0 else each.true_signals[:, step - 1, AFFECT]
                yield {
                    "policy": name,
                    "mode": mode.label,
                    "step": step,
                    "rollouts": int(chosen.sum()),
                    **_affect(PREDICTED, predicted[chosen]),
                    **_affect(TRUE, true[chosen]),
                    **_affect("error", np.abs(predicted - true)[chosen]),
                }


def exposure_rows(rollouts: Mapping[str, Rollouts], song_count: int) -> Iterator[Row]:
    """Yield how many songs each policy offered how often, never included."""
    for name, each in rollouts.items():
        offered = np.bincount(each.song[each.song != NO_SONG], minlength=song_count)
        for times, songs in zip(*np.unique(offered, return_counts=True), strict=True):
            yield {"policy": name, "times": int(times), "songs": int(songs)}


def look_rows(looks: Mapping[str, tuple[DpoLook, ...]]) -> Iterator[Row]:
    """Yield what preference optimisation saw on its way."""
    for name, each in looks.items():
        for look in each:
            yield {
                "policy": name,
                "step": look.step,
                "loss_nats": look.loss_nats,
                "kl_nats": look.kl_nats,
                "flattening": look.flattening,
            }


def adherence_rows(
    rollouts: Mapping[str, Rollouts], split: str, windows: StartWindows, histories: Histories
) -> Iterator[Row]:
    """Yield adherence at both levels."""
    for name, each in rollouts.items():
        logged = logged_after(windows, histories, count=each.song.shape[1])
        found = {
            USER_WISE: user_wise(each.ranked, windows.listener, histories),
            TIME_STEP: time_step(each.ranked, logged),
        }
        for level, adherence in found.items():
            yield {"policy": name, "split": split, "level": level, **_plain(adherence)}


def _plain(adherence: Adherence) -> dict[str, Scalar]:
    return {
        "rankings": adherence.ranking_count,
        "accuracy": adherence.accuracy,
        "hit_rate": adherence.hit_rate,
        "reciprocal_rank": adherence.reciprocal_rank,
        "ndcg": adherence.ndcg,
        "ndcg_of_hits": adherence.ndcg_of_hits,
    }


def _divergence(
    networks: Mapping[str, PolicyOver], start: Start, setting: Setting, temperature: float
) -> Iterator[tuple[str, float]]:
    """Yield KL(policy ‖ Copycat) over the catalogue, the mean over where the rollouts begin."""
    copycat = next(iter(networks.values()))
    tokens = tokenise(start.listening, setting.context).latest(setting.lookback)
    rows, last = setting.catalogue.rows(tokens.song), tokens.length[:, None]
    targets = torch.from_numpy(copycat.targets)
    held = torch.from_numpy(copycat.wanted_after(rows, tokens.features, last)[:, 0])
    for name, each in networks.items():
        wanted = torch.from_numpy(each.wanted_after(rows, tokens.features, last)[:, 0])
        kl = catalogue_kl(wanted, held, targets, temperature=temperature).mean()
        yield name, max(0.0, float(kl))  # rounding leaves a hair below 0


def _distance(signals: Float[ndarray, "R T 4"], mode: Int[ndarray, " R"]) -> Float[ndarray, "R T"]:
    """Return how far valence and arousal, together, lie from the region of each rollout's mode."""
    everywhere = np.broadcast_to(mode[:, None], signals.shape[:2])
    return REGIONS.distance(signals[..., AFFECT], everywhere).sum(axis=-1)


def _means(whose: str, signals: Float[ndarray, "n 4"]) -> dict[str, Scalar]:
    return {f"{whose}_{name}": _mean(signals[:, place]) for place, name in enumerate(SIGNALS)}


def _affect(whose: str, affect: Float[ndarray, "n 2"]) -> dict[str, Scalar]:
    return {f"{whose}_{name}": _mean(affect[:, place]) for place, name in enumerate(SIGNALS[AFFECT])}


def _mean(values: Float[ndarray, " n"]) -> float | None:
    """Return the mean of what is known, to six decimals; None of nothing."""
    known = values[~np.isnan(values)]
    return round(float(known.mean()), 6) if len(known) else None
