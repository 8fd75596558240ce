"""Guard: where the listener stands, and the candidates with all that the guardrails ask of them.

The rules themselves are `models.guardrails`, the same in rollouts.

Legend: M members · K candidates
"""

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from models.catalogue import artist_key
from models.guardrails import AFFECT, Candidates, Limits, Standing
from models.listening import NO_SONG, Listening, Population, song_key
from service.live.engine import Engine
from service.recommend.encode import Encoded
from service.recommend.predict import predict
from service.recommend.view import Blocks, View


def limits_of(engine: Engine, view: View) -> Limits:
    """Return the limits that bind: the bundle's for the population and mode, tightened by the listener's own."""
    limits = engine.bundle.guardrails.limits_for(_population(view.listening), view.mode)
    return limits if view.limits is None else limits.tightened(view.limits)


def standing(engine: Engine, view: View, encoded: Encoded, *, now: float) -> tuple[Standing, str]:
    """Return where the listener stands, and where the affect estimate came from (SAFETY, Words).

    After a play, the estimate is each world model's prediction for that very play. Where the listener's own
    word is newer (before the session's first play, or after a song they reported on) it is that report, or the
    population's prior, which is the anchor; steps are then taken from what each world model expects of the
    average song, so that both ends of a step come from the same model and know the same.
    """
    report = last_report(view.listening)
    anchor = engine.bundle.guardrails.prior_for(_population(view.listening)) if report is None else report
    if _has_played_since_report(view.listening):
        source = "world_model"
        estimate = _estimate_of_last_play(engine, encoded)
    else:
        source = "prior" if report is None else "report"
        estimate = _expected_of_average_song(engine, encoded)
    return Standing(
        estimate=estimate,
        anchor=np.array([anchor]),
        reported=np.array([report is not None]),
        recent_song=view.offered.song[None],
        recent_artist=view.offered.artist[None],
        recent_hours=(now - view.offered.at[None]) / 3600.0,
    ), source


def last_report(listening: Listening) -> tuple[float, float] | None:
    """Return what the listener said last in the session: after a song, else before listening, else nothing."""
    if not listening.session_count:
        return None
    reports = listening.report[listening.play_start[-2] :]
    said = np.vstack([listening.before[-1:], reports])
    said = said[~np.isnan(said).any(axis=1)]
    return (float(said[-1, 0]), float(said[-1, 1])) if len(said) else None


def candidates(
    engine: Engine,
    encoded: Encoded,
    rows: Int[ndarray, " K"],
    scores: Float[ndarray, " K"],
    blocks: Blocks,
) -> Candidates:
    """Return songs, as a batch of one, with what is predicted of them."""
    return Candidates(
        song=engine.catalogue.keys[rows][None],
        artist=engine.catalogue.artists[rows][None],
        score=scores[None],
        predicted=predict(engine, encoded.state, rows),
        blocked=are_blocked(engine, rows, blocks)[None],
        support_distance=engine.vectors.support_distance[rows][None],
    )


def are_blocked(engine: Engine, rows: Int[ndarray, " K"], blocks: Blocks) -> Bool[ndarray, " K"]:
    """Return which songs are blocked by their id, their artist or a tag, or withdrawn."""
    blocked = engine.catalogue.withdrawn[rows]
    if blocks.songs:
        blocked |= np.isin(engine.catalogue.keys[rows], [song_key(song) for song in blocks.songs])
    if blocks.artists:
        blocked |= np.isin(engine.catalogue.artists[rows], [artist_key(artist) for artist in blocks.artists])
    if blocks.tags:
        tags = set(blocks.tags)
        blocked |= np.array([not tags.isdisjoint(engine.catalogue.songs[row].tags) for row in rows], bool)
    return blocked


def _population(listening: Listening) -> Population:
    return Population(int(listening.population[0]))


def _has_played_since_report(listening: Listening) -> bool:
    """Whether the session's last play is newer than anything the listener said of their affect in it."""
    if not listening.session_count or listening.play_start[-1] == listening.play_start[-2]:
        return False
    return bool(np.isnan(listening.report[-1]).any())


def _expected_of_average_song(engine: Engine, encoded: Encoded) -> Float[ndarray, "1 M 2"]:
    """Return each member's estimate if a song came next whose share of the head is nothing: the average one."""
    members, hidden = engine.vectors.head_hidden.shape[1:]
    predicted = engine.graphs.head(encoded.state, np.zeros((1, 1, members, hidden), np.float32))
    return predicted[:, :, 0, AFFECT].astype(np.float64)


def _estimate_of_last_play(engine: Engine, encoded: Encoded) -> Float[ndarray, "1 M 2"]:
    """Return each member's estimate; not a number where the song is unknown: what is not computed forbids."""
    if encoded.last_row == NO_SONG:
        return np.full((1, encoded.state.shape[1], 2), np.nan)
    predicted = predict(engine, encoded.previous_state, np.array([encoded.last_row]))
    return predicted[:, :, 0, AFFECT].astype(np.float64)
