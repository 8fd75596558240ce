"""Every peer chooses what the service would if nothing were forbidden, alone or in a batch."""

import numpy as np
import pytest

from models.bundle import Bundle
from models.catalogue import Catalogue
from models.tokens import tokenise
from service.live.engine import Engine, open_engine
from service.recommend.encode import encode
from service.recommend.match import match
from service.recommend.predict import predict
from tests.bench.peers.choosing import (
    PLAY,
    Chooser,
    listening_of,
    make_chooser,
    open_chooser,
    pack_play,
    write_songs,
)
from tests.bundles import SPACE


@pytest.fixture(scope="module")
def chooser(tiny_bundle: Bundle, tiny_catalogue: Catalogue) -> Chooser:
    return make_chooser(
        tiny_bundle, [song.song_id for song in tiny_catalogue.songs], tiny_catalogue.embeddings[SPACE.name]
    )


def history(chooser: Chooser, *, plays: int, seed: int = 0) -> bytes:
    rng = np.random.default_rng(seed)
    songs = rng.choice(len(chooser.catalogue), plays)
    return b"".join(
        pack_play(chooser.catalogue.songs[row].song_id, engagement=row % 10 / 10, rating=row % 2, at=float(place))
        for place, row in enumerate(songs.tolist())
    )


def without_rules(engine: Engine, packed: bytes) -> str:
    """Return the song of the service's own road, no rule asked."""
    manifest = engine.bundle.manifest
    encoded = encode(engine, [listening_of([packed], context_fields=manifest.context.field_count)])
    rows, scores = match(engine, encoded.query[0], manifest.candidate_count, np.zeros(0, np.int64))
    dealt = manifest.decoder.deal(
        scores[None], predict(engine, encoded.state, rows[None]), np.zeros((1, len(rows)), np.int64), np.array([0])
    )
    return engine.catalogue.songs[rows[dealt[0].argmax()]].song_id


def test_the_song_is_that_of_the_service_without_its_rules(
    chooser: Chooser, tiny_bundle: Bundle, tiny_catalogue: Catalogue
):
    engine = open_engine(tiny_bundle, tiny_catalogue)
    histories = [history(chooser, plays=plays, seed=plays) for plays in (0, 1, 7, 100)]

    assert chooser.choose(histories) == [without_rules(engine, each) for each in histories]


def test_a_batch_changes_nobodys_song(chooser: Chooser):
    histories = [history(chooser, plays=plays, seed=plays) for plays in (0, 3, 20, 40, 100)]

    assert chooser.choose(histories) == [chooser.choose([each])[0] for each in histories]


def test_the_end_that_is_kept_tells_what_the_whole_history_does(chooser: Chooser):
    whole = history(chooser, plays=300)
    context = chooser.bundle.manifest.context

    def tokens(packed: bytes):
        listening = listening_of([packed], context_fields=context.field_count)
        return tokenise(listening, context).latest(chooser.bundle.manifest.lookback)

    np.testing.assert_array_equal(tokens(whole).features, tokens(whole[-chooser.kept_bytes :]).features)
    np.testing.assert_array_equal(tokens(whole).song, tokens(whole[-chooser.kept_bytes :]).song)


def test_a_play_is_packed_as_it_is_read():
    (play,) = np.frombuffer(pack_play("song-3", engagement=0.5, rating=1, at=7.0), PLAY)

    assert (play["engagement"], play["rating"], play["at"]) == (0.5, 1, 7.0)


def test_a_chooser_opens_from_what_was_written(tmp_path, tiny_repository, chooser: Chooser):
    ids = [song.song_id for song in chooser.catalogue.songs]
    embeddings = np.random.default_rng(0).normal(size=(len(ids), SPACE.width)).astype(np.float32)
    write_songs(tmp_path / "songs.npz", ids, embeddings)

    opened = open_chooser(tiny_repository.root / tiny_repository.versions()[0], tmp_path / "songs.npz")

    assert [song.song_id for song in opened.catalogue.songs] == ids
    assert opened.choose([b""])[0] in ids
