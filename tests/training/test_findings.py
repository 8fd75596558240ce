"""The world models stand beside what needs no songs, and below the ceiling where there is one."""

from dataclasses import replace

from training.findings import Predictions
from training.metrics.prediction import PredictionScores
from training.platform.ceilings import Ceilings


def scores(error: float) -> PredictionScores:
    return PredictionScores(
        label_counts=(9, 9, 9, 9),
        r_squared=(0.1, 0.2, 0.3, 0.4),
        mean_squared_error=(0.5, 0.5, error, 2 * error),
        rating_auc=0.7,
        rating_nats=0.6,
    )


REAL = Predictions(
    scores=scores(0.01),
    references={"persistence": scores(0.03), "listener mean": scores(0.02)},
    ceilings=None,
    song_order=None,
)


def test_real_listeners_have_no_ceiling():
    assert list(REAL.rows) == ["world models", "persistence", "listener mean"]
    assert REAL.rows["world models"] == {"engagement": 0.1, "rating": 0.7, "valence": 0.3, "arousal": 0.4}


def test_the_ceiling_of_invented_ones_comes_last():
    ceilings = Ceilings(latent={}, observed={"valence": 0.9}, observed_without_song={}, song_order={})

    assert list(replace(REAL, ceilings=ceilings).rows)[-1] == "best from the same history"


def test_the_gates_are_told_the_errors_of_affect():
    facts = REAL.facts

    assert facts.error == (0.01, 0.02)
    assert facts.persistence_error == (0.03, 0.06)
    assert facts.listener_mean_error == (0.02, 0.04)
    assert facts.song_order is None
