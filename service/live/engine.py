"""An engine: one verified bundle and one catalogue, made ready to answer. It never changes; it is replaced."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int
from numpy import ndarray

from models.bundle import Bundle
from models.catalogue import Catalogue
from models.listening import NO_SONG, Mode, song_keys
from service.errors import CatalogueGap
from service.live.golden import replay
from service.live.graphs import Graphs, OnRun, open_graphs
from service.live.index import FlatIndex
from service.live.vectors import SongVectors, song_vectors


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Engine:
    """What one recommendation needs besides the listener; safe to share between threads."""

    bundle: Bundle
    graphs: Graphs
    catalogue: Catalogue
    vectors: SongVectors
    """One row per song of the catalogue, withdrawn songs included: their plays are still read."""
    index: FlatIndex
    """The songs that may be recommended."""
    tagged: dict[str, Int[ndarray, " _"]]
    """Tag → rows of the songs that carry it."""
    approved: dict[Mode, Int[ndarray, " _"]]
    """Mode → rows of the songs that operators approved for it, in their order."""

    def song_id_of(self, key: int) -> str | None:
        """Return the id behind a song key; None for a song that the catalogue does not hold."""
        row = int(self.catalogue.rows(np.array([key]))[0])
        return None if row == NO_SONG else self.catalogue.songs[row].song_id

    def with_catalogue(self, catalogue: Catalogue) -> "Engine":
        """Return the same bundle over another catalogue.

        Raises:
            CatalogueGap: an active song has no embedding in the bundle's space.
            BundleError: the embeddings have another width than the bundle's space.
        """
        return _over(self.bundle, self.graphs, catalogue)


def open_engine(bundle: Bundle, catalogue: Catalogue, on_run: OnRun | None = None) -> Engine:
    """Return an engine that has answered its golden cases, and is warm.

    Raises:
        CatalogueGap: an active song has no embedding in the bundle's space.
        BundleError: a graph cannot be compiled, or a golden case, which is named, fails.
    """
    graphs = open_graphs(bundle, on_run)
    replay(bundle, graphs)
    return _over(bundle, graphs, catalogue)


def _over(bundle: Bundle, graphs: Graphs, catalogue: Catalogue) -> Engine:
    embeddings = catalogue.embeddings.get(bundle.manifest.space.name)
    if embeddings is None:
        embeddings = np.full((len(catalogue), bundle.manifest.space.width), np.nan, np.float32)
    active = ~catalogue.withdrawn
    _refuse_gaps(bundle, catalogue, active & ~np.isfinite(embeddings).all(axis=1))
    vectors = song_vectors(bundle, embeddings)
    rows = np.flatnonzero(active)
    tags = sorted({tag for song in catalogue.songs for tag in song.tags})
    approved = {mode: song_keys(list(bundle.guardrails.approved.get(mode.label, ()))) for mode in Mode}
    found = {mode: catalogue.rows(keys) for mode, keys in approved.items()}
    return Engine(
        bundle=bundle,
        graphs=graphs,
        catalogue=catalogue,
        vectors=vectors,
        index=FlatIndex(vectors.index_rows[rows], rows),
        tagged={tag: catalogue.tagged(tag) for tag in tags},
        approved={mode: each[each != NO_SONG] for mode, each in found.items()},
    )


def _refuse_gaps(bundle: Bundle, catalogue: Catalogue, gaps: Bool[ndarray, " N"]) -> None:
    if gaps.any():
        first = catalogue.songs[int(np.flatnonzero(gaps)[0])].song_id
        raise CatalogueGap(
            f"{bundle.version} reads space {bundle.manifest.space.name!r}, in which {int(gaps.sum())} of "
            f"{int((~catalogue.withdrawn).sum())} active songs have no embedding; the first is {first!r}"
        )
