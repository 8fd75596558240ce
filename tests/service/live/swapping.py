"""Swaps and rollbacks as the follower of SQL makes them: an engine opened, then held with the one before it."""

from dataclasses import replace

from models.bundle import Bundle
from models.catalogue import Catalogue
from service.live.engine import Engine, open_engine
from service.live.live import Live


def swap(live: Live, bundle: Bundle, catalogue: Catalogue) -> Engine:
    """Let a bundle answer from now on; the one before it stays."""
    engine, before = open_engine(bundle, catalogue), live.loaded
    same = before.current is not None and before.current.bundle.version == bundle.version
    live.hold(replace(before, current=engine, previous=before.previous if same else before.current))
    return live.engine


def roll_back(live: Live) -> Engine:
    """Let the bundle before the one that answers answer again."""
    before = live.loaded
    live.hold(replace(before, current=before.previous, previous=before.current))
    return live.engine
