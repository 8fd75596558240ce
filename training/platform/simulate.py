"""Run the platform: every listener's next song at once, step by step, until all have heard theirs.

The same parameters, size and seed give the same numbers to the last bit on one machine: each part of the
platform has a random stream of its own, and nothing here depends on threads.

Legend: N listeners · S sessions · P plays · T steps (the plays of the busiest listener)
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.special import expit, logit

from training.platform import dynamics
from training.platform.embeddings import draw_embedding
from training.platform.listeners import Listeners, draw_listeners
from training.platform.parameters import PlatformParameters, PlatformSize
from training.platform.production import Production
from training.platform.schedule import Schedule, draw_schedule
from training.platform.songs import Songs, draw_songs

GAP_SECONDS = 2.0
"""Silence between two songs."""

Advance = Callable[[int], None]
"""Told how many more plays are done; a progress bar, or nothing."""


def quietly(play_count: int) -> None:
    """Show no progress."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Simulation:
    """One run of the platform: what is true, and what was observed."""

    parameters: PlatformParameters
    size: PlatformSize
    seed: int
    catalogue_seed: int
    """Draws the songs and their embeddings; the seed itself unless two platforms share their songs."""
    songs: Songs
    listeners: Listeners
    schedule: Schedule

    song: Int[ndarray, " P"]
    """Rows of the catalogue."""
    liking: Float[ndarray, " P"]
    start: Float[ndarray, "S 2"]
    """True affect at each session's start."""
    affect: Float[ndarray, "P 2"]
    """True affect after each play."""
    rating_intercept: float
    """Logits; the m_r of the dynamics, set so that the likes number exactly what the size says."""

    engagement: Float[ndarray, " P"]
    rating: Float[ndarray, " P"]
    """1, 0, or NaN where nobody rated."""
    before: Float[ndarray, "S 2"]
    after: Float[ndarray, "S 2"]
    """NaN where nobody reported."""
    played_at: Float[ndarray, " P"]
    """Unix seconds."""
    ended_at: Float[ndarray, " S"]


def simulate(
    parameters: PlatformParameters,
    size: PlatformSize,
    seed: int,
    advance: Advance = quietly,
    *,
    catalogue_seed: int | None = None,
) -> Simulation:
    """Return one run of the platform.

    Args:
        parameters: its constants.
        size: how much is simulated.
        seed: draws everything.
        advance: told how many more plays are done.
        catalogue_seed: draws the songs in the seed's place: another run's seed gives that run's songs, as far as
            sizes and constants agree, to listeners of this one.
    """
    catalogue_seed = seed if catalogue_seed is None else catalogue_seed
    song_rng = _streams(catalogue_seed)[0]
    listener_rng, schedule_rng, choice_rng, noise_rng, habit_rng = _streams(seed)[1:6]
    songs = draw_songs(size.song_count, parameters.songs, song_rng)
    width = parameters.songs.content_width
    listeners = draw_listeners(size.listener_count, width, parameters.listeners, listener_rng)
    schedule = draw_schedule(listeners, size, parameters.sessions, schedule_rng)

    start = _draw_starts(listeners, schedule, parameters, noise_rng)
    song, liking, affect, engagement = _play(
        parameters, songs, listeners, schedule, start, choice_rng, noise_rng, advance
    )
    rating, rating_intercept = _draw_ratings(parameters, size, listeners, schedule, liking, habit_rng)
    ends = affect[schedule.is_last_play]
    reported = _most_likely(
        listeners.report_habit[schedule.listener_of_session], size.end_report_count, habit_rng
    )[0]
    heard = songs.duration_seconds[song] * engagement + GAP_SECONDS
    elapsed = np.concatenate([[0.0], np.cumsum(heard)])
    session_began = schedule.started_at - elapsed[schedule.play_start[:-1]]
    return Simulation(
        parameters=parameters,
        size=size,
        seed=seed,
        catalogue_seed=catalogue_seed,
        songs=songs,
        listeners=listeners,
        schedule=schedule,
        song=song,
        liking=liking,
        start=start,
        affect=affect,
        rating_intercept=rating_intercept,
        engagement=engagement,
        rating=rating,
        before=_report(start, parameters, habit_rng),
        after=np.where(reported[:, None], _report(ends, parameters, habit_rng), np.nan),
        played_at=session_began[schedule.session_of_play] + elapsed[:-1],
        ended_at=session_began + elapsed[schedule.play_start[1:]],
    )


def draw_embeddings(simulation: Simulation) -> dict[str, Float[ndarray, "S E"]]:
    """Return the catalogue in both simulated spaces; the same for the same simulation."""
    mert_rng, clamp_rng = _streams(simulation.catalogue_seed)[6:]
    parameters = simulation.parameters
    return {
        "mert_sim": draw_embedding(simulation.songs, parameters.mert_sim, mert_rng),
        "clamp3_sim": draw_embedding(simulation.songs, parameters.clamp3_sim, clamp_rng),
    }


def _streams(seed: int) -> list[np.random.Generator]:
    return [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(8)]


def _draw_starts(
    listeners: Listeners, schedule: Schedule, parameters: PlatformParameters, rng: np.random.Generator
) -> Float[ndarray, "S 2"]:
    """Return true affect at each session's start: baseline, mode, hour, and the day's chance."""
    usual = listeners.baseline[schedule.listener_of_session] + schedule.start_mean(parameters.feedback)
    chance = rng.normal(size=usual.shape) * parameters.feedback.session_spread
    start: Float[ndarray, "S 2"] = usual + chance
    return start


def _play(
    parameters: PlatformParameters,
    songs: Songs,
    listeners: Listeners,
    schedule: Schedule,
    start: Float[ndarray, "S 2"],
    choice_rng: np.random.Generator,
    noise_rng: np.random.Generator,
    advance: Advance,
) -> tuple[Int[ndarray, " P"], Float[ndarray, " P"], Float[ndarray, "P 2"], Float[ndarray, " P"]]:
    """Return song, liking, affect after, and engagement of every play."""
    feedback = parameters.feedback
    count = schedule.play_count
    process = noise_rng.normal(size=(count, 2)) * feedback.process_spread
    noise = noise_rng.normal(0, feedback.engagement_noise, count)
    song, liking = np.empty(count, np.int64), np.empty(count)
    affect, engagement = np.empty((count, 2)), np.empty(count)

    lanes = schedule.lanes()
    production = Production(songs, parameters.production, listeners.listener_count, parameters.songs.cluster_count)
    current = np.empty((listeners.listener_count, 2))
    for step, active in enumerate(lanes.active_count):
        who = lanes.listeners[:active]
        play = lanes.first_play[:active] + step
        session = schedule.session_of_play[play]
        opening = schedule.position[play] == 0
        current[who[opening]] = start[session[opening]]

        chosen = production.choose(who, schedule.mode[session], step, choice_rng)
        effect = dynamics.song_effect(songs, listeners, feedback, who, chosen[:, None])[:, 0]
        liked = dynamics.liking(songs, listeners, feedback, who, chosen[:, None])
        current[who] = dynamics.drift(listeners, who, current[who]) + effect + process[play]
        mean = dynamics.engagement_mean(listeners, feedback, who, liked, current[who, :1])[:, 0]

        song[play], liking[play], affect[play] = chosen, liked[:, 0], current[who]
        engagement[play] = np.clip(mean + noise[play], 0, 1)
        production.learn(who, chosen, engagement[play], step)
        advance(int(active))
    return song, liking, affect, engagement


def _draw_ratings(
    parameters: PlatformParameters,
    size: PlatformSize,
    listeners: Listeners,
    schedule: Schedule,
    liking: Float[ndarray, " P"],
    rng: np.random.Generator,
) -> tuple[Float[ndarray, " P"], float]:
    """Return ratings, NaN where there is none, and the intercept of the odds of a like.

    What a listener feels strongly about is rated sooner, so ratings are not missing at random.
    """
    owner = schedule.listener_of_play
    habit = listeners.rating_habit[owner] + parameters.feedback.rated_liking * np.abs(liking)
    rated = _most_likely(habit, size.positive_rating_count + size.negative_rating_count, rng)[0]
    odds = listeners.rating_bias[owner] + parameters.feedback.rating_liking * liking
    liked, intercept = _most_likely(odds[rated], size.positive_rating_count, rng)
    rating = np.full(len(liking), np.nan)
    rating[rated] = liked
    return rating, intercept


def _most_likely(logits: Float[ndarray, " n"], count: int, rng: np.random.Generator) -> tuple[ndarray, float]:
    """Return independent draws with P = σ(intercept + logits), and the intercept that makes `count` true.

    Draw i is true where its own threshold logit(uniform) − logits is below the intercept, so the intercept is
    the threshold half-way between the `count`-th smallest and the next.
    """
    threshold = logit(rng.random(len(logits))) - logits
    ordered = np.sort(threshold)
    padded = np.concatenate([[ordered[0] - 1], ordered, [ordered[-1] + 1]])
    intercept = float((padded[count] + padded[count + 1]) / 2)
    return threshold < intercept, intercept


def like_probability(
    simulation: Simulation, listener: Int[ndarray, " B"], liking: Float[ndarray, "B K"]
) -> Float[ndarray, "B K"]:
    """Return P(like) of songs the listener would rate, whether or not they would rate them."""
    bias = simulation.rating_intercept + simulation.listeners.rating_bias[listener]
    odds = bias[:, None] + simulation.parameters.feedback.rating_liking * liking
    probability: Float[ndarray, "B K"] = expit(odds)
    return probability


def _report(
    affect: Float[ndarray, "n 2"], parameters: PlatformParameters, rng: np.random.Generator
) -> Float[ndarray, "n 2"]:
    """Return what is said when affect is asked for: noisy, and never off the scale."""
    noise = rng.normal(size=affect.shape) * parameters.feedback.report_spread
    report: Float[ndarray, "n 2"] = np.clip(affect + noise, 0, 1)
    return report
