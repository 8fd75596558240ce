"""What songs do, as a world model has it and as it is: in which order it puts candidates, and how far apart.

On the simulated platform every listener's true response to every song is known. Uniform songs are asked for after
each test listener's whole history; their predictions are compared with the truth listener by listener: with the
song's effect on valence and on arousal, and with the expected engagement and rating. Beside the model stand the
population's tag, how often a song was played, the best linear reading of the embedding, and the best predictor
from the observed history.

Legend: b listeners · N candidates · S songs · E embedding width
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from models.affect import SIGNALS, Signal
from models.listening import NO_SONG
from training.material import Material, affect_tags
from training.metrics.prediction import kendall_tau, pairwise_accuracy, slope_of_truth
from training.networks.linear_part import AFFECT
from training.networks.world import WorldForm
from training.platform.kalman import believed_listeners, filter_observed
from training.platform.truth import TrueState, Truth
from training.prediction import ask_candidates
from training.studies.cells import Row
from training.studies.prediction_records import told

_CANDIDATES: Final = 100
"""Uniform songs asked of each test listener."""
_FOLDS: Final = 5
"""Songs are read by a map fitted on the songs of the other folds."""
_DOUBTS: Final = tuple(float(doubt) for doubt in np.geomspace(1e-4, 1.0, 9))
"""Ridge penalties that are tried, as shares of the embedding's largest variance."""
_READERS: Final = 200
"""Listeners over whom a song's true effect is averaged before it is read from embeddings."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Question:
    """Which songs are asked of whom, and what is true of them."""

    listeners: Int[ndarray, " b"]
    """Rows of the histories."""
    songs: Int[ndarray, "b N"]
    truth: Float[ndarray, "b N 4"]
    """In `Signal` order: expected engagement and P(like), then the effect on valence and on arousal."""


def draw_question(
    material: Material, truth: Truth, rng: np.random.Generator, *, among: Int[ndarray, " n"] | None = None
) -> Question:
    """Return uniform candidates for every test listener, the same for every model that is asked.

    Args:
        material: whose test listeners are asked.
        truth: of its log.
        rng: draws the candidates.
        among: rows of the songs they are drawn from; the whole catalogue when None.
    """
    listeners = material.split.test
    pool = np.arange(len(material.catalogue)) if among is None else among
    songs = pool[rng.integers(len(pool), size=(len(listeners), _CANDIDATES))]
    return Question(listeners=listeners, songs=songs, truth=_true(material, truth, listeners, songs))


def model_order(
    name: str, member: WorldForm, material: Material, question: Question, *, lookback: int
) -> Iterator[Row]:
    """Yield how a world model orders the candidates, a row per signal."""
    asked = ask_candidates(member, material.histories, question.listeners, question.songs, lookback=lookback)
    return _order(name, asked, question)


def reference_order(material: Material, truth: Truth, question: Question) -> Iterator[Row]:
    """Yield the same of the population's tag, of popularity, of the best linear reading, of the Kalman filter."""
    tags = np.full((len(material.catalogue), 4), np.nan)
    tags[:, AFFECT] = affect_tags(material.log)
    yield from _order("population tag", tags[question.songs], question)
    plays = np.full((len(material.catalogue), 4), np.nan)
    plays[:, : Signal.RATING + 1] = _play_counts(material)[:, None]
    yield from _order("plays by training listeners", plays[question.songs], question)
    read = linear_reading(material, truth)
    yield from _order("best linear reading of the embedding", read[question.songs], question)
    simulation = truth.simulation
    believed = replace(simulation, listeners=believed_listeners(simulation, filter_observed(simulation)))
    expected = _true(material, Truth(believed), question.listeners, question.songs)
    yield from _order("best from the observed history", expected, question)


def linear_reading(material: Material, truth: Truth) -> Float[ndarray, "S 4"]:
    """Return each song's true response, the mean over some listeners, as a ridge regression reads it.

    Songs are read by a map that was fitted on other songs; of several penalties, each signal has the best. No
    order that is the same for everybody and linear in the embedding should do much better.
    """
    listeners = material.split.test[:_READERS]
    everything = np.broadcast_to(np.arange(len(material.catalogue)), (len(listeners), len(material.catalogue)))
    response = _true(material, truth, listeners, everything).mean(axis=0)  # (S, 4)
    fold = np.arange(len(response)) % _FOLDS
    read = np.empty((len(_DOUBTS), *response.shape))
    for number in range(_FOLDS):
        known = fold != number
        read[:, ~known] = _ridge_readings(material.embeddings[known], response[known], material.embeddings[~known])
    errors = ((read - response) ** 2).mean(axis=1)  # (doubts, 4)
    return np.take_along_axis(read, errors.argmin(axis=0)[None, None], axis=0)[0]


def _ridge_readings(
    known: Float[ndarray, "n E"], response: Float[ndarray, "n 4"], unknown: Float[ndarray, "m E"]
) -> Float[ndarray, "doubts m 4"]:
    """Return what each penalty makes of the unknown songs."""
    centre, mean = known.mean(axis=0, dtype=np.float64), response.mean(axis=0)
    deviations = known - centre
    variances, directions = np.linalg.eigh(deviations.T @ deviations)
    along = directions.T @ (deviations.T @ (response - mean))  # (E, 4)
    seen = (unknown - centre) @ directions  # (m, E)
    return np.stack([mean + seen @ (along / (variances + doubt * variances[-1])[:, None]) for doubt in _DOUBTS])


def _true(
    material: Material, truth: Truth, listeners: Int[ndarray, " b"], songs: Int[ndarray, "b N"]
) -> Float[ndarray, "b N 4"]:
    """Return the true response after each listener's whole history."""
    rows = material.listener_rows[listeners]
    state: TrueState = truth.start(rows, material.histories.token_counts[listeners])
    response = truth.expected(state, songs)
    response[..., AFFECT] = truth.song_effect(rows, songs)
    return response


def _play_counts(material: Material) -> Int[ndarray, " S"]:
    rows = material.histories.song_row[material.histories.tokens_of(material.split.train)]
    return np.bincount(rows[rows != NO_SONG], minlength=len(material.catalogue))


def _order(name: str, predicted: Float[ndarray, "b N 4"], question: Question) -> Iterator[Row]:
    """Yield one row per signal; None where nothing is predicted of a signal, or all songs are alike."""
    for signal in Signal:
        guess = predicted[..., signal].astype(np.float64)
        true = question.truth[..., signal]
        silent = bool(np.isnan(guess).any() or not np.ptp(guess, axis=1).any())
        yield {
            "row": name,
            "signal": SIGNALS[signal],
            "pairwise": None if silent else told(pairwise_accuracy(guess, true)),
            "kendall_tau": None if silent else told(kendall_tau(guess, true)),
            "slope": None if silent else told(slope_of_truth(guess, true)),
        }
