"""Songs put and withdrawn while bundles are swapped, rolled back and laid out anew: nothing lost, nothing back.

What must hold after every step, for the engine that answers and for the one behind it: the songs that may be given
are those put and not withdrawn, each with what was said of it last; a search finds exactly the best of them; and
what a reader took hold of before goes on answering as it did.
"""

from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from models.bundle import Bundle
from models.catalogue import Catalogue, Changes, Song, empty_catalogue
from models.repository import Repository
from service.live import live
from service.live.engine import Engine
from service.live.live import Live
from tests.bundles import SPACE, seal_bundle
from tests.service.live.swapping import roll_back, swap

NUMBERS = st.integers(0, 14)
VECTORS = st.integers(0, 1000)


@pytest.fixture(scope="module")
def two_bundles(tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Bundle) -> tuple[Bundle, Bundle]:
    """Two bundles with other weights."""
    repository = Repository(tmp_path_factory.mktemp("other"))
    return tiny_bundle, repository.open(seal_bundle(repository, seed=1))


def vector_of(number: int) -> np.ndarray:
    return np.random.default_rng(number).normal(size=SPACE.width).astype(np.float32)


class Changing(RuleBasedStateMachine):
    """One worker, a catalogue in SQL's place, and an operator who does everything at once."""

    pair: tuple[Bundle, Bundle]

    def __init__(self) -> None:
        super().__init__()
        self.live = Live()
        self.revision = 0
        self.songs: dict[str, tuple[str, int, bool]] = {}
        """Id → title, the number of its vector, whether it is withdrawn."""
        self.held: list[tuple[Engine, dict[str, Any]]] = []
        self.opening: Catalogue | None = None

    @initialize()
    def first(self) -> None:
        self.live.renew(empty_catalogue())
        swap(self.live, self.pair[0], self.live.catalogue)

    def follow(self, *song_ids: str) -> None:
        self.revision += 1
        found = [self.songs[song_id] for song_id in song_ids]
        changes = Changes(
            revision=self.revision,
            songs=[Song(song_id=each, title=title) for each, (title, _, _) in zip(song_ids, found, strict=True)],
            withdrawn=np.array([gone for _, _, gone in found], bool),
            embeddings={SPACE.name: np.array([vector_of(number) for _, number, _ in found], np.float32)},
        )
        self.live.renew(self.live.catalogue.after(changes))

    @rule(numbers=st.sets(NUMBERS, min_size=1, max_size=8), vector=VECTORS, title=st.integers(0, 3))
    def put(self, numbers: set[int], vector: int, title: int) -> None:
        song_ids = [f"s{number}" for number in sorted(numbers)]
        song_ids = [each for each in song_ids if each not in self.songs or not self.songs[each][2]]
        for song_id in song_ids:
            self.songs[song_id] = (f"t{title}", vector + len(song_id), False)
        if song_ids:
            self.follow(*song_ids)

    @rule(number=NUMBERS)
    def withdraw(self, number: int) -> None:
        song_id = f"s{number}"
        if song_id in self.songs:
            self.songs[song_id] = (*self.songs[song_id][:2], True)
            self.follow(song_id)

    @rule(number=NUMBERS)
    def reinstate(self, number: int) -> None:
        song_id = f"s{number}"
        if song_id in self.songs:
            self.songs[song_id] = (*self.songs[song_id][:2], False)
            self.follow(song_id)

    @rule(which=st.integers(0, 1))
    def swap(self, which: int) -> None:
        swap(self.live, self.pair[which], self.live.catalogue)

    @rule()
    def begin_to_open(self) -> None:
        """A swap takes hold of the catalogue; songs change before it is done."""
        self.opening = self.live.catalogue

    @precondition(lambda self: self.opening is not None)
    @rule(which=st.integers(0, 1))
    def finish_opening(self, which: int) -> None:
        assert self.opening is not None
        swap(self.live, self.pair[which], self.opening)
        self.opening = None

    @rule()
    def roll_back(self) -> None:
        if self.live.loaded.previous is not None:
            roll_back(self.live)

    @rule()
    def lay_out(self) -> None:
        assert self.live.compact()

    @rule()
    def hold(self) -> None:
        """A request takes hold of the engine, and looks at it later."""
        self.held.append((self.live.engine, seen(self.live.engine)))

    @invariant()
    def engines_give_what_may_be_given(self) -> None:
        meant = {song_id: title for song_id, (title, _, gone) in self.songs.items() if not gone}
        for engine in self.live.loaded.by_version.values():
            found = seen(engine)
            assert found["titles"] == meant
            assert len(engine.index) == len(meant)
            np.testing.assert_allclose(found["scores"], self.expected_scores(engine), rtol=1e-4, atol=1e-5)
            self.tokens_are_those_of_the_newest(engine)

    def expected_scores(self, engine: Engine) -> list[float]:
        vectors = [vector_of(number) for _, number, gone in self.songs.values() if not gone]
        rows = engine.bundle.projections.index_rows(np.array(vectors, np.float32).reshape(-1, SPACE.width))
        return sorted((rows @ query_of(engine)).tolist(), reverse=True)

    def tokens_are_those_of_the_newest(self, engine: Engine) -> None:
        """Histories are read with what a song sounds like now, withdrawn or not."""
        for song_id, (_, number, _) in self.songs.items():
            token = engine.vectors.world_token[engine.catalogue.row(song_id)]
            expected = engine.bundle.projections.world_token(vector_of(number)[None])[0]
            np.testing.assert_allclose(token, expected, rtol=1e-4, atol=1e-5)

    @invariant()
    def what_was_taken_hold_of_is_as_it_was(self) -> None:
        for engine, before in self.held:
            assert seen(engine) == before


def query_of(engine: Engine) -> np.ndarray:
    return vector_of(5)[np.arange(engine.vectors.index_rows.shape[1]) % SPACE.width]


def seen(engine: Engine) -> dict[str, Any]:
    rows, scores = engine.index.search(query_of(engine), 1000)
    songs = [engine.catalogue.songs[row] for row in rows]
    assert len({song.song_id for song in songs}) == len(songs)
    return {"titles": {song.song_id: song.title for song in songs}, "scores": scores.tolist()}


@pytest.mark.parametrize("examples", [5, pytest.param(200, marks=pytest.mark.prove)])
def test_songs_and_bundles_change_at_once(two_bundles, monkeypatch, examples: int):
    """Rows of songs that changed are kept for a while; here they are soon too many."""
    monkeypatch.setattr(live, "SUPERSEDED_LEAST", 2)
    machine = type("Changing", (Changing,), {"pair": two_bundles})

    run_state_machine_as_test(
        machine, settings=settings(max_examples=examples, stateful_step_count=25, deadline=None)
    )


def test_searches_go_on_while_songs_change(two_bundles, monkeypatch):
    """Two readers search without a pause; songs are put, withdrawn and laid out anew, and bundles swapped."""
    monkeypatch.setattr(live, "SUPERSEDED_LEAST", 2)
    one = Live()
    one.renew(empty_catalogue())
    swap(one, two_bundles[0], one.catalogue)
    stopped = Event()

    def search() -> int:
        count = 0
        while not stopped.is_set():
            engine = one.engine
            rows, scores = engine.index.search(query_of(engine), 20)
            assert len(rows) == min(20, len(engine.index))
            assert not engine.catalogue.withdrawn[rows].any()
            assert np.isfinite(scores).all()
            assert all(engine.song_id_of(int(key)) for key in engine.catalogue.keys[rows])
            count += 1
        return count

    with ThreadPoolExecutor(2) as readers:
        searching = [readers.submit(search) for _ in range(2)]
        rng = np.random.default_rng(4)
        for step in range(60):
            one.renew(one.catalogue.after(some_changes(rng, revision=step + 1)))
            if step % 10 == 0:
                assert one.compact()
            if step % 20 == 15:
                swap(one, two_bundles[step // 20 % 2], one.catalogue)
        stopped.set()

    assert all(each.result() > 0 for each in searching)


def some_changes(rng: np.random.Generator, *, revision: int) -> Changes:
    numbers = rng.choice(60, 6, replace=False)
    return Changes(
        revision=revision,
        songs=[Song(song_id=f"s{number}", title=f"t{revision}") for number in numbers],
        withdrawn=rng.random(6) < 0.3,
        embeddings={SPACE.name: rng.normal(size=(6, SPACE.width)).astype(np.float32)},
    )
