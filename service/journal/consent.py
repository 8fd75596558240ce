"""Consent: whether what a listener did and said may reach training; without a word of theirs it may not.

It holds for everything that is held, earlier sessions included, from the next export on.
"""

from dataclasses import dataclass
from typing import Any, Final

import msgspec
from sqlalchemy import bindparam, update

from service.journal.audit import INSERT_ACT, act_row, subject_of
from service.journal.command import Command, ReceiptKey, Turn
from service.journal.events import ConsentChanged, Event
from service.journal.tables import listeners


class ConsentAnswer(msgspec.Struct, frozen=True):
    """The answer to a change of consent."""

    consent: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SetConsent(Command[ConsentAnswer]):
    """Put on record that the listener consents, or no longer does; it may come before the first session."""

    event_id: str
    consent: bool
    actor: str

    answer_type = ConsentAnswer

    @property
    def receipt(self) -> ReceiptKey:
        return ReceiptKey("event", self.event_id)

    @property
    def body(self) -> tuple[Any, ...]:
        return "consent", self.consent

    def run(self, turn: Turn) -> tuple[ConsentAnswer, Event]:
        turn.consent = self.consent
        if turn.known is not None:
            turn.write(_UPDATE, {"number": turn.number, "consent": self.consent})
        act = act_row(
            at=self.at,
            actor=self.actor,
            act="give consent" if self.consent else "withdraw consent",
            subject=subject_of(turn.number),
            detail={},
            app_id=self.listener.app_id,
        )
        turn.write(INSERT_ACT, act)
        event = ConsentChanged(sequence=turn.sequence, active_at=turn.active_at)
        return ConsentAnswer(self.consent), event


_UPDATE: Final = (
    update(listeners)
    .where(listeners.c.listener_number == bindparam("number"))
    .values(consent=bindparam("consent"))
)
