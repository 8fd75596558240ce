"""Erasure: everything that SQL holds of a listener goes; their decisions stay, and lead to nobody.

Rows fall with the listener's own. Decisions are what an inquiry into the guardrails needs, so they are kept under
a fresh number that stands nowhere else: what the choice rested on remains, whose it was does not.

Nothing is remembered of who was erased: receipts go too, a retry of an earlier write is a new write, and a session
started afterwards makes a new listener. So that nothing of the old one can be taken for the new one's, wherever it
still lies (in memory, in a request under way), the highest sequence that any erased listener had is kept, and new
listeners begin two above it: no state or event of old is ever as late, and no event follows directly from one.
"""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, bindparam, case, delete, select, update

from service.journal.audit import INSERT_ACT, act_row, subject_of
from service.journal.command import Command, Turn, fresh_number
from service.journal.tables import decisions, listeners, revisions


@dataclass(frozen=True, slots=True, kw_only=True)
class EraseListener(Command[int]):
    """Erase a listener; answers a sequence that nothing of theirs exceeds. Nothing happens where there is none."""

    actor: str

    answer_type = int

    @property
    def receipt(self) -> None:
        return None

    @property
    def body(self) -> tuple[Any, ...]:
        return ()

    def run(self, turn: Turn) -> tuple[int, None]:
        mark = erased_up_to(turn.sql)
        if turn.known is None:
            return mark, None
        number, last = turn.known.listener_number, turn.known.sequence + 1
        turn.write(_ERASE, {"number": number})
        turn.write(_UNLINK_DECISIONS, {"number": number, "fresh": fresh_number(self.at)})
        turn.write(_RAISE_MARK, {"last": last})
        act = act_row(
            at=self.at,
            actor=self.actor,
            act="erase listener",
            subject=subject_of(number),
            detail={},
            app_id=self.listener.app_id,
        )
        turn.write(INSERT_ACT, act)
        return max(mark, last), None


def erased_up_to(sql: Connection) -> int:
    """Return the highest sequence that any erased listener had; 0 where none was erased."""
    return sql.execute(_MARK).scalar_one()


_IS_MARK: Final = revisions.c.name == "erasures"
_MARK: Final = select(revisions.c.number).where(_IS_MARK)
_ERASE: Final = delete(listeners).where(listeners.c.listener_number == bindparam("number"))
_UNLINK_DECISIONS: Final = (
    update(decisions)
    .where(decisions.c.listener_number == bindparam("number"))
    .values(listener_number=bindparam("fresh"))
)
_RAISE_MARK: Final = (
    update(revisions)
    .where(_IS_MARK)
    .values(number=case((revisions.c.number < bindparam("last"), bindparam("last")), else_=revisions.c.number))
)
