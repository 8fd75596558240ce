"""Where a listener stands by their own word: the last report of the session, and whether songs came after it.

A report is made after a song, else before listening; the report at a session's end stands at its last play. Half a
report is none. While the session's last play is newer than any report, the estimate of affect is what the world
models predicted of that very play; else it is what they expect of the average song, and the report, or the
population's prior, is the anchor (SAFETY, Words). Rollouts and the service each ask their own networks; what they
are asked, and what becomes of it, is said here.

Legend: B listeners · P plays · M ensemble members · last axis 2: valence, arousal
"""

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from models.guardrails import AFFECT, GuardrailTable
from models.listening import NO_SONG, Listening, Population


def last_plays(listening: Listening) -> Int[ndarray, " B"]:
    """Return the place of the last play of each listener's last session; -1 before its first play."""
    begin, end = _last_sessions(listening)
    return np.where(end > begin, end - 1, -1)


def priors(listening: Listening, table: GuardrailTable) -> Float[ndarray, "B 2"]:
    """Return what is assumed of each listener who has said nothing, by their population."""
    assumed = [table.prior_for(Population(int(each))) for each in listening.population]
    return np.array(assumed, np.float64).reshape(-1, 2)


def anchors(
    listening: Listening, prior: Float[ndarray, "B 2"]
) -> tuple[Float[ndarray, "B 2"], Bool[ndarray, " B"]]:
    """Return the last report of each listener's last session, and whether there is one; else the prior."""
    begin, end = _last_sessions(listening)
    affect, said = _reports(listening)
    latest = np.concatenate([[-1], np.maximum.accumulate(np.where(said, np.arange(len(said)), -1))])[end]  # (B,)
    after_song = latest >= begin
    report = np.full((listening.listener_count, 2), np.nan)
    begun = np.diff(listening.session_start) > 0
    report[begun] = listening.before[listening.session_start[1:][begun] - 1]
    report[after_song] = affect[latest[after_song]]
    reported = ~np.isnan(report).any(axis=1)
    return np.where(reported[:, None], report, prior), reported


def have_played_since(listening: Listening) -> Bool[ndarray, " B"]:
    """Return whether the last play of each listener's last session is newer than anything they reported in it."""
    play = last_plays(listening)
    since = play >= 0
    _, said = _reports(listening)
    since[since] = ~said[play[since]]
    return since


def estimates(
    predicted: Float[ndarray, "B M 2"], *, of_play: Bool[ndarray, " B"], last_row: Int[ndarray, " B"]
) -> Float[ndarray, "B M 2"]:
    """Return each member's estimate of affect; not a number where it is of a song that nobody knows.

    What cannot be computed forbids: a prediction for another song, or for none, would be no estimate of this one.

    Args:
        predicted: of the last play where that is newer than any report, else of the average song.
        of_play: which of the two it is, as `have_played_since` says.
        last_row: the catalogue row of the last play's song; `NO_SONG` if the catalogue does not hold it.
    """
    is_unknown = of_play & (last_row == NO_SONG)
    return np.where(is_unknown[:, None, None], np.nan, predicted.astype(np.float64))


def _last_sessions(listening: Listening) -> tuple[Int[ndarray, " B"], Int[ndarray, " B"]]:
    """Return where the plays of each listener's last session begin and end; nowhere without a session."""
    begun = np.diff(listening.session_start) > 0
    last = np.where(begun, listening.session_start[1:] - 1, 0)
    if not listening.session_count:
        return last, last
    return listening.play_start[last], np.where(begun, listening.play_start[last + 1], listening.play_start[last])


def _reports(listening: Listening) -> tuple[Float[ndarray, "P 2"], Bool[ndarray, " P"]]:
    """Return what was reported after each play, and whether anything whole was."""
    affect = listening.feedback[:, AFFECT]
    return affect, ~np.isnan(affect).any(axis=1)
