"""One table in four forms: CSV for a program, Markdown for a repository, HTML for a page, and the terminal's."""

import csv
import re
from html import escape
from io import StringIO
from typing import Final

from rich.markup import escape as escape_markup
from rich.table import Table

from training.studies.cells import ResultTable, Value

_NOTHING: Final = "–"
_WIDE: Final = 10
"""More columns than this are set smaller."""
_NUMBER: Final = re.compile(r"[-+−–]?\.?\d|–$")
_MARK: Final = re.compile(r" (?=[↓↑(])")
NBSP: Final = "\u00a0"
"""Keeps an arrow or a unit in a header on the line of its word."""


def shown(value: Value) -> str:
    """Return a value for a reader: three decimals, thousands set apart, a dash where there is none."""
    if value is None:
        return _NOTHING
    if isinstance(value, str):
        return value
    return f"{value:,}" if isinstance(value, int) else f"{value:,.3f}"


def as_csv(table: ResultTable) -> str:
    """Return the table with every digit; what there is not is an empty field."""
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(table.header)
    writer.writerows(["" if value is None else value for value in row] for row in table.rows)
    return out.getvalue()


def as_markdown(table: ResultTable, *, command: str) -> str:
    """Return title, table, note and command; the paper's own rows are in italics, selected ones bold."""
    lines = [f"## {_plain(table.title)}", "", _line(table.header), _line(["---"] * len(table.header))]
    for place, row in enumerate(table.rows):
        mark = "*" if place in table.quoted else "**" if place in table.selected else ""
        texts = [_plain(shown(value)) for value in row]
        lines.append(_line([f"{mark}{text}{mark}" if text else "" for text in texts]))
    lines += ["", _plain(table.note)] if table.note else []
    return "\n".join([*lines, "", f"`{table.command or command}`", ""])


def as_html(table: ResultTable, *, command: str) -> str:
    """Return the table as a figure with its title above, its note and command below."""
    words = _text_columns(table)
    head = "".join(
        f'<th scope="col"{_align(column in words)}>{escape(_MARK.sub(NBSP, name))}</th>'
        for column, name in enumerate(table.header)
    )
    body = "\n".join(
        f"<tr{_row_class(table, place)}>{_cells(row, words)}</tr>" for place, row in enumerate(table.rows)
    )
    wide = ' class="wide"' if len(table.header) > _WIDE else ""
    note = f'<p class="note">{escape(table.note)}</p>' if table.note else ""
    return (
        f'<section class="table" id="{escape(table.name)}">\n<h3>{escape(table.title)}</h3>\n'
        f'<div class="scroll"><table{wide}>\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody></table></div>\n"
        f'{note}\n<p class="command"><code>{escape(table.command or command)}</code></p>\n</section>'
    )


def on_terminal(table: ResultTable) -> Table:
    """Return the table for a console."""
    drawn = Table(title=escape_markup(table.title), title_justify="left", caption_justify="left")
    for place, name in enumerate(table.header):
        drawn.add_column(escape_markup(name), justify="left" if place == 0 else "right")
    for place, row in enumerate(table.rows):
        style = "dim italic" if place in table.quoted else "bold" if place in table.selected else None
        drawn.add_row(*(escape_markup(shown(value)) for value in row), style=style)
    return drawn


def _line(values: list[str] | tuple[str, ...]) -> str:
    return f"| {' | '.join(values)} |"


def _plain(text: str) -> str:
    """Return text that Markdown takes as it is: bars would end a field, stars would be emphasis."""
    return (
        text.replace("\\", "\\\\").replace("|", "\\|").replace("*", "\\*").replace("<", "&lt;").replace("\n", " ")
    )


def _row_class(table: ResultTable, place: int) -> str:
    names = [name for name, rows in (("quoted", table.quoted), ("selected", table.selected)) if place in rows]
    return f' class="{" ".join(names)}"' if names else ""


def _cells(row: tuple[Value, ...], words: frozenset[int]) -> str:
    first, *others = (escape(shown(value)) for value in row)
    fields = (f"<td{_align(column in words)}>{text}</td>" for column, text in enumerate(others, start=1))
    return f'<th scope="row">{first}</th>{"".join(fields)}'


def _text_columns(table: ResultTable) -> frozenset[int]:
    """Return the columns that hold words alone; they are set from the left."""
    return frozenset(
        column
        for column in range(len(table.header))
        if all(isinstance(row[column], str) and not _NUMBER.match(str(row[column])) for row in table.rows)
    )


def _align(words: bool) -> str:
    return ' class="words"' if words else ""
