"""The best predictor from what was observed: a Kalman filter over each listener's state and traits.

Given the songs, everything hidden is linear and Gaussian, but for three things, each met by the Gaussian of
the same first two moments: clipped reports and engagement (censored observations), ratings (the logistic taken
for a probit, which is a censored observation too), and gains (log-normal). Inertia is taken at its mean, and
that ratings are missing where the song leaves a listener cold is ignored. The filter knows the platform's
parameters and the songs' true content: a model that sees embeddings, and learns from finitely many listeners,
has less.

    hidden = [x (2), baseline (2), gain (2), tilt (2W), taste (W), engagement bias, rating bias]

Legend: N listeners · B of them, still listening · D hidden numbers · W content width · P plays · K songs
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy.special import expit, log_ndtr

from models.affect import SIGNALS
from models.listening import Mode
from training.platform.dynamics import clipped_mean
from training.platform.listeners import Listeners, baseline_means
from training.platform.schedule import Lanes
from training.platform.simulate import Advance, Simulation, quietly

_LOGISTIC_VARIANCE: Final = 8 / np.pi
"""σ(x) is close to Φ(x / √(8/π)) (MacKay 1992)."""

_STATE, _BASELINE, _GAIN, _TILT = 0, 2, 4, 6
"""Where each part of the hidden vector begins; taste and the biases come after the tilt."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Observed:
    """What the filter expected of each play before its feedback, and what it believes in the end."""

    with_song: Float[ndarray, "P 4"]
    """Expected signals, in `Signal` order."""
    without_song: Float[ndarray, "P 4"]
    """The same where the candidate is hidden: the mode's average song stands in its place."""
    traits: Float[ndarray, "N D"]
    """Mean of the hidden vector after each listener's whole history."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _SongRows:
    """How each of B songs enters the hidden vector's equations: x' = transition · hidden + shift + noise."""

    transition: Float[ndarray, "B 2 D"]
    shift: Float[ndarray, "B 2"]
    taste: Float[ndarray, "B D"]
    """Liking is taste · hidden + appeal."""
    appeal: Float[ndarray, " B"]


def filter_observed(simulation: Simulation, advance: Advance = quietly) -> Observed:
    """Return what is expected of every play by the best predictor from its listener's history."""
    schedule, lanes = simulation.schedule, simulation.schedule.lanes()
    equations = _Equations(simulation)
    mean, covariance = equations.prior(lanes)
    with_song = np.empty((schedule.play_count, len(SIGNALS)))
    without_song = np.empty_like(with_song)
    starts = schedule.start_mean(simulation.parameters.feedback)
    for step, active in enumerate(lanes.active_count):
        play = lanes.first_play[:active] + step
        belief = _Belief(mean[:active], covariance[:active])
        opening = np.flatnonzero(schedule.position[play] == 0)
        if opening.size:
            session = schedule.session_of_play[play[opening]]
            equations.open_session(belief, opening, starts[session], simulation.before[session])

        rows = equations.songs(simulation.song[play])
        average = equations.average_songs(schedule.mode[schedule.session_of_play[play]])
        with_song[play] = equations.expected(belief, rows)
        without_song[play] = equations.expected(belief, average)

        equations.move(belief, rows)
        equations.hear(belief, rows, simulation.engagement[play], simulation.rating[play])
        closing = np.flatnonzero(schedule.is_last_play[play])
        reports = simulation.after[schedule.session_of_play[play[closing]]]
        told = ~np.isnan(reports[:, 0])
        equations.report(belief, closing[told], reports[told])
        advance(int(active))
    traits = np.empty_like(mean)
    traits[lanes.listeners] = mean
    return Observed(with_song=with_song, without_song=without_song, traits=traits)


def expected_effect(
    simulation: Simulation, observed: Observed, listener: Int[ndarray, " B"], song: Int[ndarray, "B K"]
) -> Float[ndarray, "B K 2"]:
    """Return the song effects that the filter expects, having seen each listener's whole history."""
    equations = _Equations(simulation)
    traits = observed.traits[listener].copy()
    traits[:, _STATE:_GAIN] = 0  # leaves the songs' part of the transition
    effects = np.empty((*song.shape, 2))
    for column in range(song.shape[1]):
        rows = equations.songs(song[:, column])
        effects[:, column] = np.einsum("bsd,bd->bs", rows.transition, traits) + rows.shift
    return effects


def believed_listeners(simulation: Simulation, observed: Observed) -> Listeners:
    """Return listeners with the traits that the filter expects of each, having seen their whole history."""
    width, traits = simulation.parameters.songs.content_width, observed.traits
    tilt, taste = traits[:, _TILT : _TILT + 2 * width], traits[:, _TILT + 2 * width : _TILT + 3 * width]
    return replace(
        simulation.listeners,
        taste=taste,
        baseline=traits[:, _BASELINE:_GAIN],
        gain=traits[:, _GAIN:_TILT],
        tilt=tilt.reshape(-1, 2, width),
        inertia=np.full(len(traits), simulation.parameters.listeners.inertia_mean),
        engagement_bias=traits[:, _TILT + 3 * width],
        rating_bias=traits[:, _TILT + 3 * width + 1],
    )


class _Belief:
    """A Gaussian over the hidden vectors of B listeners, changed in place."""

    def __init__(self, mean: Float[ndarray, "B D"], covariance: Float[ndarray, "B D D"]) -> None:
        self.mean = mean
        self.covariance = covariance

    def moments(self, direction: Float[ndarray, "B D"]) -> tuple[Float[ndarray, " B"], Float[ndarray, " B"]]:
        """Return mean and variance of one linear combination per listener."""
        spread = np.matmul(self.covariance, direction[:, :, None])[:, :, 0]
        return np.einsum("bd,bd->b", direction, self.mean), np.einsum("bd,bd->b", direction, spread)

    def observe(
        self,
        who: Int[ndarray, " b"],
        direction: Float[ndarray, "b D"],
        value: Float[ndarray, " b"],
        *,
        noise_variance: float,
        at_least: Bool[ndarray, " b"],
        at_most: Bool[ndarray, " b"],
    ) -> None:
        """Condition on direction · hidden + noise = value, or ≥ value, or ≤ value, for some listeners."""
        covariance = self.covariance[who]
        along = np.matmul(covariance, direction[:, :, None])[:, :, 0]  # (b, D)
        mean = np.einsum("bd,bd->b", direction, self.mean[who])
        variance = np.einsum("bd,bd->b", direction, along)
        seen = variance + noise_variance
        surprise, share_left = _surprise(value - mean, seen, at_least, at_most)
        self.mean[who] += along * (surprise / seen)[:, None]
        shrink = (1 - share_left) / seen
        self.covariance[who] = covariance - (along * shrink[:, None])[:, :, None] * along[:, None, :]


def _surprise(
    ahead: Float[ndarray, " b"],
    variance: Float[ndarray, " b"],
    at_least: Bool[ndarray, " b"],
    at_most: Bool[ndarray, " b"],
) -> tuple[Float[ndarray, " b"], Float[ndarray, " b"]]:
    """Return by how much the noisy quantity is above its mean once seen, and the share of variance left.

    An exact value leaves nothing. A bound leaves the moments of a normal cut off at it: with z the bound's
    distance on the allowed side and λ = φ(z)/Φ(z), the mean moves by λσ and 1 − λ(λ + z) of the variance stays.
    """
    spread = np.sqrt(variance)
    side = np.where(at_least, 1.0, -1.0)
    inside = -side * ahead / spread
    ratio = np.exp(-(inside**2) / 2 - log_ndtr(inside)) / np.sqrt(2 * np.pi)
    censored = at_least | at_most
    surprise = np.where(censored, side * spread * ratio, ahead)
    return surprise, np.where(censored, 1 - ratio * (ratio + inside), 0.0)


class _Equations:
    """The platform's dynamics as the filter's matrices."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._feedback = simulation.parameters.feedback
        width = simulation.parameters.songs.content_width
        self._taste = slice(_TILT + 2 * width, _TILT + 3 * width)
        self._engagement_bias = self._taste.stop
        self._rating_bias = self._engagement_bias + 1
        self._size = self._rating_bias + 1
        songs = simulation.songs
        mode = simulation.schedule.mode[simulation.schedule.session_of_play]
        self._features = np.column_stack([songs.content, songs.affect, songs.appeal])
        played = self._features[simulation.song]
        everywhere = played.mean(0)
        self._averages = np.stack(
            [played[mode == one].mean(0) if np.any(mode == one) else everywhere for one in Mode]
        )

    def prior(self, lanes: Lanes) -> tuple[Float[ndarray, "N D"], Float[ndarray, "N D D"]]:
        """Return what is believed before a listener's first session, in the order of the lanes."""
        traits, width = self._simulation.parameters.listeners, self._taste.stop - self._taste.start
        population = self._simulation.listeners.population[lanes.listeners]
        mean = np.zeros((len(population), self._size))
        mean[:, _BASELINE:_GAIN] = baseline_means(population, traits)
        factor = np.exp(traits.gain_spread**2)  # of a log-normal: mean g √f, variance g² f (f − 1)
        mean[:, _GAIN:_TILT] = np.array(traits.gain) * np.sqrt(factor)
        variance = np.zeros(self._size)
        variance[_BASELINE:_GAIN] = np.square(traits.baseline_spread)
        variance[_GAIN:_TILT] = np.square(traits.gain) * factor * (factor - 1)
        variance[_TILT : self._taste.start] = np.repeat(np.square(traits.tilt_spread), width)
        variance[self._taste] = 1
        variance[self._engagement_bias] = traits.engagement_spread**2
        variance[self._rating_bias] = traits.rating_spread**2
        return mean, np.tile(np.diag(variance), (len(population), 1, 1))

    def songs(self, song: Int[ndarray, " B"]) -> _SongRows:
        """Return the rows of the songs played."""
        return self._rows(self._features[song])

    def average_songs(self, mode: Int[ndarray, " B"]) -> _SongRows:
        """Return the rows of each mode's average song."""
        return self._rows(self._averages[mode])

    def open_session(
        self,
        belief: _Belief,
        who: Int[ndarray, " b"],
        start_mean: Float[ndarray, "b 2"],
        report: Float[ndarray, "b 2"],
    ) -> None:
        """Start afresh around the baseline, then hear the report before listening."""
        belief.mean[who, :_BASELINE] = belief.mean[who, _BASELINE:_GAIN] + start_mean
        covariance = belief.covariance[who]
        covariance[:, :_BASELINE] = covariance[:, _BASELINE:_GAIN]
        covariance[:, :, :_BASELINE] = covariance[:, :, _BASELINE:_GAIN]
        for axis, spread in enumerate(self._feedback.session_spread):
            covariance[:, axis, axis] += spread**2
        belief.covariance[who] = covariance
        self.report(belief, who, report)

    def report(self, belief: _Belief, who: Int[ndarray, " b"], report: Float[ndarray, "b 2"]) -> None:
        """Hear a report of valence and arousal; 0 and 1 say no more than "at most" and "at least"."""
        for axis, spread in enumerate(self._feedback.report_spread):
            direction = np.zeros((len(who), self._size))
            direction[:, axis] = 1
            value = report[:, axis]
            belief.observe(
                who, direction, value, noise_variance=spread**2, at_least=value >= 1, at_most=value <= 0
            )

    def move(self, belief: _Belief, rows: _SongRows) -> None:
        """Let each song move its listener's state."""
        moved = np.matmul(rows.transition, belief.covariance)  # (B, 2, D)
        block = np.matmul(moved, rows.transition.transpose(0, 2, 1))  # (B, 2, 2)
        belief.mean[:, :_BASELINE] = np.einsum("bsd,bd->bs", rows.transition, belief.mean) + rows.shift
        belief.covariance[:, :_BASELINE] = moved
        belief.covariance[:, :, :_BASELINE] = moved.transpose(0, 2, 1)
        belief.covariance[:, :_BASELINE, :_BASELINE] = block + np.diag(np.square(self._feedback.process_spread))

    def hear(
        self,
        belief: _Belief,
        rows: _SongRows,
        engagement: Float[ndarray, " B"],
        rating: Float[ndarray, " B"],
    ) -> None:
        """Learn from engagement, and from a rating where there is one."""
        feedback = self._feedback
        direction = feedback.engagement_liking * rows.taste
        direction[:, self._engagement_bias] += 1
        direction[:, _STATE] += feedback.engagement_valence
        direction[:, _BASELINE] -= feedback.engagement_valence
        usual = feedback.engagement_mean + feedback.engagement_liking * rows.appeal
        belief.observe(
            np.arange(len(engagement)),
            direction,
            engagement - usual,
            noise_variance=feedback.engagement_noise**2,
            at_least=engagement >= 1,
            at_most=engagement <= 0,
        )
        rated = np.flatnonzero(~np.isnan(rating))
        direction, usual = self._odds(rows)
        belief.observe(
            rated,
            direction[rated],
            -usual[rated],
            noise_variance=_LOGISTIC_VARIANCE,
            at_least=rating[rated] == 1,
            at_most=rating[rated] == 0,
        )

    def expected(self, belief: _Belief, rows: _SongRows) -> Float[ndarray, "B 4"]:
        """Return the expected signals of each listener's next play, from the belief before it."""
        feedback = self._feedback
        signals = np.empty((len(belief.mean), len(SIGNALS)))
        direction = feedback.engagement_liking * rows.taste
        direction += feedback.engagement_valence * rows.transition[:, 0]
        direction[:, self._engagement_bias] += 1
        direction[:, _BASELINE] -= feedback.engagement_valence
        usual = feedback.engagement_mean + feedback.engagement_liking * rows.appeal
        usual += feedback.engagement_valence * rows.shift[:, 0]
        carried = feedback.engagement_valence * feedback.process_spread[0]
        mean, variance = belief.moments(direction)
        noise = feedback.engagement_noise**2 + carried**2
        signals[:, 0] = clipped_mean(mean + usual, np.sqrt(variance + noise))

        direction, usual = self._odds(rows)
        mean, variance = belief.moments(direction)
        signals[:, 1] = expit((mean + usual) / np.sqrt(1 + variance / _LOGISTIC_VARIANCE))

        for axis in range(2):
            mean, variance = belief.moments(rows.transition[:, axis])
            noise = feedback.process_spread[axis] ** 2 + feedback.report_spread[axis] ** 2
            signals[:, 2 + axis] = clipped_mean(mean + rows.shift[:, axis], np.sqrt(variance + noise))
        return signals

    def _odds(self, rows: _SongRows) -> tuple[Float[ndarray, "B D"], Float[ndarray, " B"]]:
        """Return the direction and the constant of the logits of a like."""
        direction = self._feedback.rating_liking * rows.taste
        direction[:, self._rating_bias] += 1
        constant = self._simulation.rating_intercept + self._feedback.rating_liking * rows.appeal
        return direction, constant

    def _rows(self, features: Float[ndarray, "B F"]) -> _SongRows:
        feedback, width = self._feedback, self._taste.stop - self._taste.start
        content, affect, appeal = features[:, :width], features[:, width:-1], features[:, -1]
        inertia = self._simulation.parameters.listeners.inertia_mean
        taste = np.zeros((len(features), self._size))
        taste[:, self._taste] = content / np.sqrt(width)
        transition = np.zeros((len(features), 2, self._size))
        for axis in range(2):
            transition[:, axis, _STATE + axis] = inertia
            transition[:, axis, _BASELINE + axis] = 1 - inertia
            transition[:, axis, _GAIN + axis] = affect[:, axis]
            start = _TILT + axis * width
            transition[:, axis, start : start + width] = content
        transition[:, 0] += feedback.liking_lift * taste
        weighted = feedback.liking_appeal * appeal
        shift = np.outer(weighted, [feedback.liking_lift, 0.0])
        return _SongRows(transition=transition, shift=shift, taste=taste, appeal=weighted)
