"""A bundle's reference says how its models fared where they were judged, and what they were trained on."""

import numpy as np
import pytest

from models.listening import Mode
from training.export.reference import training_reference
from training.metrics.prediction import prediction_scores


def test_errors_shares_and_distances_are_those_of_training():
    """Engagement is off by 0.1 and 0.3; nobody reported. Three songs are 3, 3 and 4 from their nearest other."""
    predicted = np.array([[0.5, 0.5, 0.5, 0.5], [0.5, 0.5, 0.5, 0.5]], np.float32)
    truth = np.array([[0.6, np.nan, np.nan, np.nan], [0.8, np.nan, np.nan, np.nan]], np.float32)
    modes = np.array([Mode.CALM, Mode.CALM, Mode.SLEEP, Mode.CALM])
    support = np.array([[0.0, 0.0], [3.0, 0.0], [3.0, 4.0]], np.float32)

    reference = training_reference(prediction_scores(predicted, truth), play_mode=modes, support=support)

    assert reference.mean_squared_error == {"engagement": pytest.approx(0.05)}
    assert reference.mode_shares["calm"] == 0.75
    assert reference.mode_shares["focus"] == 0.0
    assert reference.neighbour_distance == pytest.approx(10 / 3)
