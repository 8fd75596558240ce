"""The model card says what the log and the run showed, and claims nothing of a log that it does not hold."""

from dataclasses import replace

import numpy as np
import pytest

from models.affect import SIGNALS
from models.bundle import EmbeddingSpace
from models.decoder import POLICY_ORDER
from models.gates import Gate, GateReport
from models.log_schema import LogDescription
from models.utility import PAPER_UTILITY
from tests.models.tiny_log import tiny_log
from tests.training.invented import invent_listening
from training.card import COPYCAT, DPO, model_card, policy_table
from training.metrics.prediction import PredictionScores
from training.metrics.rollouts import PolicyRow

REAL = LogDescription.model_validate(tiny_log().description.model_dump() | {"simulated": False})
SPACE = EmbeddingSpace(name="plain", width=3, source="invented", licence="CC0-1.0")
SCORES = PredictionScores(
    label_counts=(9, 9, 9, 9),
    r_squared=(0.1, 0.2, 0.3, 0.4),
    mean_squared_error=(0.1, 0.1, 0.1, 0.1),
    rating_auc=0.7,
    rating_nats=0.6,
)


def row(policy: str) -> PolicyRow:
    return PolicyRow(
        policy=policy,
        guarded=False,
        predicted=dict.fromkeys(SIGNALS, 0.5),
        true={},
        coverage=0.1,
        normalized_entropy=0.2,
        intra_list_diversity=0.3,
        gini=0.4,
        predicted_violations=0.0,
        true_violations=None,
        vetoed={},
        rungs={"policy": 1.0},
        predicted_distance={},
        true_distance={},
    )


ROWS = (row(COPYCAT), row(DPO))


def card(**changes) -> str:
    said = {
        "description": REAL,
        "listening": invent_listening(5),
        "space": SPACE,
        "utility": PAPER_UTILITY,
        "decoder": POLICY_ORDER,
        "scores": SCORES,
        "references": {},
        "rows": ROWS,
        "gates": GateReport(gates=(Gate(name="any", passed=False, required="1", measured="0"),)),
        "listener_counts": {"training": 5},
    }
    return model_card(**said | changes)


def test_where_nobody_was_asked_after_a_song_affect_was_observed_at_boundaries_only():
    assert "- Affect was observed at session boundaries only; what happens between them is" in card()


def test_a_report_after_a_song_is_counted_among_what_was_observed():
    asked = invent_listening(5)
    asked.report[:3] = 0.5

    assert f"- Affect was observed after 3 of {asked.play_count} songs and at session boundaries;" in card(
        listening=asked
    )


def test_a_log_that_asked_after_songs_alone_claims_no_boundary():
    asked = invent_listening(5)
    nothing = np.full_like(asked.before, np.nan)
    after_songs = replace(asked, report=np.full_like(asked.report, 0.5), before=nothing, after=nothing)
    told = card(listening=after_songs)

    assert f"- Affect was observed after {asked.play_count} of {asked.play_count} songs; what happens" in told
    assert "boundaries" not in told


@pytest.mark.parametrize("simulated", [True, False])
def test_invented_listeners_are_said_to_be_invented(simulated: bool):
    description = REAL.model_copy(update={"simulated": simulated})

    assert ("Nothing here was measured on people" in card(description=description)) is simulated


def test_embeddings_that_may_not_be_sold_are_said_to_be():
    assert "CC-BY-NC-4.0" not in card()
    assert "CC-BY-NC-4.0" in card(space=SPACE.model_copy(update={"source": "MERT-v1-95M"}))


def test_a_gate_that_failed_is_told_with_what_was_required_and_found():
    assert "- **failed**: any (required 1; measured 0)" in card()


def test_every_row_of_the_policies_is_as_wide_as_their_head():
    assert len({line.count("|") for line in policy_table(ROWS).splitlines()}) == 1
