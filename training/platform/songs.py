"""The catalogue's truth: what each simulated song is, and what the platform believes about it.

Legend: S songs · W content width · K clusters (genres)
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from training.platform.names import draw_artists, draw_titles
from training.platform.parameters import SongParameters


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Songs:
    """Latent content of S songs, and the two things the platform has instead: popularity and tags."""

    title: list[str]
    artist: list[str]
    cluster: Int[ndarray, " S"]
    content: Float[ndarray, "S W"]
    """Taste-relevant content, unit variance per dimension."""
    affect: Float[ndarray, "S 2"]
    """True valence and arousal, standardised over the catalogue."""
    appeal: Float[ndarray, " S"]
    """What everybody likes about it, standardised."""
    energy: Float[ndarray, " S"]
    """From 0 to 1, mostly arousal."""
    tempo_bpm: Float[ndarray, " S"]
    duration_seconds: Float[ndarray, " S"]
    popularity: Float[ndarray, " S"]
    """What the platform takes for appeal, standardised."""
    tags: Float[ndarray, "S 2"]
    """The population's valence and arousal tags, standardised: the truth seen through noise."""
    in_rotation: Bool[ndarray, " S"]
    """Whether production may play it."""

    @property
    def song_count(self) -> int:
        """S."""
        return len(self.cluster)


def draw_songs(song_count: int, parameters: SongParameters, rng: np.random.Generator) -> Songs:
    """Return a catalogue; an artist belongs to one genre, and artists' song counts have a heavy tail."""
    width = parameters.content_width
    artist_count = max(2, round(song_count / parameters.songs_per_artist))
    centre = rng.normal(0, parameters.cluster_spread, (parameters.cluster_count, width))
    artist_cluster = rng.integers(parameters.cluster_count, size=artist_count)
    artist_centre = centre[artist_cluster] + rng.normal(0, parameters.artist_spread, (artist_count, width))
    names = draw_artists(artist_count, rng)
    fame = rng.lognormal(0, 1, artist_count)
    artist = rng.choice(artist_count, song_count, p=fame / fame.sum())
    within = np.sqrt(max(0.05, 1 - parameters.cluster_spread**2 - parameters.artist_spread**2))
    content = _standardised(artist_centre[artist] + rng.normal(0, within, (song_count, width)))

    affect = np.empty((song_count, 2))
    for signal, explained in enumerate(parameters.explained_by_content):
        direction = rng.normal(size=width)
        linear = _standardised(np.einsum("sw,w->s", content, direction))
        affect[:, signal] = np.sqrt(explained) * linear + np.sqrt(1 - explained) * rng.normal(size=song_count)
    affect = _standardised(affect)
    appeal = _standardised(rng.normal(size=song_count))
    energetic = _standardised(0.8 * affect[:, 1] + 0.6 * rng.normal(size=song_count))
    fast = _standardised(0.6 * energetic + 0.8 * rng.normal(size=song_count))
    return Songs(
        title=draw_titles(song_count, rng),
        artist=[names[i] for i in artist],
        cluster=artist_cluster[artist],
        content=content,
        affect=affect,
        appeal=appeal,
        energy=1 / (1 + np.exp(-energetic)),
        tempo_bpm=np.clip(112 + 26 * fast, 50, 200).round(1),
        duration_seconds=np.clip(rng.lognormal(np.log(205), 0.22, song_count), 75, 480).round(1),
        popularity=_blend(appeal, parameters.popularity_appeal, rng),
        tags=_blend(affect, parameters.tag_truth, rng),
        in_rotation=rng.permutation(song_count) >= round(parameters.unreleased_share * song_count),
    )


def _blend(truth: ndarray, correlation: float, rng: np.random.Generator) -> ndarray:
    """Return the truth seen through noise, at the given correlation and of unit variance."""
    seen: ndarray = correlation * truth + np.sqrt(1 - correlation**2) * rng.normal(size=truth.shape)
    return seen


def _standardised(values: ndarray) -> ndarray:
    """Return the values with mean 0 and SD 1 over the first axis."""
    standardised: ndarray = (values - values.mean(0)) / values.std(0)
    return standardised
