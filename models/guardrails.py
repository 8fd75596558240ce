"""Guardrails: which candidate songs may be played next, and why the others may not (SAFETY, exactly).

One function, `vetoes`, judges (B, K) candidates; rollouts and the service call the same one. It fails closed:
where a number that a rule needs is not finite, that rule forbids. `choose` then takes the first allowed song
in the decoder's order (the policy's own, unless the bundle was judged with another one), and reorders near ties
only for the coverage floor.

A *step* is the change of the world model's affect estimate that a candidate would bring; its *spread* is the
standard deviation of that difference over the ensemble, so that what members share cancels. Right after a report
(before a session's first play, say) the step is taken from what the models expect of the average song, given the
report: both ends of a step come from the same model, and its pull toward the mean is no step. The report itself
is the anchor of the envelope (docs/decisions/guardrail-limits.md).

Legend: B listeners · K candidates · M ensemble members · R songs offered lately · last axis 2: valence, arousal
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import IntFlag, StrEnum
from hashlib import sha256
from typing import Annotated, Final

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.affect import Signal
from models.decoder import Decoder
from models.listening import NO_SONG, Mode, Population

AFFECT: Final = slice(Signal.VALENCE, Signal.AROUSAL + 1)


class Rule(IntFlag):
    """What can forbid a candidate; several may at once."""

    AROUSAL_STEP = 1
    AROUSAL_ENVELOPE = 2
    VALENCE_DROP = 4
    REPETITION = 8
    BLOCKED = 16
    UNKNOWN = 32

    @property
    def label(self) -> str:
        """The rule's name on the wire and in metrics."""
        return str(self.name).lower()


ALL_RULES: Final = Rule(sum(Rule))


class Rung(StrEnum):
    """The steps of the fallback ladder, widest first."""

    POLICY = "policy"
    WIDER = "wider"
    KNOWN_SAFE = "known_safe"
    APPROVED = "approved"
    SILENCE = "silence"


AFFECT_RULES: Final = Rule.AROUSAL_STEP | Rule.AROUSAL_ENVELOPE | Rule.VALENCE_DROP
"""What speaks of where a song leads affect."""

RUNG_RULES: Final = {
    Rung.POLICY: ALL_RULES,
    Rung.WIDER: ALL_RULES,
    Rung.KNOWN_SAFE: Rule.BLOCKED | Rule.REPETITION,
    Rung.APPROVED: Rule.BLOCKED | Rule.REPETITION,
}
"""What binds on each rung: known-safe and approved songs were allowed by people, not by predictions."""

PROPOSED_RUNGS: Final = (Rung.POLICY, Rung.WIDER)
"""Where the policy proposes and a decoder may reorder; people's lists keep people's order."""

Above = Annotated[float, Field(gt=0)]
Unit = Annotated[float, Field(ge=0, le=1)]
OFFERS_KNOWN: Final = 500
"""Of a listener's offers, as many as are remembered, the newest; see `_repeats` for what is not."""
Gap = Annotated[int, Field(ge=0, le=OFFERS_KNOWN)]


class Limits(BaseModel):
    """The limits of every rule for one mode and population. Written by the stress test, read by all."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    arousal_rise: Above
    """The largest arousal step up."""
    arousal_fall: Above
    """The largest arousal step down, as a positive number."""
    arousal_band: Above
    """Half the width of the arousal envelope around the last report."""
    valence_fall: Above
    """The largest valence step down, as a positive number."""
    caution: Annotated[float, Field(ge=0)]
    """κ: how many spreads a step is taken to be worse than its mean."""
    unreported_factor: Annotated[float, Field(gt=0, le=1)] = 0.75
    """What the four affect limits are multiplied by while the listener has reported nothing in the session."""
    song_gap: Gap = 40
    """A song is not offered again within this many songs."""
    song_gap_hours: Annotated[float, Field(ge=0)] = 12.0
    """...or within so many hours."""
    artist_gap: Gap = 2
    artist_gap_hours: Annotated[float, Field(ge=0)] = 0.0
    support_distance: Above
    """The farthest an embedding may lie from its nearest training song."""
    coverage_floor: Unit = 0.0
    """Below this coverage of the mode's last exposures, near ties are reordered by rarity; 0: never."""
    near_tie: Annotated[float, Field(ge=0)] = 0.0
    """ε: how far below the best allowed policy score a song may lie and still be reordered."""

    @property
    def digest(self) -> str:
        """The digest of every limit, 16 hexadecimal digits."""
        return sha256(self.model_dump_json().encode()).hexdigest()[:16]

    def tightened(self, other: "Limits") -> "Limits":
        """Return, limit by limit, the stricter of two: a clinician may tighten, never loosen."""
        smallest = ("arousal_rise", "arousal_fall", "arousal_band", "valence_fall", "unreported_factor")
        largest = ("caution", "song_gap", "song_gap_hours", "artist_gap", "artist_gap_hours")
        stricter = {name: min(getattr(self, name), getattr(other, name)) for name in smallest}
        stricter |= {name: max(getattr(self, name), getattr(other, name)) for name in largest}
        stricter["support_distance"] = min(self.support_distance, other.support_distance)
        return self.model_copy(update=stricter)


class GuardrailTable(BaseModel):
    """`guardrails.json`: limits per population and mode, priors for listeners who said nothing, approved songs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    limits: dict[str, dict[str, Limits]]
    """population → mode → limits; every pair must be there."""
    prior: dict[str, tuple[Unit, Unit]]
    """population → (valence, arousal) assumed of a listener who has reported nothing."""
    approved: dict[str, tuple[str, ...]] = {}
    """mode → ids of the songs operators approved for it: the last rung before silence."""

    @model_validator(mode="after")
    def _complete(self) -> "GuardrailTable":
        for population in Population:
            if population.label not in self.prior:
                raise ValueError(f"prior must name population {population.label!r}")
            for mode in Mode:
                if mode.label not in self.limits.get(population.label, {}):
                    raise ValueError(f"limits must name {population.label!r} in mode {mode.label!r}")
        return self

    def limits_for(self, population: Population, mode: Mode) -> Limits:
        """Return the limits of one listener."""
        return self.limits[population.label][mode.label]

    def prior_for(self, population: Population) -> tuple[float, float]:
        """Return the (valence, arousal) assumed of a listener of this population who has said nothing."""
        return self.prior[population.label]

    @property
    def digest(self) -> str:
        """The digest of the whole table, 16 hexadecimal digits."""
        return sha256(self.model_dump_json().encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LimitColumns:
    """One set of limits per listener, as columns. See `Limits` for what each means."""

    arousal_rise: Float[ndarray, " B"]
    arousal_fall: Float[ndarray, " B"]
    arousal_band: Float[ndarray, " B"]
    valence_fall: Float[ndarray, " B"]
    caution: Float[ndarray, " B"]
    unreported_factor: Float[ndarray, " B"]
    song_gap: Float[ndarray, " B"]
    song_gap_hours: Float[ndarray, " B"]
    artist_gap: Float[ndarray, " B"]
    artist_gap_hours: Float[ndarray, " B"]
    support_distance: Float[ndarray, " B"]
    coverage_floor: Float[ndarray, " B"]
    near_tie: Float[ndarray, " B"]


def limit_columns(limits: list[Limits]) -> LimitColumns:
    """Return the limits of B listeners as columns."""
    names = [field.name for field in fields(LimitColumns)]
    table = np.array([[getattr(each, name) for name in names] for each in limits], np.float64)
    return LimitColumns(**dict(zip(names, table.reshape(len(limits), len(names)).T, strict=True)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Standing:
    """Where each listener stands when the next song is chosen."""

    estimate: Float[ndarray, "B M 2"]
    """Affect after the last play, by each member; right after a report, what is expected of the average song."""
    anchor: Float[ndarray, "B 2"]
    """The last report of the session; the population's prior while there is none."""
    reported: Bool[ndarray, " B"]
    """Whether the anchor is a report."""
    recent_song: Int[ndarray, "B R"]
    """Keys of the songs offered lately, the latest first; `NO_SONG` beyond the last."""
    recent_artist: Int[ndarray, "B R"]
    recent_hours: Float[ndarray, "B R"]
    """Hours since each was offered."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidates:
    """K songs that the policy proposes to each of B listeners, and what is predicted of each."""

    song: Int[ndarray, "B K"]
    """Song keys; `NO_SONG` where there are fewer than K."""
    artist: Int[ndarray, "B K"]
    score: Float[ndarray, "B K"]
    """The policy's cosine."""
    predicted: Float[ndarray, "B M K 4"]
    """The four signals by each member."""
    blocked: Bool[ndarray, "B K"]
    """Blocked by the listener, a clinician or an operator; or withdrawn."""
    support_distance: Float[ndarray, "B K"]
    """From the song's embedding to its nearest training song."""


_CANDIDATE_COLUMNS: Final = tuple(field.name for field in fields(Candidates))


def stacked(batches: Sequence[Candidates]) -> Candidates:
    """Return the candidates of several batches as one; all have as many candidates and members."""
    if len(batches) == 1:
        return batches[0]
    return Candidates(
        **{name: np.concatenate([getattr(each, name) for each in batches]) for name in _CANDIDATE_COLUMNS}
    )


def side_by_side(standings: Sequence[Standing]) -> Standing:
    """Return standings, each a batch of one, as one batch; `NO_SONG` fills up the songs offered lately."""
    if len(standings) == 1:
        return standings[0]
    width = max(each.recent_song.shape[1] for each in standings)

    def filled(name: str, nothing: float) -> ndarray:
        columns = [getattr(each, name)[0] for each in standings]
        table = np.full((len(columns), width), nothing, columns[0].dtype)
        for row, column in zip(table, columns, strict=True):
            row[: len(column)] = column
        return table

    return Standing(
        estimate=np.concatenate([each.estimate for each in standings]),
        anchor=np.concatenate([each.anchor for each in standings]),
        reported=np.concatenate([each.reported for each in standings]),
        recent_song=filled("recent_song", float(NO_SONG)),
        recent_artist=filled("recent_artist", float(NO_SONG)),
        recent_hours=filled("recent_hours", np.nan),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Steps:
    """What each candidate would do to the affect estimate; last axis valence, arousal."""

    estimate: Float[ndarray, "B K 2"]
    step: Float[ndarray, "B K 2"]
    spread: Float[ndarray, "B K 2"]


def affect_steps(candidates: Candidates, standing: Standing) -> Steps:
    """Return the mean and the spread over the members of each candidate's step; source: SAFETY, Words."""
    affect = candidates.predicted[..., AFFECT].astype(np.float64)  # (B, M, K, 2)
    with np.errstate(invalid="ignore"):  # what is not finite becomes NaN, and NaN forbids
        difference = affect - standing.estimate[:, :, None, :]  # (B, M, K, 2)
        return Steps(estimate=affect.mean(axis=1), step=difference.mean(axis=1), spread=difference.std(axis=1))


def vetoes(candidates: Candidates, steps: Steps, standing: Standing, limits: LimitColumns) -> Int[ndarray, "B K"]:
    """Return which rules forbid each candidate, as a sum of `Rule` values; 0 where none does."""
    factor = np.where(standing.reported, 1.0, limits.unreported_factor)[:, None]  # (B, 1)
    with np.errstate(invalid="ignore"):  # as above: what is not finite becomes NaN
        doubt = limits.caution[:, None, None] * steps.spread  # (B, K, 2)
        worst_rise = steps.step[..., 1] + doubt[..., 1]
        worst_fall = steps.step[..., 1] - doubt[..., 1]
        worst_drop = steps.step[..., 0] - doubt[..., 0]
        from_anchor = np.abs(steps.estimate[..., 1] - standing.anchor[:, None, 1])

    allowed = {
        Rule.AROUSAL_STEP: (worst_rise <= limits.arousal_rise[:, None] * factor)
        & (worst_fall >= -limits.arousal_fall[:, None] * factor),
        Rule.AROUSAL_ENVELOPE: from_anchor <= limits.arousal_band[:, None] * factor,
        Rule.VALENCE_DROP: worst_drop >= -limits.valence_fall[:, None] * factor,
        Rule.REPETITION: ~_repeats(candidates, standing, limits),
        Rule.BLOCKED: ~candidates.blocked & (candidates.song != NO_SONG),
        Rule.UNKNOWN: candidates.support_distance <= limits.support_distance[:, None],
    }  # every comparison with NaN is false, so what cannot be computed is not allowed
    forbidden = np.zeros(candidates.song.shape, np.int64)
    for rule, is_allowed in allowed.items():
        forbidden |= np.where(is_allowed, 0, int(rule))
    return forbidden


def rules_of(forbidden: int) -> tuple[Rule, ...]:
    """Return the rules in one sum of `Rule` values."""
    return tuple(rule for rule in Rule if forbidden & rule)


def choose(
    score: Float[ndarray, "B K"],
    forbidden: Int[ndarray, "B K"],
    shown: Int[ndarray, "B K"],
    coverage: Float[ndarray, " B"],
    limits: LimitColumns,
) -> Int[ndarray, " B"]:
    """Return the chosen candidate of each listener, `NO_SONG` where none is allowed. Deterministic.

    Args:
        score: the policy's, as the decoder dealt them; a score that is not finite is never chosen.
        forbidden: sums of the rules that bind on this rung; 0 where the candidate is allowed.
        shown: how often each candidate was shown to the population under the mode.
        coverage: of the mode's last exposures, in [0, 1].
        limits: for the coverage floor and ε.
    """
    if not score.shape[1]:
        return np.full(len(score), NO_SONG)
    allowed_score = np.where((forbidden == 0) & np.isfinite(score), score, -np.inf)  # (B, K)
    best = allowed_score.max(axis=1)
    below_floor = coverage < limits.coverage_floor
    margin = np.where(below_floor, limits.near_tie, 0.0)
    near = np.isfinite(allowed_score) & (allowed_score >= (best - margin)[:, None])
    rarity = np.where(below_floor[:, None], shown, 0)
    rarest = near & (rarity == np.where(near, rarity, np.iinfo(np.int64).max).min(axis=1)[:, None])
    chosen = np.where(rarest, allowed_score, -np.inf).argmax(axis=1)  # the first of equals
    return np.where(np.isfinite(best), chosen, NO_SONG)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Choice:
    """What one rung made of its candidates."""

    chosen: Int[ndarray, " B"]
    """The place of the chosen candidate; `NO_SONG` where the rung allows none."""
    forbidden: Int[ndarray, "B K"]
    """Every rule that speaks against each candidate, also those that do not bind on the rung."""
    steps: Steps
    dealt: Float[ndarray, "B K"]
    """The policy's scores in the decoder's order: the highest allowed one was chosen, near ties aside."""

    def of(self, listener: int) -> "Choice":
        """Return what was made of one listener's candidates, as a batch of one."""
        own = slice(listener, listener + 1)
        steps = self.steps
        return Choice(
            chosen=self.chosen[own],
            forbidden=self.forbidden[own],
            steps=Steps(estimate=steps.estimate[own], step=steps.step[own], spread=steps.spread[own]),
            dealt=self.dealt[own],
        )


def guard_and_choose(
    candidates: Candidates,
    standing: Standing,
    limits: LimitColumns,
    *,
    rung: Rung,
    decoder: Decoder,
    mode: Int[ndarray, " B"],
    shown: Int[ndarray, "B K"],
    coverage: Float[ndarray, " B"],
) -> Choice:
    """Order, judge and choose among the candidates of one rung: what rollouts and the service both call.

    Args:
        candidates: as they were proposed.
        standing: where each listener stands.
        limits: each listener's.
        rung: says which rules bind, and whether the decoder may reorder.
        decoder: the bundle's; it reorders before the rules are asked, and they bind all the same.
        mode: in force for each listener.
        shown: how often each candidate was shown to the population under the mode.
        coverage: of the mode's last exposures, in [0, 1].
    """
    dealt = candidates.score
    if rung in PROPOSED_RUNGS:
        dealt = decoder.deal(candidates.score, candidates.predicted, shown, mode)
    steps = affect_steps(candidates, standing)
    forbidden = vetoes(candidates, steps, standing, limits)
    chosen = choose(dealt, forbidden & int(RUNG_RULES[rung]), shown, coverage, limits)
    return Choice(chosen=chosen, forbidden=forbidden, steps=steps, dealt=dealt)


def offers_that_bind(hours: Float[ndarray, " R"], limits: Limits) -> int:
    """Return how many of one listener's offers, the latest first, the repetition rule can ask for.

    Decisions are recorded with these alone: with those behind them they would be the same.

    Args:
        hours: since each; NaN where unknown.
        limits: the listener's.
    """
    count = np.arange(len(hours)) < max(limits.song_gap, limits.artist_gap)
    lately = ~(hours >= max(limits.song_gap_hours, limits.artist_gap_hours))
    places = np.flatnonzero(count | lately)
    return int(places[-1]) + 1 if len(places) else 0


def _repeats(candidates: Candidates, standing: Standing, limits: LimitColumns) -> Bool[ndarray, "B K"]:
    """Return whether each candidate, or its artist, was offered too lately; unknown hours count as now.

    Whoever was offered `OFFERS_KNOWN` songs within the hours may have been offered any other before them: what
    cannot be told forbids, and every candidate counts as offered.
    """
    place = np.arange(standing.recent_song.shape[1])  # (R,)
    hours = np.nan_to_num(standing.recent_hours, nan=0.0)
    song_bound = (place < limits.song_gap[:, None]) | (hours < limits.song_gap_hours[:, None])  # (B, R)
    artist_bound = (place < limits.artist_gap[:, None]) | (hours < limits.artist_gap_hours[:, None])
    song_bound &= standing.recent_song != NO_SONG
    artist_bound &= standing.recent_song != NO_SONG
    same_song = candidates.song[:, :, None] == standing.recent_song[:, None, :]  # (B, K, R)
    same_artist = candidates.artist[:, :, None] == standing.recent_artist[:, None, :]
    by_song = (same_song & song_bound[:, None, :]).any(axis=2)
    by_artist = (same_artist & artist_bound[:, None, :]).any(axis=2)
    return np.asarray(by_song | by_artist | _ends_too_early(standing.recent_song, hours, limits)[:, None])


def _ends_too_early(
    song: Int[ndarray, "B R"], hours: Float[ndarray, "B R"], limits: LimitColumns
) -> Bool[ndarray, " B"]:
    """Return whether what is known of each listener's offers ends within the hours that count."""
    if song.shape[1] < OFFERS_KNOWN:
        return np.zeros(len(song), bool)
    last = OFFERS_KNOWN - 1
    longest = np.maximum(limits.song_gap_hours, limits.artist_gap_hours)
    return (song[:, last] != NO_SONG) & (hours[:, last] < longest)
