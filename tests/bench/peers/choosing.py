"""Histories in, songs out, many listeners at once: the part of the job that is the same on every peer.

The bundle's own graphs, tokens, lookback and order over the projected songs, without a single rule: a song may
come again, and nothing is vetoed. It does less than the service, and chooses what the service would if nothing
were forbidden.

Legend: B listeners · L tokens · M members · K candidates · N songs
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import faiss
import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from models.bundle import Bundle, open_bundle
from models.catalogue import Catalogue, Song, gather
from models.listening import Listening, Mode, Population, song_key
from models.tokens import tokenise
from service.live.graphs import Graphs, open_graphs
from service.live.vectors import SongVectors, song_vectors

PLAY: Final = np.dtype([("song", "<i8"), ("engagement", "<f4"), ("rating", "<f4"), ("at", "<f8")])
"""One play of a packed history; a history is its plays, oldest first."""
REPORT: Final = (0.5, 0.5)
"""What every listener says before listening: as the load says it to the service."""
_COUNTED: Final = 50
"""Plays before the lookback that a token can still tell: it counts those before it up to here."""


def pack_play(song_id: str, *, engagement: float, rating: float, at: float) -> bytes:
    """Return one play as a history keeps it; `at` in Unix seconds."""
    return np.array([(song_key(song_id), engagement, rating, at)], PLAY).tobytes()


def listening_of(histories: Sequence[bytes], *, context_fields: int) -> Listening:
    """Return packed histories as a batch: one session each, begun with a report."""
    plays = np.frombuffer(b"".join(histories), PLAY)
    count = len(histories)
    lengths = [len(history) // PLAY.itemsize for history in histories]
    return Listening(
        population=np.full(count, Population.UNSPECIFIED, np.int64),
        session_start=np.arange(count + 1),
        mode=np.full(count, Mode.UNSPECIFIED, np.int64),
        started_at=np.zeros(count),
        before=np.tile(np.array(REPORT, np.float32), (count, 1)),
        after=np.full((count, 2), np.nan, np.float32),
        context=np.full((count, context_fields), np.nan, np.float32),
        play_start=np.cumsum([0, *lengths]),
        song=plays["song"],
        engagement=plays["engagement"],
        rating=plays["rating"],
        report=np.full((len(plays), 2), np.nan, np.float32),
        play_mode=np.full(len(plays), Mode.UNSPECIFIED, np.int64),
        played_at=plays["at"],
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chooser:
    """One bundle over one catalogue; safe to share between threads."""

    bundle: Bundle
    graphs: Graphs
    catalogue: Catalogue
    vectors: SongVectors
    index: faiss.IndexFlatIP

    @property
    def kept_bytes(self) -> int:
        """How much of a history's end the tokens can tell."""
        return (self.bundle.manifest.lookback + _COUNTED) * PLAY.itemsize

    def choose(self, histories: Sequence[bytes]) -> list[str]:
        """Return the id of the song that comes next in each packed history."""
        manifest = self.bundle.manifest
        listening = listening_of(histories, context_fields=manifest.context.field_count)
        tokens = tokenise(listening, manifest.context).latest(manifest.lookback)
        rows = self.catalogue.rows(tokens.song)  # (B, L)
        state, _ = self.graphs.world(gather(self.vectors.world_token, rows), tokens)
        query = self.graphs.policy(gather(self.vectors.policy_token, rows), tokens)
        score, near = self._match(query)
        predicted = self.graphs.head(state, self.vectors.head_hidden[near])
        return [self.catalogue.songs[row].song_id for row in self._first(score, near, predicted)]

    def _match(self, query: Float[ndarray, "B Q"]) -> tuple[Float[ndarray, "B K"], Int[ndarray, "B K"]]:
        """Return the cosines and the rows of the songs nearest to each query."""
        return self.index.search(query, min(self.bundle.manifest.candidate_count, len(self.catalogue)))

    def _first(
        self, score: Float[ndarray, "B K"], near: Int[ndarray, "B K"], predicted: Float[ndarray, "B M K 4"]
    ) -> Int[ndarray, " B"]:
        """Return the row of the song that the bundle's order puts first."""
        shown = np.zeros(near.shape, np.int64)
        mode = np.full(len(near), Mode.UNSPECIFIED, np.int64)
        dealt = self.bundle.manifest.decoder.deal(score, predicted, shown, mode)
        return near[np.arange(len(near)), dealt.argmax(axis=1)]


def make_chooser(bundle: Bundle, song_ids: Sequence[str], embeddings: Float[ndarray, "N E"]) -> Chooser:
    """Return a chooser over songs with their embeddings in the bundle's space; one thread does everything."""
    faiss.omp_set_num_threads(1)
    vectors = song_vectors(bundle, embeddings)
    index = faiss.IndexFlatIP(vectors.index_rows.shape[1])
    index.add(vectors.index_rows)
    catalogue = Catalogue(
        songs=[Song(song_id=each) for each in song_ids], embeddings={}, withdrawn=np.zeros(len(song_ids), bool)
    )
    return Chooser(bundle=bundle, graphs=open_graphs(bundle), catalogue=catalogue, vectors=vectors, index=index)


def write_songs(path: Path, song_ids: Sequence[str], embeddings: Float[ndarray, "N E"]) -> None:
    """Write down what `open_chooser` reads."""
    np.savez(path, song_ids=np.array(song_ids), embeddings=np.asarray(embeddings, np.float32))


def open_chooser(bundle: Path, songs: Path) -> Chooser:
    """Return a chooser over a bundle's folder and the songs that `write_songs` wrote."""
    with np.load(songs, allow_pickle=False) as held:
        return make_chooser(open_bundle(bundle), held["song_ids"].tolist(), held["embeddings"])
