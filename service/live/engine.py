"""An engine: one verified bundle and one catalogue, made ready to answer. It never changes; it is replaced."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from models.bundle import Bundle
from models.catalogue import Catalogue
from models.listening import NO_SONG, Mode, song_keys
from service.errors import CatalogueGap
from service.live.golden import replay
from service.live.graphs import Graphs, OnRun, open_graphs
from service.live.index import SongIndex
from service.live.layout import lay_out
from service.live.vectors import GrowingVectors, SongVectors, growing_vectors


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Engine:
    """What one recommendation needs besides the listener; safe to share between threads."""

    bundle: Bundle
    graphs: Graphs
    catalogue: Catalogue
    index: SongIndex
    """The songs that may be recommended: active, and with an embedding in the bundle's space."""
    approved: dict[Mode, Int[ndarray, " _"]]
    """Mode → rows of the songs that operators approved for it, in their order."""
    _vectors: GrowingVectors

    @property
    def vectors(self) -> SongVectors:
        """One row per row of the catalogue, withdrawn songs included: their plays are still read."""
        return self._vectors.rows

    @property
    def gaps(self) -> Int[ndarray, " n"]:
        """Rows of active songs that the bundle cannot read for want of an embedding; none is recommended."""
        return np.flatnonzero(~self.catalogue.withdrawn & ~self.vectors.known)

    def song_id_of(self, key: int) -> str | None:
        """Return the id behind a song key; None for a song that the catalogue does not hold."""
        row = int(self.catalogue.rows(np.array([key]))[0])
        return None if row == NO_SONG else self.catalogue.songs[row].song_id

    def with_catalogue(self, catalogue: Catalogue) -> "Engine":
        """Return the same bundle over another catalogue; over one that follows this one, for what changed alone.

        Songs that the bundle cannot read are left out: ask `gaps`.

        Raises:
            BundleError: the embeddings have another width than the bundle's space.
        """
        if not catalogue.continues(self.catalogue):
            return _over(self.bundle, self.graphs, catalogue)
        more = _embeddings(self.bundle, catalogue, since=len(self.catalogue))
        vectors = self._vectors.plus(self.bundle, more)
        allowed = ~catalogue.withdrawn & vectors.rows.known
        return replace(
            self,
            catalogue=catalogue,
            index=self.index.after(vectors.rows.index_rows, allowed),
            approved=_approved(self.bundle, catalogue),
            _vectors=vectors,
        )

    def laid_out(self, catalogue: Catalogue) -> "Engine":
        """Return the same as `with_catalogue`, its index laid out anew: slow, for the background."""
        engine = self.with_catalogue(catalogue)
        if not catalogue.continues(self.catalogue):
            return engine  # over other rows, and so laid out just now
        allowed = ~catalogue.withdrawn & engine.vectors.known
        return replace(engine, index=lay_out(engine.vectors.index_rows, allowed, self.bundle.projections))

    def require_all(self) -> None:
        """Check that the bundle can read every active song.

        Raises:
            CatalogueGap: it cannot.
        """
        gaps = self.gaps
        if gaps.size:
            raise CatalogueGap(
                f"{self.bundle.version} reads space {self.bundle.manifest.space.name!r}, in which {gaps.size} of "
                f"{int((~self.catalogue.withdrawn).sum())} active songs have no embedding; the first is "
                f"{self.catalogue.songs[int(gaps[0])].song_id!r}"
            )


def open_engine(bundle: Bundle, catalogue: Catalogue, on_run: OnRun | None = None) -> Engine:
    """Return an engine that has answered its golden cases, and is warm.

    Raises:
        CatalogueGap: an active song has no embedding in the bundle's space.
        BundleError: a graph cannot be compiled, or a golden case, which is named, fails.
    """
    graphs = open_graphs(bundle, on_run)
    replay(bundle, graphs)
    engine = _over(bundle, graphs, catalogue)
    engine.require_all()
    return engine


def _over(bundle: Bundle, graphs: Graphs, catalogue: Catalogue) -> Engine:
    vectors = growing_vectors(bundle, _embeddings(bundle, catalogue, since=0))
    return Engine(
        bundle=bundle,
        graphs=graphs,
        catalogue=catalogue,
        index=lay_out(vectors.rows.index_rows, ~catalogue.withdrawn & vectors.rows.known, bundle.projections),
        approved=_approved(bundle, catalogue),
        _vectors=vectors,
    )


def _embeddings(bundle: Bundle, catalogue: Catalogue, *, since: int) -> Float[ndarray, "n E"]:
    """Return the catalogue's embeddings in the bundle's space from a row on."""
    held = catalogue.embeddings.get(bundle.manifest.space.name)
    if held is None:
        return np.full((len(catalogue) - since, bundle.manifest.space.width), np.nan, np.float32)
    return held[since:]


def _approved(bundle: Bundle, catalogue: Catalogue) -> dict[Mode, Int[ndarray, " _"]]:
    approved = {mode: song_keys(list(bundle.guardrails.approved.get(mode.label, ()))) for mode in Mode}
    found = {mode: catalogue.rows(keys) for mode, keys in approved.items()}
    return {mode: rows[rows != NO_SONG] for mode, rows in found.items()}
