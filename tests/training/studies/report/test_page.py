"""The page stands alone: nothing is fetched, nothing runs, and what it says of itself can be checked."""

import base64
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.training.studies.toy import Toy
from training.studies.cells import ResultTable
from training.studies.report.origin import Origin
from training.studies.report.page import Chapter, Drawn, duration, html_page
from training.studies.report.write import draw, markdown, write_chapter, write_page
from training.studies.scales import SMALL

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
ORIGIN = Origin(
    log_name='a <b>log</b> & "more"',
    log_digest="ab" * 32,
    simulated=True,
    listener_count=300,
    session_count=2806,
    play_count=18473,
    song_count=1500,
    scale=SMALL,
    commit="0123456789ab",
    command="amrs study toy LOG --scale small",
    machine="x86_64, 2 cores",
)
(FIGURE,) = Toy().figures([])
CHAPTER = Chapter(
    name="toy",
    title="A <toy>",
    command="amrs study toy LOG --scale small",
    cell_count=5,
    done_count=3,
    seconds=100.0,
    commits=("0123456789ab",),
    notes=("failed: <split 1>",),
    tables=[ResultTable(name="t", title="T", header=("a", "b"), rows=(("x", 1.0),))],
    figures=[Drawn(figure=FIGURE, png=draw(FIGURE))],
)


class Reader(HTMLParser):
    """Collects every tag and every address, and sees that tags are closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.addresses: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.addresses += [value or "" for name, value in attributes if name in ("src", "href", "action", "data")]
        if tag not in ("meta", "img", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    return reader


@pytest.fixture
def page() -> str:
    return html_page("Title", ORIGIN, [CHAPTER, replace(CHAPTER, name="second")], made_at=NOW)


def test_nothing_is_fetched_and_nothing_runs(page: str):
    found = read(page)

    assert all(address.startswith(("data:image/png;base64,", "#")) for address in found.addresses)
    assert not found.tags & {"script", "link", "iframe", "object", "embed", "form"}
    assert "@import" not in page
    assert "url(" not in page


def test_every_tag_is_closed(page: str):
    assert read(page).open == []


def test_images_stand_inside_whole(page: str):
    assert base64.b64encode(draw(FIGURE)).decode() in page


def test_names_from_outside_are_text(page: str):
    assert "a &lt;b&gt;log&lt;/b&gt; &amp; &quot;more&quot;" in page
    assert "A &lt;toy&gt;" in page
    assert "failed: &lt;split 1&gt;" in page


def test_it_says_whose_log_it_is_and_how_to_make_it_again(page: str):
    for fact in (ORIGIN.log_digest, "Simulated: ", ORIGIN.commit, ORIGIN.command, "splits 0 to 2, seeds 0 to 1"):
        assert fact in page


def test_it_says_how_many_cells_are_missing(page: str):
    assert "2 cells are missing" in page
    assert "1 cell is missing" in html_page("T", ORIGIN, [replace(CHAPTER, done_count=4)], made_at=NOW)
    assert "missing</strong>" not in html_page("T", ORIGIN, [replace(CHAPTER, done_count=5)], made_at=NOW)


def test_real_listeners_are_not_called_simulated():
    page = html_page("T", replace(ORIGIN, simulated=False), [CHAPTER], made_at=NOW)

    assert "Simulated" not in page
    assert "Real listeners" in page


def test_markdown_says_the_same(page: str):
    text = markdown(ORIGIN, CHAPTER)

    for fact in (
        ORIGIN.log_digest,
        "Simulated: ",
        ORIGIN.commit,
        ORIGIN.command,
        "3 of 5 cells",
        "failed: <split 1>",
    ):
        assert fact in text


def test_files_stand_beside_the_page(tmp_path: Path):
    write_chapter(tmp_path, ORIGIN, CHAPTER)
    write_page(tmp_path, "Title", ORIGIN, [CHAPTER], made_at=NOW)

    assert {each.name for each in tmp_path.iterdir()} == {"t.csv", "line.png", "tables.md", "report.html"}


@pytest.mark.parametrize(("seconds", "words"), [(0.0, "0 s"), (89.0, "89 s"), (100.0, "2 min"), (9000.0, "2.5 h")])
def test_a_duration_is_no_finer_than_a_reader_needs(seconds: float, words: str):
    assert duration(seconds) == words
