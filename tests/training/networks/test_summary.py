"""The running summary averages what was said so far; a session's sum begins anew at each boundary."""

import numpy as np
import torch
from torch.testing import assert_close

from models.tokens import BOUNDARY_FEATURE
from tests.training.invented import NAMES
from training.networks.summary import running_summary, session_sum, summary_width

F = len(NAMES)


def tokens(engagements: list[float | None]) -> torch.Tensor:
    features = torch.zeros(1, len(engagements), F)
    for place, value in enumerate(engagements):
        if value is not None:
            features[0, place, 0], features[0, place, 4] = value, 1.0
    return features


def test_matches_the_means_worked_by_hand():
    """Five prior counts of 0: 1/(1+5), again 1/6 where nothing is said, then (1 + .5)/(2 + 5) = .2142857.

    Recent ones fade by .9: 1/6; .9/(.9+5) = .1525424; (.81 + .5)/(1.81 + 5) = .1923642.
    """
    summary = running_summary(tokens([1.0, None, 0.5]), torch.eye(F))

    assert summary.shape[-1] == summary_width(F)
    assert_close(summary[0, :, F], torch.tensor([1 / 6, 1 / 6, 0.2142857]))
    assert_close(summary[0, :, F + 8], torch.tensor([1 / 6, 0.1525424, 0.1923642]))


def test_counts_are_told_beside_the_means():
    summary = running_summary(tokens([1.0, None, 0.5]), torch.eye(F))

    assert_close(summary[0, :, F + 4], torch.log1p(torch.tensor([1.0, 1.0, 2.0])) / 3)


def test_means_are_of_standardised_signals():
    doubled = torch.eye(F)
    doubled[0, 0] = 2.0

    assert_close(running_summary(tokens([1.0]), doubled)[0, :, F], torch.tensor([2 / 6]))


def test_a_session_forgets_the_songs_of_the_one_before():
    features = torch.zeros(1, 5, F)
    features[0, [0, 3], BOUNDARY_FEATURE] = 1.0
    values = torch.tensor([0.0, 1.0, 2.0, 0.0, 4.0]).reshape(1, 5, 1)

    assert_close(session_sum(values, features, decay=0.5)[0, :, 0], torch.tensor([0.0, 1.0, 2.5, 0.0, 4.0]))


def test_an_empty_history_has_an_empty_summary():
    assert running_summary(torch.zeros(2, 0, F), torch.eye(F)).shape == (2, 0, summary_width(F))
    assert np.prod(session_sum(torch.zeros(2, 0, 1), torch.zeros(2, 0, F), decay=0.9).shape) == 0
