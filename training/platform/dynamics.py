"""How a song moves affect, and what is seen of it: linear and Gaussian given the song, then clipped.

    L  = taste · content / √W + w·appeal                                     (liking)
    x' = b + φ (x − b) + [g_V V + l L, g_A A] + tilt · content + ε            (affect after the song)
    engagement = clip(m + β_e + α L + γ (x'_V − b_V) + ε)
    P(like)    = σ(m_r + β_r + ρ L)
    report     = clip(x' + ε)

A song moves affect in full even when it is skipped: that keeps the state linear given the songs, so that a
Kalman filter is the best predictor from what is observed. Source: docs/decisions/simulated-platform.md.

Legend: B listeners · K songs each · W content width
"""

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.special import ndtr

from training.platform.listeners import Listeners
from training.platform.parameters import FeedbackParameters
from training.platform.songs import Songs


def liking(
    songs: Songs,
    listeners: Listeners,
    parameters: FeedbackParameters,
    listener: Int[ndarray, " B"],
    song: Int[ndarray, "B K"],
) -> Float[ndarray, "B K"]:
    """Return how much each listener likes each song; about standard normal times 1.1."""
    width = songs.content.shape[1]
    match = np.einsum("bw,bkw->bk", listeners.taste[listener], songs.content[song])
    scores: Float[ndarray, "B K"] = match / np.sqrt(width) + parameters.liking_appeal * songs.appeal[song]
    return scores


def song_effect(
    songs: Songs,
    listeners: Listeners,
    parameters: FeedbackParameters,
    listener: Int[ndarray, " B"],
    song: Int[ndarray, "B K"],
) -> Float[ndarray, "B K 2"]:
    """Return what each song adds to each listener's valence and arousal, whatever their state."""
    effect: Float[ndarray, "B K 2"] = listeners.gain[listener][:, None] * songs.affect[song]
    effect += np.einsum("bsw,bkw->bks", listeners.tilt[listener], songs.content[song])
    effect[..., 0] += parameters.liking_lift * liking(songs, listeners, parameters, listener, song)
    return effect


def drift(
    listeners: Listeners, listener: Int[ndarray, " B"], affect: Float[ndarray, "B 2"]
) -> Float[ndarray, "B 2"]:
    """Return where affect would be one song later if the song had no effect."""
    baseline = listeners.baseline[listener]
    drifted: Float[ndarray, "B 2"] = baseline + listeners.inertia[listener][:, None] * (affect - baseline)
    return drifted


def engagement_mean(
    listeners: Listeners,
    parameters: FeedbackParameters,
    listener: Int[ndarray, " B"],
    liked: Float[ndarray, "B K"],
    valence: Float[ndarray, "B K"],
) -> Float[ndarray, "B K"]:
    """Return engagement before its noise and clipping, given liking and the valence after the song."""
    above = valence - listeners.baseline[listener, :1]
    mean: Float[ndarray, "B K"] = (
        parameters.engagement_mean
        + listeners.engagement_bias[listener, None]
        + parameters.engagement_liking * liked
        + parameters.engagement_valence * above
    )
    return mean


def clipped_mean(
    mean: Float[ndarray, "*shape"], spread: float | Float[ndarray, "*shape"]
) -> Float[ndarray, "*shape"]:
    """Return E[clip(X, 0, 1)] of X normal with the given mean and SD above 0, in closed form.

    E = [1 − Φ(β)] + μ[Φ(β) − Φ(α)] + σ[φ(α) − φ(β)] with α = −μ/σ and β = (1 − μ)/σ.
    """
    low, high = -mean / spread, (1 - mean) / spread
    density = (np.exp(-(low**2) / 2) - np.exp(-(high**2) / 2)) / np.sqrt(2 * np.pi)
    expected: Float[ndarray, "*shape"] = 1 - ndtr(high) + mean * (ndtr(high) - ndtr(low)) + spread * density
    return expected
