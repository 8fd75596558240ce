"""How alike two interactions are, respect by respect: what the Gaussian processes compare.

Every part is about 1 for a row and itself. A listener is either known by name, or is their **outlook**: what the
world models expect them to make of the probe songs after the history so far. `recency` is the same listener a few
days apart, in either direction.

Legend: A, B rows on either side · K metadata numbers · C situation columns · E outlook width
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.spatial.distance import cdist

from training.situnes.benchmark import SITUATION, SOUND, WALKING, Rows, Songs
from training.situnes.encoding import Encoded, Sight

_ACTIVITY: Final = tuple(SITUATION.index(name) for name in ("still", "act2still", "walking", "none", "sleeping"))
_SCALED: Final = tuple(place for place, name in enumerate(SITUATION) if not name.startswith("GPS"))
_MOST_DEVIATIONS: Final = 3.0
_DAYS: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Compared:
    """Rows in the form in which they are compared; the scales are those of the training rows."""

    user: Int[ndarray, " N"]
    song: Int[ndarray, " N"]
    day: Float[ndarray, " N"]
    sound: Float[ndarray, "N K"]
    outlook: Float[ndarray, "N E"]
    activity: Float[ndarray, "N a"]
    """One-hot; walking once more beside it."""
    situation: Float[ndarray, "N C"]
    before: Float[ndarray, "N 2"]


def compare(rows: Rows, encoded: Encoded, songs: Songs, *, scales: tuple[Rows, Encoded] | None = None) -> Compared:
    """Return rows as they are compared, on the scales of the given rows, or else of their own."""
    base, base_encoded = scales or (rows, encoded)
    with np.errstate(invalid="ignore"):
        situation = _scaled(rows.situation[:, _SCALED], base.situation[:, _SCALED])
        before = _scaled(rows.before, base.before)
    return Compared(
        user=rows.user,
        song=rows.song,
        day=rows.started_at / 86_400,
        sound=songs.metadata[rows.song][:, SOUND],
        outlook=_scaled(encoded.outlook, base_encoded.outlook),
        activity=rows.situation[:, [*_ACTIVITY, WALKING]],
        situation=np.clip(situation, -_MOST_DEVIATIONS, _MOST_DEVIATIONS),
        before=before,
    )


def likeness(a: Compared, b: Compared, sight: Sight, *, identities: bool) -> dict[str, Float[ndarray, "A B"]]:
    """Return every part that the task may see, by name.

    Args:
        a: rows of the matrices.
        b: columns of the matrices.
        sight: what may be seen.
        identities: whether listeners and songs are known by name; else a listener is their outlook.
    """
    linear, near = a.sound @ b.sound.T / a.sound.shape[1], _near(a.sound, b.sound)
    sound = (linear + near) / 2
    if identities:
        listener = (a.user[:, None] == b.user).astype(np.float64)
        parts = {
            "listener": listener,
            "song": (a.song[:, None] == b.song).astype(np.float64),
            "recency": listener * np.exp(-np.abs(a.day[:, None] - b.day) / _DAYS),
        }
    else:
        listener = _near(a.outlook, b.outlook)
        parts = {"listener": (a.outlook @ b.outlook.T / a.outlook.shape[1] + listener) / 2}
    parts |= {"sound": sound, "taste": listener * near}
    if sight.situation:
        activity = a.activity @ b.activity.T
        around = _near(a.situation, b.situation)
        parts |= {
            "activity": activity,
            "situation": around,
            "sound in activity": activity * sound,
            "sound in situation": around * sound,
        }
    if sight.before:
        valence, arousal = (np.outer(a.before[:, axis], b.before[:, axis]) for axis in (0, 1))
        mood = (valence + arousal + _near(a.before, b.before)) / 3
        parts |= {
            "valence before": valence,
            "arousal before": arousal,
            "mood before": mood,
            "a listener's valence": listener * valence,
            "a listener's arousal": listener * arousal,
            "a listener's mood": listener * mood,
            "sound in mood": mood * sound,
        }
    return parts


def _near(a: Float[ndarray, "A x"], b: Float[ndarray, "B x"]) -> Float[ndarray, "A B"]:
    """Return the squared exponential of the root mean squared distance per column."""
    return np.asarray(np.exp(-cdist(a, b, "sqeuclidean") / (2 * a.shape[1])))


def _scaled(values: Float[ndarray, "N x"], base: Float[ndarray, "n x"]) -> Float[ndarray, "N x"]:
    spread = base.std(axis=0)
    return np.asarray((values - base.mean(axis=0)) / np.where(spread > 0, spread, 1.0))
