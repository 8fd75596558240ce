"""Who is answered by the canary bundle: the listeners whom an operator enrolled, as SQL had them a second ago.

A clinical listener is among them only if they were enrolled as one. Nobody is chosen by chance or by hash.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Final

from models.errors import Unavailable
from models.listening import Population
from service.background import repeating
from service.journal.canary import read_enrolments
from service.journal.journal import Journal
from service.listener import ListenerKey
from service.live.live import Live

LOOK_SECONDS: Final = 1.0


class CanaryRoster:
    """The enrolled listeners, and whether each was enrolled as clinical."""

    def __init__(self, enrolled: Mapping[ListenerKey, bool] | None = None) -> None:
        self._enrolled: Mapping[ListenerKey, bool] = enrolled or {}

    def admits(self, listener: ListenerKey, population: Population) -> bool:
        """Whether the canary bundle may answer a listener."""
        as_clinical = self._enrolled.get(listener)
        return as_clinical is not None and (as_clinical or population is not Population.CLINICAL)

    async def renew(self, journal: Journal) -> None:
        """Read who is enrolled now.

        Raises:
            Unavailable: SQL does not answer; the roster stays.
        """
        found = await journal.read(read_enrolments)
        self._enrolled = {each.listener: each.clinical for each in found}


@asynccontextmanager
async def open_canary_roster(journal: Journal, live: Live) -> AsyncIterator[CanaryRoster]:
    """Give the roster, renewed in the background while a canary bundle is held."""
    roster = CanaryRoster()

    async def renew() -> None:
        if live.loaded.canary is not None:
            await roster.renew(journal)

    with suppress(Unavailable):
        await renew()
    async with repeating("renew canary roster", renew, seconds=LOOK_SECONDS):
        yield roster
