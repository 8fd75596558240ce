"""The page says the verdict first, needs no network, and lets nothing it shows become markup."""

from models.gates import Gate, GateReport, Table
from training.stress.page import Origin, page

ORIGIN = Origin(
    version="2026-11-20-0123456789abcdef",
    digest="0" * 64,
    made="2026-11-21 09:00",
    data_name="a log <b>",
    simulated=True,
    command="amrs stress 2026-11-20-0123456789abcdef",
)
REPORT = GateReport(
    gates=(
        Gate(name="song order", passed=True, required="above 0.5", measured="0.6"),
        Gate(name="valence & arousal", passed=False, required="at least 0", measured="-3.6%"),
    ),
    notes=("What was tried.",),
    tables=(
        Table(title="Swings", note="of arousal", header=("case", "rise"), rows=(("<cold>", 0.25), ("far", None))),
    ),
)


def test_says_the_verdict_what_was_tried_and_what_was_measured():
    written = page(REPORT, ORIGIN)

    assert "Failed: 1 of 2 requirements" in written
    assert written.index("valence &amp; arousal") < written.index("song order")
    assert all(said in written for said in ("What was tried.", "Swings", "0.25", "not known", "0" * 64))
    assert "nothing here was measured on people" in written


def test_a_pass_is_told_as_one():
    assert "Passed" in page(GateReport(gates=REPORT.gates[:1]), ORIGIN)


def test_is_self_contained_and_escapes_what_it_shows():
    written = page(REPORT, ORIGIN)

    assert "<cold>" not in written
    assert "a log <b>" not in written
    assert not any(outside in written for outside in ("http://", "https://", "<script", "<link", "<img"))
