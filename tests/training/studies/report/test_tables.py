"""One table says the same in CSV, Markdown, HTML and on a terminal, and nothing in it is taken for markup."""

import csv
import io
from dataclasses import replace

from rich.console import Console

from training.studies.cells import ResultTable, Value
from training.studies.report.tables import NBSP, as_csv, as_html, as_markdown, on_terminal, shown

TABLE = ResultTable(
    name="scores",
    title="Scores <i>of</i> [red]all[/]",
    header=("model", "R² (%)"),
    rows=(("a | b", 12.3456), ("<script>", None), ("paper", "16.4 (7.1)***")),
    note="5 < 6 & more",
    quoted=(2,),
    selected=(0,),
)
COMMAND = 'amrs study toy LOG --only "<x>"'


def test_a_value_is_shown_for_a_reader():
    told = {shown(value) for value in (None, 0.12345, 1234567, "as it is", -0.5)}

    assert told == {"–", "0.123", "1,234,567", "as it is", "-0.500"}


def test_csv_has_every_digit_and_nothing_for_nothing():
    rows = list(csv.reader(io.StringIO(as_csv(TABLE))))

    assert rows == [["model", "R² (%)"], ["a | b", "12.3456"], ["<script>", ""], ["paper", "16.4 (7.1)***"]]


def test_markdown_keeps_its_columns_whatever_a_field_holds():
    lines = as_markdown(TABLE, command=COMMAND).splitlines()

    table = [line for line in lines if line.startswith("|")]
    assert table[2] == "| **a \\| b** | **12.346** |"
    assert table[3] == "| &lt;script> | – |"
    assert table[4] == "| *paper* | *16.4 (7.1)\\*\\*\\** |"
    assert f"`{COMMAND}`" in lines


def test_markdown_sets_no_emphasis_around_an_empty_field():
    table = replace(TABLE, rows=(("", "ours"), ("", "theirs")), quoted=(1,), selected=(0,))

    lines = as_markdown(table, command=COMMAND).splitlines()

    assert [line for line in lines if line.startswith("|  |")] == ["|  | **ours** |", "|  | *theirs* |"]


def test_html_escapes_everything_and_says_what_a_row_is():
    html = as_html(TABLE, command=COMMAND)

    assert "<script>" not in html
    assert "<i>" not in html
    assert "<x>" not in html
    assert "5 &lt; 6 &amp; more" in html
    assert '<tr class="selected"><th scope="row">a | b</th><td>12.346</td></tr>' in html
    assert '<tr class="quoted">' in html
    assert f"R²{NBSP}(%)" in html


def test_columns_of_words_are_set_from_the_left():
    rows: tuple[tuple[Value, ...], ...] = (("a", "MERT", "0.1 (0.2)"), ("b", "CLaMP 3", "–"))
    table = ResultTable(name="t", title="T", header=("x", "y", "z"), rows=rows)

    html = as_html(table, command="")

    assert '<td class="words">MERT</td><td>0.1 (0.2)</td>' in html


def test_a_table_s_own_command_comes_before_the_study_s():
    own = ResultTable(name="t", title="T", header=("x",), rows=(("a",),), command="amrs stress LOG")

    assert "amrs stress LOG" in as_html(own, command=COMMAND)
    assert "amrs stress LOG" in as_markdown(own, command=COMMAND)


def test_a_terminal_shows_brackets_as_they_are():
    out = io.StringIO()
    Console(file=out, width=100).print(on_terminal(TABLE))

    assert "[red]all[/]" in out.getvalue()
    assert "16.4 (7.1)***" in out.getvalue()
