"""What came of a recommendation: its play, where one came back, and its decision, where one is kept."""

from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_

from service.journal.tables import decisions, plays, recommendations

OF_PLAY: Final[ColumnElement[bool]] = and_(
    plays.c.listener_number == recommendations.c.listener_number,
    plays.c.session_number == recommendations.c.session_number,
    plays.c.position == recommendations.c.position,
)
"""Whether a recommendation and a play are of the same offer."""
_OF_DECISION: Final[ColumnElement[bool]] = and_(
    decisions.c.listener_number == recommendations.c.listener_number,
    decisions.c.sequence == recommendations.c.sequence,
    decisions.c.ordinal == recommendations.c.ordinal,
)


def with_outcomes(question: Select[Any]) -> Select[Any]:
    """Return a question about recommendations with the play and the decision of each, null where there is none."""
    return question.outerjoin(plays, OF_PLAY).outerjoin(decisions, _OF_DECISION)
