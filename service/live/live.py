"""What is live: the engine that answers, and the one before it, kept loaded for a rollback in one call.

Readers take `engine` once per request and use that one to the end; a swap is one assignment, so a request sees
either the old bundle or the new one, never both. Whatever fails while an engine is being opened fails before
the swap: a bad new bundle leaves the old one in place.
"""

from dataclasses import dataclass
from threading import Lock

from models.bundle import Bundle
from models.catalogue import Catalogue
from models.errors import Unavailable
from service.errors import CatalogueGap, StageConflict
from service.live.engine import Engine, open_engine
from service.live.graphs import OnRun


@dataclass(frozen=True, slots=True)
class Loaded:
    """The two engines that are held; replaced together, so that nobody sees half a swap."""

    current: Engine | None = None
    previous: Engine | None = None


class Live:
    """The holder of the live engine; writers take turns, readers never wait."""

    def __init__(self, on_run: OnRun | None = None) -> None:
        self._loaded = Loaded()
        self._on_run = on_run
        self._turn = Lock()

    @property
    def loaded(self) -> Loaded:
        """Both engines, as of now."""
        return self._loaded

    @property
    def engine(self) -> Engine:
        """The engine that answers.

        Raises:
            Unavailable: no bundle is live.
        """
        current = self._loaded.current
        if current is None:
            raise Unavailable("no bundle is live")
        return current

    def swap(self, bundle: Bundle, catalogue: Catalogue) -> Engine:
        """Open an engine and let it answer from now on; return it. The one before it stays for a rollback.

        Raises:
            CatalogueGap, BundleError: as `open_engine`; what was live stays live.
        """
        with self._turn:
            engine = open_engine(bundle, catalogue, self._on_run)
            before = self._loaded
            same = before.current is not None and before.current.bundle.version == bundle.version
            self._loaded = Loaded(engine, before.previous if same else before.current)
            return engine

    def rollback(self) -> Engine:
        """Let the engine before this one answer again; return it.

        Raises:
            StageConflict: none is held.
        """
        with self._turn:
            if self._loaded.previous is None:
                raise StageConflict("there is no earlier bundle to roll back to")
            self._loaded = Loaded(self._loaded.previous, self._loaded.current)
            return self.engine

    def renew(self, catalogue: Catalogue) -> None:
        """Put both engines over a catalogue that changed.

        An earlier bundle that cannot read every active song any more is let go: there is no rollback to it.

        Raises:
            CatalogueGap: the live bundle cannot read every active song; the old catalogue stays.
        """
        with self._turn:
            current, previous = self._loaded.current, self._loaded.previous
            self._loaded = Loaded(
                None if current is None else current.with_catalogue(catalogue),
                _renewed_or_let_go(previous, catalogue),
            )

    def song_id_of(self, key: int) -> str | None:
        """Return the id behind a song key; None for a song that the catalogue does not hold."""
        return self.engine.song_id_of(key)


def _renewed_or_let_go(engine: Engine | None, catalogue: Catalogue) -> Engine | None:
    try:
        return None if engine is None else engine.with_catalogue(catalogue)
    except CatalogueGap:
        return None
