"""Guard: where each listener stands, and the candidates with all that the guardrails ask of them.

The rules themselves are `models.guardrails`, and what the listener said last is `models.standing`, the same in
rollouts.

Legend: B listeners · M members · K candidates
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from models.catalogue import artist_key, gather
from models.guardrails import AFFECT, Candidates, Limits, Standing, offers_that_bind
from models.listening import NO_SONG, Population, song_key
from models.standing import anchors, estimates, have_played_since, priors
from service.live.engine import Engine
from service.memory.state import Blocks
from service.recommend.encode import Encoded
from service.recommend.predict import predict
from service.recommend.view import View


def limits_of(engine: Engine, view: View) -> Limits:
    """Return the limits that bind: the bundle's for the population and mode, tightened by the listener's own."""
    population = Population(int(view.listening.population[0]))
    limits = engine.bundle.guardrails.limits_for(population, view.mode)
    return limits if view.limits is None else limits.tightened(view.limits)


def standings(
    engine: Engine,
    views: Sequence[View],
    encoded: Encoded,
    *,
    limits: Sequence[Limits],
    now: Sequence[float],
) -> list[tuple[Standing, str]]:
    """Return where each listener stands, and the source of what is known of their affect.

    `world_model`: the estimate is each world model's prediction for the last play. Where no play is newer than the
    listener's own word, it is what each world model expects of the average song, so that both ends of a step come
    from the same model and know the same; the source is then the anchor's, `report` or `prior`.

    Args:
        engine: what answers.
        views: of B listeners.
        encoded: their histories, read.
        limits: that bind each of them: of what was offered lately, a standing holds what these can ask for.
        now: Unix seconds, UTC, of each.
    """
    together = encoded.listening
    anchor, reported = anchors(together, priors(together, engine.bundle.guardrails))
    of_play = have_played_since(together)
    estimate = _estimates(engine, encoded, of_play)
    source = np.where(of_play, "world_model", np.where(reported, "report", "prior")).tolist()
    found = []
    for place, view in enumerate(views):
        hours = (now[place] - view.offered.at) / 3600.0
        lately = slice(offers_that_bind(hours, limits[place]))
        standing = Standing(
            estimate=estimate[[place]],
            anchor=anchor[[place]],
            reported=reported[[place]],
            recent_song=view.offered.song[None, lately],
            recent_artist=view.offered.artist[None, lately],
            recent_hours=hours[None, lately],
        )
        found.append((standing, source[place]))
    return found


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


def _estimates(engine: Engine, encoded: Encoded, of_play: Bool[ndarray, " B"]) -> Float[ndarray, "B M 2"]:
    """Return each member's estimate: of the last play, else of the average song, whose share in the head is 0."""
    state = np.where(of_play[:, None, None], encoded.previous_state, encoded.state)
    hidden = gather(engine.vectors.head_hidden, np.where(of_play, encoded.last_row, NO_SONG))  # (B, M, H)
    predicted = engine.graphs.head(state, hidden[:, None])[:, :, 0, AFFECT]
    return estimates(predicted, of_play=of_play, last_row=encoded.last_row)
