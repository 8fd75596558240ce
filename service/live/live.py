"""What is live: the engine that answers, the one before it for a rollback in one call, and those on their way.

Readers take `engine` once per request and use that one to the end; a swap is one assignment, so a request sees
either the old bundle or the new one, never both. Whatever fails while an engine is being opened fails before
the swap: a bad new bundle leaves the old one in place.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from threading import Lock

from models.bundle import Bundle
from models.catalogue import Catalogue
from models.errors import Unavailable
from service.clock import Instant
from service.errors import CatalogueGap, StageConflict
from service.live.engine import Engine, open_engine


@dataclass(frozen=True, slots=True)
class Loaded:
    """The engines that are held; replaced together, so that nobody sees half a swap."""

    current: Engine | None = None
    previous: Engine | None = None
    canary: Engine | None = None
    """Answers the listeners enrolled for it."""
    shadow: Engine | None = None
    """Is shown what was asked, and answers nobody."""
    since: Mapping[str, Instant] = field(default_factory=dict)
    """Version → when the bundle came to its stage, as far as SQL was asked."""

    @property
    def by_version(self) -> dict[str, Engine]:
        """Every engine that is held, by its bundle's version."""
        held = (self.shadow, self.canary, self.previous, self.current)
        return {engine.bundle.version: engine for engine in held if engine is not None}


class Live:
    """The holder of the live engine; writers take turns, readers never wait."""

    def __init__(self) -> None:
        self._loaded = Loaded()
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

    def hold(self, wanted: Loaded) -> None:
        """Hold these engines from now on, each over the catalogue of the one that answered until now.

        Raises:
            CatalogueGap: the engine that is to answer cannot read every active song; nothing changes.
        """
        with self._turn:
            answering = self._loaded.current
            self._loaded = wanted if answering is None else _over(wanted, answering.catalogue)

    def swap(self, bundle: Bundle, catalogue: Catalogue) -> Engine:
        """Open an engine and let it answer from now on; return it. The one before it stays for a rollback.

        Raises:
            CatalogueGap, BundleError: as `open_engine`; what was live stays live.
        """
        with self._turn:
            engine = open_engine(bundle, catalogue)
            before = self._loaded
            same = before.current is not None and before.current.bundle.version == bundle.version
            self._loaded = replace(before, current=engine, previous=before.previous if same else before.current)
            return engine

    def rollback(self) -> Engine:
        """Let the engine before this one answer again; return it.

        Raises:
            StageConflict: none is held.
        """
        with self._turn:
            if self._loaded.previous is None:
                raise StageConflict("there is no earlier bundle to roll back to")
            before = self._loaded
            self._loaded = replace(before, current=before.previous, previous=before.current)
            return self.engine

    def renew(self, catalogue: Catalogue) -> None:
        """Put all engines over a catalogue that changed.

        Another than the live bundle that cannot read every active song any more is let go.

        Raises:
            CatalogueGap: the live bundle cannot read every active song; the old catalogue stays.
        """
        with self._turn:
            self._loaded = _over(self._loaded, catalogue)

    def song_id_of(self, key: int) -> str | None:
        """Return the id behind a song key; None for a song that the catalogue does not hold."""
        return self.engine.song_id_of(key)


def _over(loaded: Loaded, catalogue: Catalogue) -> Loaded:
    """Return the same engines over a catalogue; those besides the live one that cannot read it are let go."""
    current = loaded.current
    return replace(
        loaded,
        current=None if current is None else _renewed(current, catalogue),
        previous=_renewed_or_let_go(loaded.previous, catalogue),
        canary=_renewed_or_let_go(loaded.canary, catalogue),
        shadow=_renewed_or_let_go(loaded.shadow, catalogue),
    )


def _renewed(engine: Engine, catalogue: Catalogue) -> Engine:
    return engine if engine.catalogue is catalogue else engine.with_catalogue(catalogue)


def _renewed_or_let_go(engine: Engine | None, catalogue: Catalogue) -> Engine | None:
    try:
        return None if engine is None else _renewed(engine, catalogue)
    except CatalogueGap:
        return None
