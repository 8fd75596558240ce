"""What is on each rung of the fallback ladder for those who reached it; which rungs there are is `models.ladder`.

Legend: B listeners · K candidates
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from models.guardrails import PROPOSED_RUNGS, Candidates, Rung
from models.ladder import list_scores, reach
from models.listening import NO_SONG
from service.live.engine import Engine
from service.recommend.encode import Encoded
from service.recommend.guard import candidates
from service.recommend.match import match
from service.recommend.stopwatch import Stopwatch
from service.recommend.view import View


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ladder:
    """The songs on the rungs for B listeners; the places asked for are theirs."""

    engine: Engine
    views: Sequence[View]
    encoded: Encoded
    excluded: Sequence[Int[ndarray, " _"]]
    """Catalogue rows that must not be among a listener's candidates."""
    watch: Stopwatch

    def propose(self, rung: Rung, places: Sequence[int]) -> list[Candidates]:
        """Return each one's candidates on a rung, excluded songs left out."""
        most = reach(rung, self.engine.bundle.manifest.candidate_count)
        if rung in PROPOSED_RUNGS:
            return self._nearest(places, most)
        listed = self._known_safe if rung is Rung.KNOWN_SAFE else self._approved
        return self._listed(places, [listed(place) for place in places], most)

    def _nearest(self, places: Sequence[int], count: int) -> list[Candidates]:
        with self.watch("match"):
            found = [
                match(self.engine, self.encoded.query[place], count, self.excluded[place]) for place in places
            ]
        return self._candidates(places, [rows for rows, _ in found], [scores for _, scores in found])

    def _listed(self, places: Sequence[int], listed: Sequence[Int[ndarray, " _"]], most: int) -> list[Candidates]:
        with self.watch("match"):
            kept = [
                rows[np.isin(rows, self.excluded[place], invert=True)][:most]
                for place, rows in zip(places, listed, strict=True)
            ]
            scores = [list_scores(len(rows)) for rows in kept]
        return self._candidates(places, kept, scores)

    def _candidates(
        self, places: Sequence[int], rows: Sequence[Int[ndarray, " _"]], scores: Sequence[Float[ndarray, " _"]]
    ) -> list[Candidates]:
        with self.watch("predict"):
            blocks = [self.views[place].blocks for place in places]
            return candidates(self.engine, self.encoded.state[list(places)], rows, scores, blocks)

    def _known_safe(self, place: int) -> Int[ndarray, " n"]:
        rows = self.engine.catalogue.rows(self.views[place].known_safe())
        return rows[rows != NO_SONG]

    def _approved(self, place: int) -> Int[ndarray, " n"]:
        return self.engine.approved[self.views[place].mode]
