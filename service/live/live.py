"""What is live: the engine that answers, the one before it for a rollback in one call, and those on their way.

Readers take `engine` once per request and use that one to the end; a swap is one assignment, so a request sees
either the old bundle or the new one, never both. Whatever fails while an engine is being opened fails before
the swap: a bad new bundle leaves the old one in place.

All engines are over one catalogue, the newest: what was opened meanwhile is brought up to it before it answers, so
neither a swap nor a rollback loses a song that was put, or brings back one that was withdrawn.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from threading import Lock
from typing import Final

from models.catalogue import Catalogue, empty_catalogue
from models.errors import Unavailable
from service.clock import Instant
from service.live.engine import Engine

SUPERSEDED_LEAST: Final = 2048
SUPERSEDED_SHARE: Final = 4
"""Rows of songs that have changed since are kept until they are more than either allows: some thousands, or this
part of all rows."""


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

    def each(self, change: Callable[[Engine], Engine | None]) -> "Loaded":
        """Return the same with every engine changed."""

        def changed(engine: Engine | None) -> Engine | None:
            return None if engine is None else change(engine)

        return replace(
            self,
            current=changed(self.current),
            previous=changed(self.previous),
            canary=changed(self.canary),
            shadow=changed(self.shadow),
        )


class Live:
    """The holder of the live engine; writers take turns, readers never wait."""

    def __init__(self) -> None:
        self._loaded = Loaded()
        self._catalogue = empty_catalogue()
        self._turn = Lock()

    @property
    def loaded(self) -> Loaded:
        """All engines, as of now."""
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

    def hold(self, wanted: Loaded) -> None:
        """Hold these engines from now on, each over the newest catalogue.

        It is the one followed, or a later one that an engine was opened over: opening takes time, and songs are
        followed meanwhile. An engine besides the live one that cannot read every active song is let go.

        Raises:
            CatalogueGap: an engine that has not answered yet, and is to, cannot read every active song; nothing
                changes.
        """
        while True:
            with self._turn:
                newest = _newest(self._catalogue, wanted)
                if all(newest.continues(each.catalogue) for each in wanted.by_version.values()):
                    over = _over(wanted, newest)
                    if over.current is not None and over.current.bundle.version != self._answering:
                        over.current.require_all()
                    self._catalogue, self._loaded = newest, over
                    return
            wanted = wanted.each(partial(_laid_out, catalogue=newest))  # the songs were laid out anew meanwhile

    @property
    def _answering(self) -> str | None:
        current = self._loaded.current
        return None if current is None else current.bundle.version

    def renew(self, catalogue: Catalogue) -> None:
        """Put all engines over a catalogue that changed.

        Songs that the live bundle cannot read are left out. Another bundle that cannot read every active song any
        more is let go.
        """
        with self._turn:
            self._catalogue, self._loaded = catalogue, _over(self._loaded, catalogue)

    @property
    def is_compaction_due(self) -> bool:
        """Whether enough has changed for indexes, or rows, to be laid out anew."""
        engines = self._loaded.by_version.values()
        return _has_many_superseded(self._catalogue) or any(each.index.is_due for each in engines)

    def compact(self) -> bool:
        """Lay out indexes anew, and the songs themselves where many have changed; return whether it came about.

        Slow, for the background: searches go on over what there was, and songs are followed meanwhile. Given up
        where bundles were swapped meanwhile.
        """
        with self._turn:
            loaded, catalogue = self._loaded, self._catalogue
        fresh = catalogue.compacted() if _has_many_superseded(catalogue) else catalogue
        ready = {id(each.graphs): each.laid_out(fresh) for each in loaded.by_version.values()}
        with self._turn:
            now = self._loaded
            if not self._catalogue.continues(catalogue) or any(
                id(each.graphs) not in ready for each in now.by_version.values()
            ):
                return False
            newest = self._catalogue
            if fresh is not catalogue:
                newest = fresh.after(newest.changes_since(catalogue))
            self._catalogue, self._loaded = (
                newest,
                now.each(lambda engine: ready[id(engine.graphs)].with_catalogue(newest)),
            )
            return True

    def widths(self) -> dict[str, int]:
        """Return the width of each space that a bundle held here reads."""
        spaces = [each.bundle.manifest.space for each in self._loaded.by_version.values()]
        return {space.name: space.width for space in spaces}

    def song_id_of(self, key: int) -> str | None:
        """Return the id behind a song key; None for a song that the catalogue does not hold."""
        return self.engine.song_id_of(key)


def _newest(followed: Catalogue, wanted: Loaded) -> Catalogue:
    """Return the catalogue followed, or a later one that an engine was opened over."""
    latest = max((each.catalogue for each in wanted.by_version.values()), key=_revision, default=followed)
    return latest if not len(followed) or latest.revision > followed.revision else followed


def _revision(catalogue: Catalogue) -> int:
    return catalogue.revision


def _over(loaded: Loaded, catalogue: Catalogue) -> Loaded:
    """Return the same engines over a catalogue; those besides the live one that cannot read it are let go."""
    renewed = loaded.each(lambda engine: _renewed(engine, catalogue))
    readable = renewed.each(lambda engine: None if engine.gaps.size else engine)
    return replace(readable, current=renewed.current)


def _renewed(engine: Engine, catalogue: Catalogue) -> Engine:
    return engine if engine.catalogue is catalogue else engine.with_catalogue(catalogue)


def _laid_out(engine: Engine, catalogue: Catalogue) -> Engine:
    return engine if catalogue.continues(engine.catalogue) else engine.laid_out(catalogue)


def _has_many_superseded(catalogue: Catalogue) -> bool:
    return catalogue.superseded_count > max(SUPERSEDED_LEAST, len(catalogue) // SUPERSEDED_SHARE)
