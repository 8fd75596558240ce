"""The report as one page that a clinician can read and a browser can open without a network."""

from dataclasses import dataclass
from html import escape
from typing import Final

from models.gates import Cell, Gate, GateReport, Table

_STYLE: Final = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1c2430; max-width: 76rem; margin: 2rem auto;
  padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; }
.verdict { border-radius: .5rem; padding: .75rem 1rem; font-weight: 600; }
.passed { background: #e3f4e6; color: #14532d; } .failed { background: #fde8e4; color: #7a1d10; }
table { border-collapse: collapse; width: 100%; font-size: .85rem; display: block; overflow-x: auto; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid #d9dee6; text-align: right; vertical-align: top; }
th { background: #f3f5f8; } td.word, th.word { text-align: left; } td.word { min-width: 9rem; }
td.number { background: linear-gradient(to right, #dbe7f7 var(--size), transparent var(--size)); }
p.note { color: #4a5563; font-size: .9rem; } td.none { color: #8a94a3; }
@media print { body { margin: 0; max-width: none; } }
"""

_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>{style}</style></head><body>
<h1>{title}</h1>
<p class="verdict {kind}">{verdict}</p>
<h2>What was tried</h2>
{notes}
<h2>What had to hold</h2>
{gates}
{tables}
<p class="note">{origin}</p>
</body></html>
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What the page says of where it comes from."""

    version: str
    digest: str
    made: str
    """When the judgement was made."""
    data_name: str
    simulated: bool
    command: str
    """By which it can be made again."""


def page(report: GateReport, origin: Origin) -> str:
    """Return the report as one self-contained HTML page."""
    failures = sum(not gate.passed for gate in report.gates)
    whose = "simulated listeners; nothing here was measured on people" if origin.simulated else "logged listeners"
    verdict = (
        "Passed: nothing that was tried forbids promotion."
        if report.passed
        else f"Failed: {failures} of {len(report.gates)} requirements did not hold; this forbids promotion."
    )
    return _PAGE.format(
        title=f"Stress test of {escape(origin.version)}",
        style=_STYLE,
        kind="passed" if report.passed else "failed",
        verdict=verdict,
        notes="\n".join(f"<p>{escape(note)}</p>" for note in report.notes),
        gates=_table(_gate_table(report.gates)),
        tables="\n".join(
            f'<h2>{escape(table.title)}</h2>\n<p class="note">{escape(table.note)}</p>\n{_table(table)}'
            for table in report.tables
        ),
        origin=escape(
            f"Judged {origin.made} on {origin.data_name} ({whose}); the bundle's digest is {origin.digest}. "
            f"Made by: {origin.command}"
        ),
    )


def _gate_table(gates: tuple[Gate, ...]) -> Table:
    """Return the gates as a table, failures first."""
    ordered = sorted(gates, key=lambda gate: gate.passed)
    return Table(
        title="Gates",
        header=("requirement", "required", "measured", "verdict"),
        rows=tuple(
            (gate.name, gate.required, gate.measured, "held" if gate.passed else "FAILED") for gate in ordered
        ),
    )


def _table(table: Table) -> str:
    words = [all(isinstance(row[place], str) for row in table.rows) for place in range(len(table.header))]
    largest = [
        max((abs(cell) for cell in column if isinstance(cell, float)), default=0.0)
        for column in zip(*table.rows, strict=True)
    ]
    head = "".join(f"<th{_word(word)}>{escape(name)}</th>" for name, word in zip(table.header, words, strict=True))
    body = "\n".join("<tr>" + "".join(map(_cell, row, largest)) + "</tr>" for row in table.rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table>"


def _word(word: object) -> str:
    return ' class="word"' if word else ""


def _cell(cell: Cell, largest: float) -> str:
    """Return one entry; a number is drawn as a bar as well, as long as it is large in its column."""
    if cell is None:
        return '<td class="none">not known</td>'
    if isinstance(cell, str):
        kind = "failed" if cell == "FAILED" else "word"
        return f'<td class="{kind}">{escape(cell)}</td>'
    size = 100 * abs(cell) / largest if largest else 0
    shown = f"{cell:.4f}".rstrip("0").rstrip(".")
    return f'<td class="number" style="--size:{size:.0f}%">{shown}</td>'
