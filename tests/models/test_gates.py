"""A bundle passes only if something was measured and every gate passed, then and whenever it is judged again."""

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from models.errors import BundleError
from models.gates import Attestation, Gate, GateReport, Table, failures_of

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


def test_a_table_is_a_rectangle_of_numbers_that_can_be_said():
    with pytest.raises(ValidationError, match="2 cells"):
        Table(title="swings", header=("case", "rise"), rows=(("cold start",),))
    with pytest.raises(ValidationError, match="finite"):
        Table(title="swings", header=("rise",), rows=((float("nan"),),))


def attestation(*gates: Gate, digest: str = "a" * 64) -> Attestation:
    return Attestation(
        version="2026-11-20-a",
        digest=digest,
        made=datetime(2026, 12, 1, tzinfo=UTC),
        code_version="tests",
        data_digest="0" * 64,
        seed=1,
        report=GateReport(gates=gates),
    )


def test_a_later_failure_forbids_what_was_sealed_as_passed():
    later = (attestation(PASSED), attestation(FAILED))

    assert failures_of("2026-11-20-a", "a" * 64, GateReport(gates=(PASSED,)), later) == (
        "judged again 2026-12-01 00:00: song order: required above 0.5, measured 0.49",
    )


def test_a_later_pass_takes_no_failure_back():
    sealed = GateReport(gates=(FAILED,))

    assert failures_of("2026-11-20-a", "a" * 64, sealed, (attestation(PASSED),)) == sealed.failures


def test_a_judgement_of_another_bundle_is_refused():
    with pytest.raises(BundleError, match="must name its digest"):
        failures_of("2026-11-20-a", "a" * 64, GateReport(gates=(PASSED,)), (attestation(PASSED, digest="b" * 64),))
