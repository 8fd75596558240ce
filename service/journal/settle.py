"""Settling a batch: the commands of different listeners, decided and written in one transaction.

A few reads serve the whole batch: the listeners' rows, locked in one order so that two writers never wait for
each other in a circle; the receipts; the sessions and the recommendations that the commands name; the songs
they are about to offer. Then each command decides; then the rows of all are written, one statement after another.
"""

from collections.abc import Collection, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Insert, and_, bindparam, insert, select, tuple_, update

from models.errors import AmrsError
from service.errors import IdConflict
from service.journal.command import (
    Command,
    ListenerRow,
    OfferRow,
    ReceiptRow,
    SessionRow,
    Statement,
    Turn,
    Written,
    fresh_number,
)
from service.journal.erasure import erased_up_to
from service.journal.tables import feedback, listeners, metadata, receipts, recommendations, sessions
from service.journal.withdrawals import hold_off_withdrawals, withdrawn_among
from service.listener import ListenerKey

Outcome = Written[Any] | AmrsError


def settle(sql: Connection, commands: Sequence[Command[Any]]) -> list[Outcome]:
    """Run commands of pairwise different listeners; return for each what it gave or why it was refused.

    The caller commits. An error of the database is raised, and then nothing of the batch may be committed.
    """
    known = _lock(sql, commands)
    receipt_rows = _receipts(sql, commands, known)
    session_rows = _sessions(sql, commands, known)
    offer_rows = _offers(sql, commands, session_rows)
    withdrawn = _withdrawn(sql, commands)
    first_sequence = _first_sequence(sql) if len(known) < len(commands) else 1
    outcomes: list[Outcome] = []
    rows: list[tuple[Statement, dict[str, Any]]] = []
    for command in commands:
        turn = Turn(
            sql=sql,
            key=command.listener,
            known=known.get(command.listener),
            session_row=session_rows.get((command.listener, command.session_id)),
            offer_rows=offer_rows.get(command.listener, []),
            fresh_number=fresh_number(command.at),
            at=command.at,
            withdrawn=withdrawn,
            first_sequence=first_sequence,
        )
        try:
            outcomes.append(_decide(command, turn, receipt_rows.get(command.listener)))
        except AmrsError as refusal:
            outcomes.append(refusal)
        else:
            rows += turn.rows
    _write(sql, rows)
    return outcomes


def _decide(command: Command[Any], turn: Turn, receipt: ReceiptRow | None) -> Written[Any]:
    if receipt is not None:
        if receipt.digest != command.digest:
            raise IdConflict(f"id {receipt.client_id!r} came before with another body")
        answer = msgspec.msgpack.decode(receipt.answer, type=command.answer_type)
        return Written(answer, None, duplicate=True)
    answer, event = command.run(turn)
    if event is None:
        return Written(answer, None)
    row = {
        "sequence": turn.sequence,
        "population": turn.population,
        "active_at": turn.active_at,
    }
    if turn.known is None:
        names = {"app_id": command.listener.app_id, "listener_id": command.listener.listener_id}
        new = {"listener_number": turn.number, "consent": turn.consent, "created_at": command.at}
        turn.write(_INSERT_LISTENER, row | names | new)
    else:
        turn.write(_UPDATE_LISTENER, row | {"number": turn.number})
    if command.receipt is not None:
        turn.write(
            _INSERT_RECEIPT,
            {
                "listener_number": turn.number,
                "kind": command.receipt.kind,
                "client_id": command.receipt.client_id,
                "sequence": turn.sequence,
                "digest": command.digest,
                "answer": msgspec.msgpack.encode(answer),
                "written_at": command.at,
            },
        )
    return Written(answer, event)


def _write(sql: Connection, rows: list[tuple[Statement, dict[str, Any]]]) -> None:
    """Write the rows statement by statement: parents before children, changes of a table before new rows."""
    gathered: dict[int, tuple[Statement, list[dict[str, Any]]]] = {}
    for statement, row in rows:
        gathered.setdefault(id(statement), (statement, []))[1].append(row)
    for statement, same in sorted(gathered.values(), key=lambda pair: _rank(pair[0])):
        sql.execute(statement, same if len(same) > 1 else same[0])


def _rank(statement: Statement) -> tuple[int, bool]:
    return _PLACE[str(statement.table)], isinstance(statement, Insert)


def _lock(sql: Connection, commands: Sequence[Command[Any]]) -> dict[ListenerKey, ListenerRow]:
    keys = [command.listener for command in commands]
    apps, ids = ({key[place] for key in keys} for place in range(2))
    rows = sql.execute(_LOCK, {"keys": [tuple(key) for key in keys], "apps": sorted(apps), "ids": sorted(ids)})
    return {ListenerKey(app_id, listener_id): ListenerRow(*columns) for app_id, listener_id, *columns in rows}


def _first_sequence(sql: Connection) -> int:
    """Return where a new listener begins: at 1, or two above all who were erased (`service.journal.erasure`)."""
    mark = erased_up_to(sql)
    return mark + 2 if mark else 1


def _receipts(
    sql: Connection, commands: Sequence[Command[Any]], known: dict[ListenerKey, ListenerRow]
) -> dict[ListenerKey, ReceiptRow]:
    wanted = {
        (known[command.listener].listener_number, *command.receipt): command.listener
        for command in commands
        if command.receipt is not None and command.listener in known
    }
    if not wanted:
        return {}
    numbers, kinds, ids = _columns(wanted)
    rows = [ReceiptRow(*row) for row in sql.execute(_RECEIPTS, {"numbers": numbers, "kinds": kinds, "ids": ids})]
    return {wanted[row[:3]]: row for row in rows if row[:3] in wanted}


def _sessions(
    sql: Connection, commands: Sequence[Command[Any]], known: dict[ListenerKey, ListenerRow]
) -> dict[tuple[ListenerKey, str | None], SessionRow]:
    wanted = {
        (known[command.listener].listener_number, command.session_id): command.listener
        for command in commands
        if command.session_id is not None and command.listener in known
    }
    if not wanted:
        return {}
    numbers, ids = _columns(wanted)
    rows = [SessionRow(*row) for row in sql.execute(_SESSIONS, {"numbers": numbers, "ids": ids})]
    named = ((wanted.get((row.listener_number, row.session_id)), row) for row in rows)
    return {(listener, row.session_id): row for listener, row in named if listener is not None}


def _offers(
    sql: Connection,
    commands: Sequence[Command[Any]],
    session_rows: dict[tuple[ListenerKey, str | None], SessionRow],
) -> dict[ListenerKey, list[OfferRow]]:
    wanted = {
        (session.listener_number, session.session_number, *command.offer): command.listener
        for command in commands
        if command.offer is not None
        and (session := session_rows.get((command.listener, command.session_id))) is not None
    }
    found: dict[ListenerKey, list[OfferRow]] = {}
    if not wanted:
        return found
    numbers, session_numbers, ids, _ = _columns(wanted)
    for row in sql.execute(_OFFERS, {"numbers": numbers, "session_numbers": session_numbers, "ids": ids}):
        listener = wanted.get(row[:4])
        if listener is not None:
            found.setdefault(listener, []).append(OfferRow._make(row[4:]))
    return found


def _columns(keys: Collection[tuple[Any, ...]]) -> list[list[Any]]:
    """Return what is asked for of each column of some keys.

    Queries ask column by column, and what fits no key as a whole is left out afterwards: SQLite looks through a
    whole table for a list of pairs, and uses an index for a pair of lists.
    """
    return [sorted(set(column)) for column in zip(*keys, strict=True)]


def _withdrawn(sql: Connection, commands: Sequence[Command[Any]]) -> frozenset[str]:
    offered = {song_id for command in commands for song_id in command.songs}
    if not offered:
        return frozenset()
    hold_off_withdrawals(sql)
    return withdrawn_among(sql, offered)


_PLACE: Final = {name: place for place, name in enumerate(metadata.tables)}
_LOCK: Final = (
    select(
        listeners.c.app_id,
        listeners.c.listener_id,
        listeners.c.listener_number,
        listeners.c.population,
        listeners.c.sequence,
        listeners.c.active_at,
    )
    .where(
        listeners.c.app_id.in_(bindparam("apps", expanding=True)),
        listeners.c.listener_id.in_(bindparam("ids", expanding=True)),
        tuple_(listeners.c.app_id, listeners.c.listener_id).in_(bindparam("keys", expanding=True)),
    )
    .order_by(listeners.c.app_id, listeners.c.listener_id)
    .with_for_update()
)
_RECEIPTS: Final = select(
    receipts.c.listener_number,
    receipts.c.kind,
    receipts.c.client_id,
    receipts.c.digest,
    receipts.c.answer,
).where(
    receipts.c.listener_number.in_(bindparam("numbers", expanding=True)),
    receipts.c.kind.in_(bindparam("kinds", expanding=True)),
    receipts.c.client_id.in_(bindparam("ids", expanding=True)),
)
_SESSIONS: Final = select(
    sessions.c.listener_number,
    sessions.c.session_number,
    sessions.c.session_id,
    sessions.c.mode,
    sessions.c.started_at,
    sessions.c.ended_at,
    sessions.c.end_reason,
).where(
    sessions.c.listener_number.in_(bindparam("numbers", expanding=True)),
    sessions.c.session_id.in_(bindparam("ids", expanding=True)),
)
_OFFERS: Final = (
    select(
        recommendations.c.listener_number,
        recommendations.c.session_number,
        recommendations.c.song_id,
        recommendations.c.offered_at,
        recommendations.c.position,
        recommendations.c.mode,
        recommendations.c.duration_seconds,
        recommendations.c.artist_key,
        feedback.c.event_id,
        feedback.c.occurred_at,
        feedback.c.played_seconds,
        feedback.c.engagement,
        feedback.c.rating,
    )
    .outerjoin(
        feedback,
        and_(
            feedback.c.listener_number == recommendations.c.listener_number,
            feedback.c.session_number == recommendations.c.session_number,
            feedback.c.position == recommendations.c.position,
        ),
    )
    .where(
        recommendations.c.listener_number.in_(bindparam("numbers", expanding=True)),
        recommendations.c.session_number.in_(bindparam("session_numbers", expanding=True)),
        recommendations.c.song_id.in_(bindparam("ids", expanding=True)),
    )
)
_INSERT_LISTENER: Final = insert(listeners)
_UPDATE_LISTENER: Final = (
    update(listeners)
    .where(listeners.c.listener_number == bindparam("number"))
    .values(
        sequence=bindparam("sequence"),
        population=bindparam("population"),
        active_at=bindparam("active_at"),
    )
)
_INSERT_RECEIPT: Final = insert(receipts)
