"""The truth a rollout can ask: where listeners are, what a song would do to them, what they would say.

A policy or a world model never sees any of it; judges do. The truth of a log is recovered from the log's own
provenance by running the platform again, and only trusted where the run reproduces the log.

Legend: B listeners · K songs · T tokens of one listener (a session's boundary and each play are one each)
"""

from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from models.affect import SIGNALS
from models.errors import ConfigError, DataError
from models.log import Log
from training.platform import dynamics
from training.platform.as_log import CATALOGUE, PERTURBED, PLATFORM, simulated_log
from training.platform.parameters import PlatformParameters, PlatformSize
from training.platform.perturbations import Perturbation, perturbed, read_perturbations
from training.platform.simulate import Simulation, like_probability, simulate


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrueState:
    """Where B listeners truly are; with the next song, it fixes the distribution of all that follows."""

    listener: Int[ndarray, " B"]
    """Rows of the log's listeners."""
    affect: Float[ndarray, "B 2"]
    """True valence and arousal; centred in [0, 1] but free to leave it, as reports are not."""


class Truth:
    """What is true of one simulated log; rows are the log's rows of listeners and songs."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self._songs = simulation.songs
        self._listeners = simulation.listeners
        self._feedback = simulation.parameters.feedback
        schedule = simulation.schedule
        sessions, plays = np.diff(schedule.session_start), np.diff(schedule.first_play)
        self._token_start = np.concatenate([[0], np.cumsum(sessions + plays)])
        self._affect_after_token = np.empty((self._token_start[-1], 2))
        boundary = schedule.play_start[:-1] + np.arange(schedule.session_count)
        self._affect_after_token[boundary] = simulation.start
        play = np.arange(schedule.play_count) + schedule.session_of_play + 1
        self._affect_after_token[play] = simulation.affect

    def start(self, listener: Int[ndarray, " B"], token_count: Int[ndarray, " B"]) -> TrueState:
        """Return the true state after the first `token_count` tokens of each listener's logged history.

        A history without tokens has no session yet: its state is the listener's baseline.

        Raises:
            DataError: a listener has fewer tokens than asked for.
        """
        available = self._token_start[listener + 1] - self._token_start[listener]
        if np.any((token_count < 0) | (token_count > available)):
            worst = int(np.flatnonzero((token_count < 0) | (token_count > available))[0])
            raise DataError(
                f"listener row {listener[worst]} has {available[worst]} tokens; "
                f"the state after {token_count[worst]} was asked for"
            )
        token = np.maximum(self._token_start[listener] + token_count - 1, 0)
        affect = np.where(
            (token_count > 0)[:, None], self._affect_after_token[token], self._listeners.baseline[listener]
        )
        return TrueState(listener=listener, affect=affect)

    def affect_after(self, state: TrueState, song: Int[ndarray, "B K"]) -> Float[ndarray, "B K 2"]:
        """Return mean true affect after each candidate song, from each listener's state."""
        drifted = dynamics.drift(self._listeners, state.listener, state.affect)
        after: Float[ndarray, "B K 2"] = drifted[:, None] + self.song_effect(state.listener, song)
        return after

    def affect_step(self, state: TrueState, song: Int[ndarray, "B K"]) -> Float[ndarray, "B K 2"]:
        """Return the mean true step of affect that each candidate song would bring, drift included."""
        step: Float[ndarray, "B K 2"] = self.affect_after(state, song) - state.affect[:, None]
        return step

    def song_effect(self, listener: Int[ndarray, " B"], song: Int[ndarray, "B K"]) -> Float[ndarray, "B K 2"]:
        """Return what each song adds to each listener's affect; it orders songs the same in every state."""
        return dynamics.song_effect(self._songs, self._listeners, self._feedback, listener, song)

    def expected(self, state: TrueState, song: Int[ndarray, "B K"]) -> Float[ndarray, "B K 4"]:
        """Return the expected signals of each candidate song, in `Signal` order, from 0 to 1.

        Engagement and the two reports are exact means of clipped normals. The rating is P(like) if the
        listener were made to rate: logged ratings are no fair sample of plays, nor of listeners.
        """
        feedback, listener = self._feedback, state.listener
        after = self.affect_after(state, song)  # (B, K, 2)
        liked = dynamics.liking(self._songs, self._listeners, feedback, listener, song)
        engagement = dynamics.engagement_mean(self._listeners, feedback, listener, liked, after[..., 0])
        carried = feedback.engagement_valence * feedback.process_spread[0]
        signals = np.empty((*song.shape, len(SIGNALS)))
        signals[..., 0] = dynamics.clipped_mean(engagement, float(np.hypot(feedback.engagement_noise, carried)))
        signals[..., 1] = like_probability(self.simulation, listener, liked)
        for axis in range(2):
            spread = float(np.hypot(feedback.process_spread[axis], feedback.report_spread[axis]))
            signals[..., 2 + axis] = dynamics.clipped_mean(after[..., axis], spread)
        return signals

    def step(
        self, state: TrueState, song: Int[ndarray, " B"], rng: np.random.Generator
    ) -> tuple[TrueState, Float[ndarray, "B 4"]]:
        """Return the state after one drawn play of each song, and its feedback in `Signal` order.

        All four signals are drawn, as if the listener had rated and reported; hiding what a platform would
        not have seen is the caller's business.
        """
        feedback, listener = self._feedback, state.listener
        count = len(listener)
        process = rng.normal(size=(count, 2)) * feedback.process_spread
        after = self.affect_after(state, song[:, None])[:, 0] + process
        liked = dynamics.liking(self._songs, self._listeners, feedback, listener, song[:, None])
        mean = dynamics.engagement_mean(self._listeners, feedback, listener, liked, after[:, :1])[:, 0]
        signals = np.empty((count, len(SIGNALS)))
        signals[:, 0] = np.clip(mean + rng.normal(0, feedback.engagement_noise, count), 0, 1)
        signals[:, 1] = rng.random(count) < like_probability(self.simulation, listener, liked)[:, 0]
        signals[:, 2:] = np.clip(after + rng.normal(size=(count, 2)) * feedback.report_spread, 0, 1)
        return TrueState(listener=listener, affect=after), signals


def recover_truth(log: Log) -> Truth:
    """Return the truth of a simulated log, by running the platform again from the log's provenance.

    Raises:
        DataError: the log is not this platform's, was made with other parameters or by an unknown
            perturbation of ours, or is not reproduced; then its truth is unknown.
    """
    origin = log.description.provenance
    if not log.description.simulated or origin.get("platform") != PLATFORM:
        raise DataError(f"log '{log.description.name}' was not made by the simulated platform: no truth is known")
    perturbations = _perturbations(log)
    parameters = perturbed(PlatformParameters(), perturbations)
    if origin.get("parameters") != parameters.digest:
        raise DataError(
            f"log '{log.description.name}' was simulated with parameters {origin.get('parameters')}; "
            f"this code has {parameters.digest}: its truth is unknown"
        )
    size = PlatformSize(**{field.name: int(origin[field.name]) for field in fields(PlatformSize)})
    seed = int(origin["seed"])
    simulation = simulate(parameters, size, seed, catalogue_seed=int(origin.get(CATALOGUE, seed)))
    again = simulated_log(simulation, perturbations)
    for name in ("songs", "listeners", "sessions", "plays"):
        if not getattr(again, name).equals(getattr(log, name)):
            raise DataError(
                f"log '{log.description.name}': running the platform again gives other {name}; "
                "its truth is unknown"
            )
    return Truth(simulation)


def _perturbations(log: Log) -> tuple[Perturbation, ...]:
    """Return what was done to the platform before it made the log."""
    try:
        return read_perturbations(str(log.description.provenance.get(PERTURBED, "")).split())
    except ConfigError as error:
        raise DataError(
            f"log '{log.description.name}' was made with a perturbation that this code does not have: {error}; "
            "its truth is unknown"
        ) from None
