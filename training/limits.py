"""Guardrail limits read off the models' own steps: all that can be said where no truth is known.

A candidate *needs* a limit at least as wide as what it would do at its worst. A limit is a quantile of what
Copycat's candidates need in logged situations, so it forbids the boldest of them; but never so tight that more
than a few situations are left with hardly a song, or hardly any without one on the policy's own two rungs, for
then everything would fall back and nothing be guarded.

Source: SAFETY, Rules. Reasons and numbers: docs/decisions/guardrail-limits.md.

Legend: S situations · K candidates of the first rung · W of the wider one · N songs · G training songs · D width
· P plays
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from models.guardrails import GuardrailTable, Limits, Standing, Steps
from models.listening import Listening, Mode, Population

QUIET_MODES: Final = (Mode.CALM, Mode.SLEEP)
"""Where a rise of arousal works against what the listener asked for."""
LIVELY_MODES: Final = (Mode.ENERGIZE,)
"""Where a fall of arousal does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strictness:
    """How much of what Copycat would play is forbidden to one population."""

    share_allowed: float
    """Quantile of what candidates need at which an affect limit stands."""
    share_allowed_against: float
    """The same for an arousal step against the mode: up in a quiet one, down in a lively one."""
    share_starved: float
    """At most this share of situations may be left by one rule with less than `CHOICE_SHARE` to choose from."""
    support_share: float
    """Share of the training songs, each left out in turn, that would lie within the support."""


CONSUMER: Final = Strictness(
    share_allowed=0.95, share_allowed_against=0.85, share_starved=0.01, support_share=0.999
)
CLINICAL: Final = Strictness(
    share_allowed=0.90, share_allowed_against=0.75, share_starved=0.03, support_share=0.99
)
STRICTNESS: Final = {
    Population.UNSPECIFIED: CLINICAL,
    Population.CLINICAL: CLINICAL,
    Population.CONSUMER: CONSUMER,
}

CAUTION: Final = 1.0
"""κ, the same for everybody: limits are quantiles of steps taken to be κ spreads worse, so a larger κ would widen
them by as much as it tightens them."""
CHOICE_SHARE: Final = 0.25
"""With less than this share of its candidates a situation is starved."""
_FEWEST_PLAYS: Final = 3
_APPROVED_COUNT: Final = 40
_QUIET_SHARE: Final = 1 / 3
_LEAST_LIMIT: Final = 0.03
"""A quarter of a point on the nine-point manikin: nobody could report a smaller step."""
_ROWS: Final = 128
_SHOWN_DIGITS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ProposedSteps:
    """What Copycat's candidates would do in S logged situations, session starts as often as in the log."""

    steps: Steps
    """Of the candidates of the ladder's first two rungs, best first."""
    standing: Standing
    first_count: int
    """K, how many of them the first rung looks at."""


def derive_limits(
    proposed: ProposedSteps,
    *,
    share_emptied: float,
    support: Float[ndarray, "G D"],
    priors: dict[str, tuple[float, float]],
    approved: dict[str, tuple[str, ...]],
) -> GuardrailTable:
    """Return limits for every population and mode; all modes' situations together, since each has too few.

    Args:
        proposed: to training listeners.
        share_emptied: at most this share of situations may be left by one rule without any candidate.
        support: the training songs in the support map.
        priors: `mean_reports`.
        approved: `approved_songs`.
    """
    distances = leave_one_out_distances(support)
    table = {
        population.label: {
            mode.label: _limits(proposed, mode, strictness, share_emptied, distances) for mode in Mode
        }
        for population, strictness in STRICTNESS.items()
    }
    return GuardrailTable(limits=table, prior=priors, approved=approved)


def _limits(
    proposed: ProposedSteps,
    mode: Mode,
    strictness: Strictness,
    share_emptied: float,
    distances: Float[ndarray, " G"],
) -> Limits:
    """Return the limits of one mode at one strictness."""
    valence, arousal = proposed.steps.step.transpose(2, 0, 1)  # (S, W) each
    doubt = CAUTION * proposed.steps.spread
    away = np.abs(proposed.steps.estimate[..., 1] - proposed.standing.anchor[:, None, 1])

    def limit(needed: Float[ndarray, "S W"], *, against: bool = False) -> float:
        share = strictness.share_allowed_against if against else strictness.share_allowed
        first = needed[:, : proposed.first_count]
        chosen = limit_for(first, share_allowed=share, share_starved=strictness.share_starved)
        at_least = np.quantile(needed.min(axis=1), 1 - share_emptied)
        return max(chosen, ceil(at_least * 10**_SHOWN_DIGITS) / 10**_SHOWN_DIGITS)

    return Limits(
        arousal_rise=limit(arousal + doubt[..., 1], against=mode in QUIET_MODES),
        arousal_fall=limit(doubt[..., 1] - arousal, against=mode in LIVELY_MODES),
        arousal_band=limit(away),
        valence_fall=limit(doubt[..., 0] - valence),
        caution=CAUTION,
        support_distance=round(float(np.quantile(distances, strictness.support_share)), _SHOWN_DIGITS),
    )


def limit_for(needed: Float[ndarray, "S K"], *, share_allowed: float, share_starved: float) -> float:
    """Return a limit that allows the given share of candidates, and starves at most a share of situations.

    Args:
        needed: the limit at which each candidate would just be allowed.
        share_allowed: of all candidates.
        share_starved: of situations, which are left with less than `CHOICE_SHARE` of their candidates.
    """
    boldness = np.quantile(needed, share_allowed)
    to_choose_from = np.quantile(needed, CHOICE_SHARE, axis=1)  # (S,)
    availability = np.quantile(to_choose_from, 1 - share_starved)
    return round(max(float(boldness), float(availability), _LEAST_LIMIT), _SHOWN_DIGITS)


def leave_one_out_distances(support: Float[ndarray, "G D"]) -> Float[ndarray, " G"]:
    """Return each training song's distance to the nearest other one."""
    return nearest_distances(support, support, skip_first=1)


def nearest_distances(
    points: Float[ndarray, "N D"], support: Float[ndarray, "G D"], *, skip_first: int = 0
) -> Float[ndarray, " N"]:
    """Return each point's distance to its nearest support point, the `skip_first` nearest left out."""
    nearest = []
    wide = support.astype(np.float64)
    norms = (wide**2).sum(axis=1)
    for start in range(0, len(points), _ROWS):
        part = points[start : start + _ROWS].astype(np.float64)
        squared = 2 * part @ wide.T  # (rows, G); filled in place, because a table is slower to make than to use
        np.subtract((part**2).sum(axis=1)[:, None], squared, out=squared)
        squared += norms
        if skip_first:
            squared.partition(skip_first, axis=1)
        nearest.append(squared[:, skip_first].copy() if skip_first else squared.min(axis=1))
    return np.sqrt(np.maximum(np.concatenate(nearest), 0.0))


def mean_reports(listening: Listening) -> dict[str, tuple[float, float]]:
    """Return each population's mean report before listening; the mean of all where a population said nothing."""
    population = listening.population[listening.listener_of_session]
    said = ~np.isnan(listening.before[:, 0])
    everybody = listening.before[said].mean(axis=0) if said.any() else np.array([0.5, 0.5])
    means = {}
    for each in Population:
        own = listening.before[said & (population == each)]
        valence, arousal = own.mean(axis=0) if len(own) else everybody
        means[each.label] = (round(float(valence), _SHOWN_DIGITS), round(float(arousal), _SHOWN_DIGITS))
    return means


def approved_songs(
    listening: Listening, song_row: Int[ndarray, " P"], song_ids: Sequence[str], arousal: Float[ndarray, " N"]
) -> dict[str, tuple[str, ...]]:
    """Return songs to approve for each mode, the most heard out first.

    A song qualifies by at least three plays, a like, no dislike, and sessions whose valence did not fall in the
    mean; in the quiet modes it is also among the calmest third.

    Args:
        listening: of training listeners.
        song_row: the row of each play's song.
        song_ids: of the catalogue.
        arousal: the population's tag of each song; NaN where there is none, which bars the quiet modes.
    """
    count = len(song_ids)
    change = (listening.after - listening.before)[listening.session_of_play, 0]
    said = ~np.isnan(change)
    plays = np.bincount(song_row, minlength=count)
    likes = np.bincount(song_row[listening.rating == 1], minlength=count)
    dislikes = np.bincount(song_row[listening.rating == 0], minlength=count)
    lift = np.bincount(song_row[said], weights=change[said], minlength=count)
    heard = np.bincount(song_row, weights=np.nan_to_num(listening.engagement), minlength=count)
    good = (plays >= _FEWEST_PLAYS) & (likes > 0) & (dislikes == 0) & (lift >= 0)
    by_engagement = np.argsort(-heard / np.maximum(plays, 1), kind="stable")
    calm = (
        arousal <= np.nanquantile(arousal, _QUIET_SHARE) if np.isfinite(arousal).any() else np.zeros(count, bool)
    )

    def listed(suited: Bool[ndarray, " N"]) -> tuple[str, ...]:
        return tuple(song_ids[row] for row in by_engagement[suited[by_engagement]][:_APPROVED_COUNT])

    return {mode.label: listed(good & calm if mode in QUIET_MODES else good) for mode in Mode}
