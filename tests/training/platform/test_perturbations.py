"""A perturbation scales what it names and nothing else; its truth is recovered, and the base world is fixed."""

from dataclasses import asdict, replace
from itertools import pairwise, permutations

import numpy as np
import pytest

from models.errors import ConfigError, DataError
from training.platform.as_log import simulated_log
from training.platform.ceilings import measure_ceilings
from training.platform.parameters import PlatformParameters, sized_like_paper
from training.platform.perturbations import PERTURBATIONS, Perturbation, perturbed, read_perturbations
from training.platform.simulate import simulate
from training.platform.truth import recover_truth

BASE = PlatformParameters()
SIZE = sized_like_paper(40, 200)


def changed(parameters: PlatformParameters) -> dict[str, tuple[object, object]]:
    """Return the constants that differ from the base, by their dotted name: (base, now)."""
    base, now = asdict(BASE), asdict(parameters)
    return {
        f"{part}.{name}": (base[part][name], now[part][name])
        for part in base
        for name in base[part]
        if base[part][name] != now[part][name]
    }


def test_the_base_world_is_the_one_that_the_decision_page_fixed() -> None:
    """A change of this digest is a change of the tuned world: it belongs on the decision page first."""
    assert BASE.digest == "064ef3638ca2d99cc93bff9e3af3cb29"


def test_responsiveness_scales_all_that_a_song_does() -> None:
    assert changed(PERTURBATIONS["responsiveness"](BASE, 2.0)) == {
        "listeners.gain": ((0.016, 0.020), (0.032, 0.040)),
        "listeners.tilt_spread": ((0.004, 0.0035), (0.008, 0.007)),
        "feedback.liking_lift": (0.008, 0.016),
    }


@pytest.mark.parametrize(("factor", "mean", "spread"), [(0.5, 0.88, 0.04), (2.0, 0.97, 0.01)])
def test_inertia_scales_the_songs_that_affect_takes_to_return(factor: float, mean: float, spread: float) -> None:
    listeners = PERTURBATIONS["inertia"](BASE, factor).listeners

    assert listeners.inertia_mean == pytest.approx(mean)
    assert listeners.inertia_spread == pytest.approx(spread)


def test_noise_and_drift_share_the_rest_of_what_moves_affect() -> None:
    assert changed(PERTURBATIONS["noise"](BASE, 0.5)).keys() == {
        "feedback.process_spread",
        "feedback.report_spread",
    }
    assert changed(PERTURBATIONS["drift"](BASE, 0.5)).keys() == {
        "feedback.session_spread",
        "feedback.circadian_arousal",
        "feedback.mode_valence",
        "feedback.mode_arousal",
    }


@pytest.mark.parametrize(("factor", "correlation"), [(0.5, 0.570), (2.0, 0.811)])
def test_tag_quality_scales_the_odds_of_the_squared_correlation(factor: float, correlation: float) -> None:
    """ρ² = .49 is odds of .961; .480 and 1.922 are ρ² = .324 and .658. In an embedding the odds are 1/noise²."""
    better = PERTURBATIONS["tag_quality"](BASE, factor)

    assert better.songs.tag_truth == pytest.approx(correlation, abs=5e-4)
    assert better.mert_sim.valence_noise**-2 == pytest.approx(factor * 0.9**-2)
    assert better.clamp3_sim.arousal_noise**-2 == pytest.approx(factor * 0.8**-2)


def test_exposure_scales_what_production_repeats() -> None:
    assert changed(PERTURBATIONS["exposure"](BASE, 2.0)) == {
        "production.profile_weight": (2.2, 4.4),
        "production.popularity_weight": (0.7, 1.4),
    }


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_half_of_the_double_is_the_base(name: str) -> None:
    there_and_back = PERTURBATIONS[name](PERTURBATIONS[name](BASE, 2.0), 0.5)

    for base, now in changed(there_and_back).values():
        np.testing.assert_allclose(now, base, rtol=1e-12)


def test_no_two_perturbations_touch_the_same_constant() -> None:
    touched = [changed(perturb(BASE, 2.0)).keys() for perturb in PERTURBATIONS.values()]

    assert all(not one & other for one, other in permutations(touched, 2))


def test_more_responsive_listeners_are_moved_further_and_read_more_easily() -> None:
    """The same seed, three worlds: the ceilings are those of the world that made the log."""
    order = [
        measure_ceilings(simulate(perturbed(BASE, worlds), SIZE, 1), np.random.default_rng(0)).observed["valence"]
        for worlds in (read_perturbations(["responsiveness=0.5"]), (), read_perturbations(["responsiveness=2"]))
    ]

    assert all(less < more for less, more in pairwise(order))


@pytest.mark.parametrize("labels", [["noise=0.5"], ["exposure=2", "inertia=0.5"]])
def test_the_truth_of_a_perturbed_log_is_recovered(labels: list[str]) -> None:
    perturbations = read_perturbations(labels)
    simulation = simulate(perturbed(BASE, perturbations), SIZE, 5)
    log = simulated_log(simulation, perturbations)

    np.testing.assert_array_equal(recover_truth(log).simulation.affect, simulation.affect)
    assert all(label in log.description.name for label in (each.label for each in perturbations))


def test_a_log_says_nothing_of_perturbations_where_there_were_none() -> None:
    assert "perturbations" not in simulated_log(simulate(BASE, SIZE, 5)).description.provenance


def test_a_log_that_hides_its_perturbation_has_no_truth() -> None:
    simulation = simulate(perturbed(BASE, read_perturbations(["noise=2"])), SIZE, 5)

    with pytest.raises(DataError, match="was simulated with parameters"):
        recover_truth(simulated_log(simulation))


def test_a_log_with_a_perturbation_from_elsewhere_has_no_truth() -> None:
    log = simulated_log(simulate(BASE, SIZE, 5))
    origin = {**log.description.provenance, "perturbations": "gravity=2.0"}
    renamed = replace(log, description=log.description.model_copy(update={"provenance": origin}))

    with pytest.raises(DataError, match="does not have: .*got 'gravity'; its truth is unknown"):
        recover_truth(renamed)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["gravity=2"], "among responsiveness, inertia, noise, drift, tag_quality, exposure; got 'gravity'"),
        (["noise"], "such as noise=0.5; got 'noise'"),
        (["noise=loud"], "such as noise=0.5; got 'noise=loud'"),
        (["noise=1"], "not be 1; got 1"),
        (["noise=2.5"], "from 0.5 to 2 .* got 2.5"),
        (["noise=nan"], "from 0.5 to 2 .* got nan"),
        (["noise=2", "noise=0.5"], "got noise twice"),
    ],
)
def test_a_perturbation_that_is_none_is_refused(labels: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_perturbations(labels)


def test_perturbations_stand_in_one_order_however_they_are_named() -> None:
    assert read_perturbations(["noise=2", "inertia=0.5"]) == (
        Perturbation(name="inertia", factor=0.5),
        Perturbation(name="noise", factor=2.0),
    )
