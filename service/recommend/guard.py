"""Guard: where each listener stands, and the candidates with all that the guardrails ask of them.

The rules themselves are `models.guardrails`, the same in rollouts.

Legend: B listeners · M members · K candidates
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from models.catalogue import artist_key, gather
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


def standings(
    engine: Engine, views: Sequence[View], encoded: Encoded, *, now: Sequence[float]
) -> list[tuple[Standing, str]]:
    """Return where each listener stands, and where the affect estimate came from (SAFETY, Words).

    After a play, the estimate is each world model's prediction for that very play. Where the listener's own
    word is newer (before the session's first play, or after a song they reported on) it is that report, or the
    population's prior, which is the anchor; steps are then taken from what each world model expects of the
    average song, so that both ends of a step come from the same model and know the same.

    Args:
        engine: what answers.
        views: of B listeners.
        encoded: their histories, read.
        now: Unix seconds, UTC, of each.
    """
    of_play = np.array([_has_played_since_report(view.listening) for view in views])
    estimates = _estimates(engine, encoded, of_play)
    return [
        _standing(engine, view, estimates[[place]], of_play=bool(of_play[place]), now=now[place])
        for place, view in enumerate(views)
    ]


def _standing(
    engine: Engine, view: View, estimate: Float[ndarray, "1 M 2"], *, of_play: bool, now: float
) -> tuple[Standing, str]:
    report = last_report(view.listening)
    anchor = engine.bundle.guardrails.prior_for(_population(view.listening)) if report is None else report
    standing = Standing(
        estimate=estimate,
        anchor=np.array([anchor]),
        reported=np.array([report is not None]),
        recent_song=view.offered.song[None],
        recent_artist=view.offered.artist[None],
        recent_hours=(now - view.offered.at[None]) / 3600.0,
    )
    if of_play:
        return standing, "world_model"
    return standing, "prior" if report is None else "report"


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
    state: Float[ndarray, "B M D"],
    rows: Sequence[Int[ndarray, " _"]],
    scores: Sequence[Float[ndarray, " _"]],
    blocks: Sequence[Blocks],
) -> list[Candidates]:
    """Return the songs of each listener, as a batch of one, with what is predicted of them."""
    found: dict[int, Candidates] = {}
    for count in {len(each) for each in rows}:  # nearly always one: as many songs as are asked for
        places = [place for place, each in enumerate(rows) if len(each) == count]
        alike = np.array([rows[place] for place in places], np.int64).reshape(len(places), count)  # (b, K)
        predicted = predict(engine, state[places], alike)
        song, artist = engine.catalogue.keys[alike], engine.catalogue.artists[alike]
        distance = engine.vectors.support_distance[alike]
        for own, place in enumerate(places):
            one = slice(own, own + 1)
            found[place] = Candidates(
                song=song[one],
                artist=artist[one],
                score=scores[place][None],
                predicted=predicted[one],
                blocked=are_blocked(engine, rows[place], blocks[place])[None],
                support_distance=distance[one],
            )
    return [found[place] for place in range(len(rows))]


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


def _estimates(engine: Engine, encoded: Encoded, of_play: Bool[ndarray, " B"]) -> Float[ndarray, "B M 2"]:
    """Return each member's estimate: of the last play, or else of the average song, whose share in the head is 0.

    Not a number where the last play's song is unknown: what is not computed forbids.
    """
    state = np.where(of_play[:, None, None], encoded.previous_state, encoded.state)
    hidden = gather(engine.vectors.head_hidden, np.where(of_play, encoded.last_row, NO_SONG))  # (B, M, H)
    hidden[of_play & (encoded.last_row == NO_SONG)] = np.nan
    return engine.graphs.head(state, hidden[:, None])[:, :, 0, AFFECT].astype(np.float64)
