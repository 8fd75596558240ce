"""Write a study's report: a folder of CSV, Markdown and PNG, and one HTML page that holds them all."""

from collections.abc import Sequence
from datetime import datetime
from io import BytesIO
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure as Canvas

from training.studies.cache import write_whole
from training.studies.cells import Figure
from training.studies.report.origin import Origin
from training.studies.report.page import Chapter, html_page
from training.studies.report.plots import STYLE
from training.studies.report.tables import as_csv, as_markdown

PAGE = "report.html"


def draw(figure: Figure) -> bytes:
    """Return a figure as PNG; the same figure gives the same bytes."""
    with mpl.rc_context(STYLE):  # type: ignore[arg-type]  # its stubs name every key
        canvas = Canvas(figsize=(figure.width, figure.height), layout="constrained")
        figure.draw(canvas)
        out = BytesIO()
        canvas.savefig(out, format="png", dpi=144, metadata={"Software": None})
    return out.getvalue()


def write_chapter(folder: Path, origin: Origin, chapter: Chapter) -> None:
    """Write one study's tables and figures as files of their own."""
    for table in chapter.tables:
        write_whole(folder / f"{table.name}.csv", as_csv(table))
    for drawn in chapter.figures:
        write_whole(folder / f"{drawn.figure.name}.png", drawn.png)
    write_whole(folder / "tables.md", markdown(origin, chapter))


def write_page(
    folder: Path, title: str, origin: Origin, chapters: Sequence[Chapter], *, made_at: datetime
) -> Path:
    """Write one page of all chapters, and return where it is."""
    path = folder / PAGE
    write_whole(path, html_page(title, origin, chapters, made_at=made_at))
    return path


def markdown(origin: Origin, chapter: Chapter) -> str:
    """Return the tables of one study, with everything that is needed to make them again."""
    facts = [f"- {name}: {value}" for name, value in origin.facts()]
    notes = [f"- {note}" for note in chapter.notes]
    head = [
        f"# {chapter.title}",
        "",
        origin.log_in_words,
        "",
        *facts,
        f"- cells: {chapter.in_words()}",
        *notes,
        "",
    ]
    return "\n".join([*head, *(as_markdown(table, command=chapter.command) for table in chapter.tables)])
