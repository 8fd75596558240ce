"""Blocks: songs, artists and tags that a listener must not be given."""

from dataclasses import dataclass
from typing import Any, Final, Literal

from sqlalchemy import bindparam, delete, insert, select

from service.journal.command import Command, Turn
from service.journal.events import BlockChanged, Event
from service.journal.tables import blocks

BlockKind = Literal["song", "artist", "tag"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SetBlock(Command[bool]):
    """Block, or unblock, a song, an artist or a tag; answers whether anything changed.

    Idempotent by its nature, so it needs no id of the client's. Blocking creates a listener not yet known: a
    clinician may say what must not be played before the first session.
    """

    kind: BlockKind
    value: str
    blocked: bool

    answer_type = bool

    @property
    def receipt(self) -> None:
        return None

    @property
    def body(self) -> tuple[Any, ...]:
        return self.kind, self.value, self.blocked

    def run(self, turn: Turn) -> tuple[bool, Event | None]:
        number = turn.number if self.blocked else turn.listener.listener_number
        names = {"listener": number, "kind": self.kind, "value": self.value}
        was_blocked = turn.sql.execute(_READ, names).first() is not None
        if was_blocked == self.blocked:
            return False, None
        if self.blocked:
            turn.write(
                _INSERT,
                {"listener_number": number, "kind": self.kind, "value": self.value, "created_at": self.at},
            )
        else:
            turn.write(_DELETE, names)
        event = BlockChanged(
            sequence=turn.sequence,
            active_at=turn.active_at,
            kind=self.kind,
            value=self.value,
            blocked=self.blocked,
        )
        return True, event


_SAME = (
    blocks.c.listener_number == bindparam("listener"),
    blocks.c.kind == bindparam("kind"),
    blocks.c.value == bindparam("value"),
)
_READ: Final = select(blocks.c.kind).where(*_SAME)
_INSERT: Final = insert(blocks)
_DELETE: Final = delete(blocks).where(*_SAME)
