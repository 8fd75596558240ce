"""Two simulated embedding spaces: what an audio model would see of a song, nonlinear, noisy, anisotropic.

The song's latents are noised, widened by a random tanh layer, and turned into 768 numbers whose directions
lose variance along a power law, around a common offset. How well a linear probe reads each latent is fixed
by the noise on that latent.

Legend: S songs · N latents · H hidden units · E embedding width
"""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from training.platform.parameters import EmbeddingParameters
from training.platform.songs import Songs


def draw_embedding(
    songs: Songs, parameters: EmbeddingParameters, rng: np.random.Generator
) -> Float[ndarray, "S E"]:
    """Return one embedding per song, float32."""
    seen = _noised_latents(songs, parameters, rng)  # (S, N)
    latents, hidden, width = seen.shape[1], parameters.hidden_width, parameters.width
    inward = rng.normal(0, parameters.nonlinearity / np.sqrt(latents), (latents, hidden))
    response = np.tanh(seen @ inward + rng.normal(0, 0.5, hidden))  # (S, H)
    outward = rng.normal(size=(hidden, width)) / np.sqrt(hidden)
    spectrum = np.arange(1, width + 1) ** -parameters.spectrum_decay
    turn, _ = np.linalg.qr(rng.normal(size=(width, width)))
    deviation = (response - response.mean(0)) @ outward * spectrum @ turn  # (S, E)
    typical = np.sqrt((deviation**2).sum(1).mean())
    common = rng.normal(size=width)
    common *= parameters.common_offset / np.linalg.norm(common)
    embedding: Float[ndarray, "S E"] = (deviation / typical + common).astype(np.float32)
    return embedding


def _noised_latents(
    songs: Songs, parameters: EmbeddingParameters, rng: np.random.Generator
) -> Float[ndarray, "S N"]:
    """Return what the space sees of each latent: the truth plus noise, at unit variance."""
    width = songs.content.shape[1]
    tempo = (songs.tempo_bpm - songs.tempo_bpm.mean()) / songs.tempo_bpm.std()
    energy = (songs.energy - songs.energy.mean()) / songs.energy.std()
    latents = np.column_stack([songs.content, songs.affect, songs.appeal, energy, tempo])
    noise = np.array(
        [parameters.content_noise] * width
        + [parameters.valence_noise, parameters.arousal_noise, parameters.appeal_noise]
        + [parameters.sound_noise] * 2
    )
    seen: Float[ndarray, "S N"] = (latents + noise * rng.normal(size=latents.shape)) / np.sqrt(1 + noise**2)
    return seen
