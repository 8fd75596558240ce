"""Tables say what the records of the done cells say: means over splits, paired tests, shares of a ceiling."""

import pytest

from training.studies.cells import Cell, Records, Results, Value
from training.studies.prediction_tables import (
    candidate_table,
    differences_table,
    order_table,
    paper_table,
    share_table,
)

SIGNALS = ("engagement", "rating", "valence", "arousal")


def cell(row: str, split: int, score: float | None, *, auc: float | None = 0.7, hidden: float = 0.1) -> tuple:
    """Return a cell in which every signal but the rating has one score."""
    scores = [
        {
            "row": row,
            "signal": signal,
            "mse": None if score is None else 0.06 * (1 - score),
            "r_squared": score,
            "auc": auc if signal == "rating" else None,
            "hidden_r_squared": hidden,
            "hidden_auc": 0.6 if signal == "rating" else None,
        }
        for signal in SIGNALS
    ]
    order = [
        {"row": row, "signal": signal, "pairwise": 0.6 + split / 10, "kendall_tau": 0.2, "slope": None}
        for signal in SIGNALS
    ]
    records: Records = {"scores": scores, "song_order": order}
    return Cell(study="tables", settings=(("contender", row), ("split", split))), records


BASE = [0.40, 0.42, 0.38]
RESULTS: Results = [
    *(cell("base", split, score) for split, score in enumerate(BASE)),
    *(cell("worse", split, score - 0.1 - 0.001 * split, auc=0.65) for split, score in enumerate(BASE)),
    *(cell("late", split, score + 0.1, auc=0.75) for split, score in enumerate(BASE[:2])),
    *(cell("ceiling", split, 0.5, auc=0.8) for split in range(3)),
]


def made(rows: tuple[str, ...], paper: dict[str, tuple[str, ...]] | None = None, results: Results = RESULTS):
    return paper_table(results, name="t", title="T", rows=rows, base="base", paper=paper or {}, note="Note.")


def fields(row: tuple[Value, ...], table) -> dict[str, Value]:
    return dict(zip(table.header[2:], row[2:], strict=True))


def test_a_field_is_the_mean_and_the_sd_over_splits():
    table = made(("base",))

    assert fields(table.rows[0], table)["valence R² (%)"] == "40.0 (2.0)"
    assert fields(table.rows[0], table)["valence MSE"] == "0.036 (0.001)"
    assert fields(table.rows[0], table)["rating AUC (%)"] == "70.0 (0.0)"
    assert fields(table.rows[0], table)["splits"] == 3


def test_the_papers_fields_stand_below():
    paper = ("0.055 (0.014)", "16.4 (7.1)", "74.1 (7.8)", "0.027 (0.005)", "42.6 (10.3)", "0.037 (0.012)", "37.9")
    table = made(("base", "worse"), {"base": paper})

    assert [row[:2] for row in table.rows] == [("base", "ours"), ("", "paper"), ("worse", "ours")]
    assert table.rows[1][2:9] == paper


def test_differences_beyond_chance_are_marked_by_both_tests():
    """Three differences of −.100, −.101, −.102: sure even if splits overlap. The base is marked by none."""
    table = made(("base", "worse"))

    assert str(fields(table.rows[1], table)["valence R² (%)"]).endswith(")***†")
    assert str(fields(table.rows[0], table)["valence R² (%)"]).endswith(")")


def test_ranks_count_the_splits_that_all_rows_share():
    """Two columns of ranks would do: late is first everywhere, base second, worse third."""
    table = made(("base", "worse", "late", "never ran"))

    assert [fields(row, table)["mean rank"] for row in table.rows] == ["2.00", "3.00", "1.00"]
    assert [fields(row, table)["splits"] for row in table.rows] == [3, 3, 2]


def test_a_score_that_some_splits_lack_is_told():
    results = [cell("base", 0, 0.4), cell("base", 1, 0.4, auc=None)]

    assert (
        "No estimate of rating AUC (%) on 1 of 2 splits: likes and dislikes are needed."
        in made(("base",), results=results).note
    )


def test_a_row_without_any_number_has_dashes():
    table = made(("base",), results=[cell("base", 0, None, auc=None)])

    assert table.rows[0][2:] == (None,) * 9


def test_the_corrected_p_is_the_larger_one():
    row = differences_table(RESULTS, name="t", rows=("base", "worse"), base="base").rows[0]

    assert row[:3] == ("worse", "engagement R² (%)", "-10.10")
    assert float(str(row[3])) < float(str(row[4])) < 0.05
    assert row[5] == 3


def test_shares_are_ratios_of_means_and_of_an_auc_above_one_half():
    """.4 of .5 is 80%; (.7 − .5)/(.8 − .5) is 67%; the ceiling is all of itself."""
    table = share_table(RESULTS, name="t", rows=("base", "ceiling"), ceiling="ceiling")
    place = table.header.index("share of ceiling, engagement (%)")

    assert table.rows[0][place : place + 4] == ("80", "67", "80", "80")
    assert table.rows[1][place : place + 4] == ("100", "100", "100", "100")


def test_a_row_judged_by_other_labels_has_a_ceiling_of_its_own():
    table = share_table(RESULTS, name="t", rows=("base",), ceiling="ceiling", own={"base": "late"})

    assert table.rows[0][5] == "80"
    assert table.rows[0][7:9] == ("80", "80")


def test_a_ceiling_below_chance_has_no_share():
    results = [cell("base", 0, 0.1, auc=0.55), cell("ceiling", 0, -0.1, auc=0.5)]
    table = share_table(results, name="t", rows=("base",), ceiling="ceiling")

    assert table.rows[0][5:9] == (None, None, None, None)


def test_hiding_the_candidate_is_shown_from_and_to():
    table = candidate_table(RESULTS, name="t", rows=("base",))

    assert table.rows[0][1:3] == ("40.0 → 10.0", "70.0 → 60.0")


def test_orders_are_means_over_splits_and_none_stays_none():
    table = order_table(RESULTS, name="t", rows=("base",))
    shown = dict(zip(table.header, table.rows[0], strict=True))

    assert shown["pairs, valence"] == "0.700 (0.100)"
    assert shown["τ, arousal"] == pytest.approx(0.2) or shown["τ, arousal"] == "0.200"
    assert shown["slope, rating"] is None
