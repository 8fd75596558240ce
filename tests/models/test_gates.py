"""A bundle passes only if something was measured and every gate passed."""

from models.gates import Gate, GateReport

PASSED = Gate(name="beats persistence", passed=True, required="R² above 0.1", measured="0.3")
FAILED = Gate(name="song order", passed=False, required="above 0.5", measured="0.49")


def test_passes_when_every_gate_did():
    assert GateReport(gates=(PASSED,)).passed
    assert not GateReport(gates=(PASSED, FAILED)).passed


def test_does_not_pass_where_nothing_was_measured():
    assert not GateReport(gates=()).passed
    assert GateReport(gates=()).failures == ("no gate was measured",)


def test_says_which_gate_failed_and_by_how_much():
    assert GateReport(gates=(PASSED, FAILED)).failures == ("song order: required above 0.5, measured 0.49",)
