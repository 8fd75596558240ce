"""Adherence: how near a policy's ranking stays to what the production policy played. A diagnostic, not a target.

At each step of a rollout the policy puts its first songs in order, and each is relevant or not. Level 2: it
stands anywhere in that listener's log. Level 3: it is the song logged at that very step after the window; steps
for which the log holds no song are left out, and counted. Source: AMRS §4.2 and §4.6.

Two readings of the paper are settled by its own Random row (docs/results/README.md). Reciprocal ranks are those
of the first ten places: over the whole catalogue, Random would have a level-3 MRR of .001 where it prints .000.
NDCG has full ideal gains here (SCIENCE §1); Random's .016 at level 2 needs the ideal of the hits that were found,
which stands beside it.

Legend: B rankings · D places of a ranking, best first · R rollouts · T steps · N songs of the catalogue
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from models.listening import NO_SONG
from training.situations import StartWindows
from training.windows import Histories


@dataclass(frozen=True, slots=True, kw_only=True)
class Adherence:
    """How near the first D places are to the log, over every ranking that counts; None where none does."""

    ranking_count: int
    accuracy: float | None
    """The share of rankings whose first song is relevant."""
    hit_rate: float | None
    reciprocal_rank: float | None
    ndcg: float | None
    ndcg_of_hits: float | None


def user_wise(ranked: Int[ndarray, "R T D"], listener: Int[ndarray, " R"], histories: Histories) -> Adherence:
    """Return adherence at level 2: a song is relevant if the listener's log holds it anywhere.

    Args:
        ranked: rows of songs, best first.
        listener: whose log each rollout is held against, as a row of the histories.
        histories: every listener's whole log.
    """
    song_count = len(histories.song_vectors)
    owner = np.repeat(np.arange(len(histories.token_counts)), histories.token_counts)
    played = histories.song_row != NO_SONG
    logged = np.unique(owner[played] * song_count + histories.song_row[played])
    songs = np.bincount(logged // song_count, minlength=len(histories.token_counts))
    asked = np.where(ranked == NO_SONG, NO_SONG, listener[:, None, None] * song_count + ranked)
    relevant = np.isin(asked, logged)
    return _adherence(_flat(relevant), np.repeat(songs[listener], ranked.shape[1]))


def time_step(ranked: Int[ndarray, "R T D"], logged: Int[ndarray, "R T"]) -> Adherence:
    """Return adherence at level 3: a song is relevant if it was logged at that very step.

    Args:
        ranked: rows of songs, best first.
        logged: what was played at each step; rankings without are left out.
    """
    counted = logged != NO_SONG
    relevant = ranked[counted] == logged[counted][:, None]
    return _adherence(relevant, np.ones(len(relevant), np.int64))


def logged_after(windows: StartWindows, histories: Histories, *, count: int) -> Int[ndarray, "W count"]:
    """Return the rows of the songs that each listener's log holds after a window; `NO_SONG` where it ends."""
    is_play = histories.song_row != NO_SONG
    plays = histories.song_row[is_play]
    before = np.concatenate([[0], np.cumsum(is_play)])  # plays before each token
    first = before[histories.columns.start[windows.listener] + windows.stop]
    end = before[histories.columns.start[windows.listener + 1]]
    place = first[:, None] + np.arange(count)
    there = place < end[:, None]
    return np.where(there, plays[np.where(there, place, 0)], NO_SONG)


def hit_rate(relevant: Bool[ndarray, "B D"]) -> float:
    """Return the share of rankings with a relevant song among the first D."""
    return float(relevant.any(axis=1).mean())


def mean_reciprocal_rank(relevant: Bool[ndarray, "B D"]) -> float:
    """Return the mean of 1 / place of the first relevant song; 0 where none is among the first D."""
    reciprocal = np.where(relevant.any(axis=1), 1.0 / (relevant.argmax(axis=1) + 1), 0.0)
    return float(reciprocal.mean())


def ndcg(relevant: Bool[ndarray, "B D"], relevant_count: Int[ndarray, " B"]) -> float:
    """Return the mean discounted gain of the first D over that of a perfect ranking, in [0, 1].

    The ideal is full: as many relevant songs as there are, up to D. A ranking without any counts 0.

    Args:
        relevant: by place.
        relevant_count: how many songs of the catalogue are relevant to each ranking; at least those found.
    """
    discount = 1.0 / np.log2(np.arange(2, relevant.shape[1] + 2))  # (D,)
    ideals: Float[ndarray, " D1"] = np.concatenate([[0.0], np.cumsum(discount)])
    ideal = ideals[np.minimum(relevant_count, len(discount))]
    gained = relevant @ discount
    return float(np.divide(gained, ideal, out=np.zeros(len(gained)), where=ideal > 0).mean())


def _adherence(relevant: Bool[ndarray, "B D"], relevant_count: Int[ndarray, " B"]) -> Adherence:
    if not len(relevant):
        return Adherence(
            ranking_count=0, accuracy=None, hit_rate=None, reciprocal_rank=None, ndcg=None, ndcg_of_hits=None
        )
    return Adherence(
        ranking_count=len(relevant),
        accuracy=float(relevant[:, 0].mean()),
        hit_rate=hit_rate(relevant),
        reciprocal_rank=mean_reciprocal_rank(relevant),
        ndcg=ndcg(relevant, relevant_count),
        ndcg_of_hits=ndcg(relevant, relevant.sum(axis=1)),
    )


def _flat(relevant: Bool[ndarray, "R T D"]) -> Bool[ndarray, "B D"]:
    return relevant.reshape(-1, relevant.shape[-1])
