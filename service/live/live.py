"""What is live: the engine that answers, and the one before it, kept loaded for a rollback in one call.

Readers take `engine` once per request and use that one to the end; a swap is one assignment, so a request sees
either the old bundle or the new one, never both. Whatever fails while an engine is being opened fails before
the swap: a bad new bundle leaves the old one in place.

All engines are over one catalogue, the newest: what is opened meanwhile is brought up to it before it answers, so
neither a swap nor a rollback loses a song that was put, or brings back one that was withdrawn.
"""

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Final

from models.bundle import Bundle
from models.catalogue import Catalogue, empty_catalogue
from models.errors import Unavailable
from service.errors import StageConflict
from service.live.engine import Engine, open_engine

SUPERSEDED_LEAST: Final = 2048
SUPERSEDED_SHARE: Final = 4
"""Rows of songs that have changed since are kept until they are more than either allows: some thousands, or this
part of all rows."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """The two engines that are held; replaced together, so that nobody sees half a swap."""

    current: Engine | None = None
    previous: Engine | None = None

    @property
    def engines(self) -> tuple[Engine, ...]:
        """Those that there are."""
        return tuple(each for each in (self.current, self.previous) if each is not None)


class Live:
    """The holder of the live engine; writers take turns, readers never wait."""

    def __init__(self) -> None:
        self._loaded = Loaded()
        self._catalogue = empty_catalogue()
        self._turn = Lock()

    @property
    def loaded(self) -> Loaded:
        """Both engines, as of now."""
        return self._loaded

    @property
    def catalogue(self) -> Catalogue:
        """The newest catalogue, which all engines are over."""
        return self._catalogue

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

        Opening takes its time; songs are followed meanwhile, and the new engine is over the newer of the catalogue
        given and the one followed.

        Raises:
            CatalogueGap, BundleError: as `open_engine`; what was live stays live.
        """
        engine = open_engine(bundle, catalogue)
        while True:
            with self._turn:
                newest = catalogue if catalogue.revision >= self._catalogue.revision else self._catalogue
                if newest.continues(engine.catalogue):
                    return self._let_answer(engine.with_catalogue(newest))
            engine = engine.laid_out(newest)  # the songs were laid out anew meanwhile

    def _let_answer(self, engine: Engine) -> Engine:
        engine.require_all()
        before, newest = self._loaded, engine.catalogue
        same = before.current is not None and before.current.bundle.version == engine.bundle.version
        previous = before.previous if same else before.current
        self._catalogue, self._loaded = newest, Loaded(engine, _renewed_or_let_go(previous, newest))
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

        Songs that the live bundle cannot read are left out. An earlier bundle that cannot read every active
        song any more is let go: there is no rollback to it.
        """
        with self._turn:
            current, previous = self._loaded.current, self._loaded.previous
            self._catalogue, self._loaded = (
                catalogue,
                Loaded(
                    None if current is None else current.with_catalogue(catalogue),
                    _renewed_or_let_go(previous, catalogue),
                ),
            )

    @property
    def is_compaction_due(self) -> bool:
        """Whether enough has changed for indexes, or rows, to be laid out anew."""
        return _has_many_superseded(self._catalogue) or any(each.index.is_due for each in self._loaded.engines)

    def compact(self) -> bool:
        """Lay out indexes anew, and the songs themselves where many have changed; return whether it came about.

        Slow, for the background: searches go on over what there was, and songs are followed meanwhile. Given up
        where bundles were swapped meanwhile.
        """
        with self._turn:
            loaded, catalogue = self._loaded, self._catalogue
        fresh = catalogue.compacted() if _has_many_superseded(catalogue) else catalogue
        ready = {id(each.graphs): each.laid_out(fresh) for each in loaded.engines}
        with self._turn:
            now = self._loaded
            if not self._catalogue.continues(catalogue) or any(
                id(each.graphs) not in ready for each in now.engines
            ):
                return False
            newest = self._catalogue
            if fresh is not catalogue:
                newest = fresh.after(newest.changes_since(catalogue))
            self._catalogue, self._loaded = (
                newest,
                _each(now, lambda engine: ready[id(engine.graphs)].with_catalogue(newest)),
            )
            return True

    def widths(self) -> dict[str, int]:
        """Return the width of each space that a bundle held here reads."""
        spaces = [each.bundle.manifest.space for each in self._loaded.engines]
        return {space.name: space.width for space in spaces}

    def song_id_of(self, key: int) -> str | None:
        """Return the id behind a song key; None for a song that the catalogue does not hold."""
        return self.engine.song_id_of(key)


def _each(loaded: Loaded, change: Callable[[Engine], Engine]) -> Loaded:
    return Loaded(
        None if loaded.current is None else change(loaded.current),
        None if loaded.previous is None else change(loaded.previous),
    )


def _renewed_or_let_go(engine: Engine | None, catalogue: Catalogue) -> Engine | None:
    renewed = None if engine is None else engine.with_catalogue(catalogue)
    return None if renewed is None or renewed.gaps.size else renewed


def _has_many_superseded(catalogue: Catalogue) -> bool:
    return catalogue.superseded_count > max(SUPERSEDED_LEAST, len(catalogue) // SUPERSEDED_SHARE)
