"""One page of HTML that needs nothing else: images inside, no script, nothing fetched, everything escaped."""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Final

from training.studies.cells import Figure, ResultTable
from training.studies.report.origin import Origin
from training.studies.report.tables import as_html

_STYLE: Final = """
:root { --ink: #1b1f24; --soft: #59636e; --line: #d1d9e0; --shade: #f3f6f9; --accent: #0072b2; --warn: #8a4600; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2.5rem 1.5rem 5rem; max-width: 72rem; color: var(--ink); background: #fff;
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", "Noto Sans", Helvetica, Arial, sans-serif; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .4rem; }
h2 { font-size: 1.4rem; margin: 3rem 0 .3rem; padding-top: 1rem; border-top: 2px solid var(--ink); }
h3 { font-size: 1.08rem; margin: 2.2rem 0 .6rem; }
p, figcaption { max-width: 62rem; }
.lead { color: var(--soft); margin: 0 0 1.2rem; }
.kind { display: inline-block; padding: .3rem .7rem; border: 1px solid; border-radius: .3rem; font-weight: 600; }
.simulated { background: #fff4e5; color: var(--warn); border-color: #f0c48a; }
.real { background: #e8f3fb; color: #064f7d; border-color: #a6cfe8; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1.2rem; margin: 1.2rem 0;
  padding: 1rem 1.2rem; background: var(--shade); border-radius: .5rem; font-size: .92rem; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
nav { font-size: .95rem; } nav ol { margin: .3rem 0 0; padding-left: 1.4rem; }
a { color: var(--accent); }
.missing { border-left: 4px solid #d55e00; background: #fdf3ec; padding: .6rem 1rem; margin: 1rem 0; }
.missing ul { margin: .3rem 0 0; padding-left: 1.2rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; }
thead th { border-top: 2px solid var(--ink); border-bottom: 1px solid var(--ink); text-align: right;
  vertical-align: bottom; padding: .35rem .6rem; font-weight: 600; }
thead th:first-child, tbody th, thead .words, tbody .words { text-align: left; }
tbody th { font-weight: 400; min-width: 8.5rem; }
tbody th, tbody td { padding: .28rem .6rem; border-bottom: 1px solid #eaeef2; }
tbody td { text-align: right; white-space: nowrap; }
tbody tr:last-child > * { border-bottom: 2px solid var(--ink); }
table.wide { font-size: .78rem; } table.wide th, table.wide td { padding-left: .35rem; padding-right: .35rem; }
tr.quoted > * { color: var(--soft); font-style: italic; }
tr.selected > * { background: #e6eef5; font-weight: 600; }
.note, figcaption { color: var(--soft); font-size: .9rem; }
.command { margin: .2rem 0 0; font-size: .85rem; }
code { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  background: var(--shade); padding: .1rem .35rem; border-radius: .25rem; overflow-wrap: anywhere; }
figure { margin: 1.6rem 0; } figure img { max-width: 100%; height: auto; }
footer { margin-top: 4rem; padding-top: .8rem; border-top: 1px solid var(--line); color: var(--soft);
  font-size: .85rem; }
@media print {
  body { max-width: none; padding: 0; font-size: 11pt; }
  figure, section.table { break-inside: avoid; }
}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A figure, and what it came to."""

    figure: Figure
    png: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """What one study has to show."""

    name: str
    title: str
    command: str
    """Makes the whole study again."""
    cell_count: int
    done_count: int
    seconds: float
    """Computing time of the cells that are done, wherever they ran."""
    commits: tuple[str, ...]
    """Of the code that made the cells."""
    notes: tuple[str, ...]
    """What the cache had to say, and which cells failed."""
    tables: Sequence[ResultTable]
    figures: Sequence[Drawn]

    @property
    def missing_count(self) -> int:
        """How many cells are still to be run."""
        return self.cell_count - self.done_count

    def in_words(self) -> str:
        """Return how much of the study is there, and who made it."""
        made = f"; made by {', '.join(self.commits)}" if self.commits else ""
        done = f"{self.done_count} of {self.cell_count} cells are done"
        return f"{done}, {duration(self.seconds)} of computing{made}."


def duration(seconds: float) -> str:
    """Return a time in words, no finer than a reader needs."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def html_page(title: str, origin: Origin, chapters: Sequence[Chapter], *, made_at: datetime) -> str:
    """Return the whole page."""
    kind = "simulated" if origin.simulated else "real"
    facts = "\n".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in origin.facts())
    contents = _contents(chapters) if len(chapters) > 1 else ""
    body = "\n".join(_chapter(each, headed=len(chapters) > 1) for each in chapters)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<header>
<h1>{escape(title)}</h1>
<p class="lead">Affective music recommendation: what was measured, on whom, and how to measure it again.</p>
<p class="kind {kind}">{escape(origin.log_in_words)}</p>
<dl>
{facts}
</dl>
</header>
{contents}
{body}
<footer>Made {made_at:%Y-%m-%d %H:%M} UTC. Rows in italics are the paper's own, measured on its own listeners.
LOG stands for the folder of the log named above.</footer>
</body>
</html>
"""


def _contents(chapters: Sequence[Chapter]) -> str:
    lines = "\n".join(f'<li><a href="#{escape(each.name)}">{escape(each.title)}</a></li>' for each in chapters)
    return f"<nav><strong>Contents</strong><ol>\n{lines}\n</ol></nav>"


def _chapter(chapter: Chapter, *, headed: bool) -> str:
    parts = [f'<article id="{escape(chapter.name)}">']
    parts += [f"<h2>{escape(chapter.title)}</h2>"] if headed else []
    parts.append(f'<p class="note">{escape(chapter.in_words())}</p>')
    if chapter.missing_count:
        word = "cell is" if chapter.missing_count == 1 else "cells are"
        parts.append(
            f'<div class="missing"><strong>{chapter.missing_count} {word} missing</strong>: what follows rests on '
            f"those that are done. <code>{escape(chapter.command)}</code> goes on where it stopped.</div>"
        )
    if chapter.notes:
        lines = "".join(f"<li>{escape(note)}</li>" for note in chapter.notes)
        parts.append(f'<div class="missing"><ul>{lines}</ul></div>')
    parts += [as_html(table, command=chapter.command) for table in chapter.tables]
    parts += [_figure(each) for each in chapter.figures]
    return "\n".join([*parts, "</article>"])


def _figure(drawn: Drawn) -> str:
    figure = drawn.figure
    image = b64encode(drawn.png).decode()
    return (
        f'<figure id="{escape(figure.name)}">\n<h3>{escape(figure.title)}</h3>\n'
        f'<img alt="{escape(figure.title)}" width="{figure.width * 96:.0f}" src="data:image/png;base64,{image}">\n'
        f"<figcaption>{escape(figure.caption)}</figcaption>\n</figure>"
    )
