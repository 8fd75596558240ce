"""A sealed bundle's graphs answer as the networks did, whatever the lengths and the order of the histories."""

import numpy as np
import pytest

from models.bundle import Bundle
from models.catalogue import Catalogue
from models.listening import concatenate
from models.tokens import tokenise
from tests.bundles import CONTEXT, LOOKBACK, SPACE, make_embeddings, make_trained
from training.export.golden import invented_listener
from training.policies.plain import Learned
from training.policies.policy import Moment
from training.standing import current_modes
from training.stress.sealed import SealedPolicy, SealedWorld, sealed_subject
from training.trained import PolicyOver, WorldOver, unit_targets


@pytest.fixture(scope="module")
def trained():
    return make_trained()


@pytest.fixture(scope="module")
def moment(trained, tiny_catalogue: Catalogue) -> Moment:
    """Twelve invented listeners, long and short in turn."""
    rng = np.random.default_rng(5)
    plays = [[3] * (1 + 7 * (place % 3)) for place in range(12)]
    listening = concatenate([invented_listener(rng, each, tiny_catalogue.keys, CONTEXT) for each in plays])
    tokens = tokenise(listening, CONTEXT).latest(LOOKBACK)
    rows = tiny_catalogue.rows(tokens.song)
    return Moment(
        listening=listening,
        tokens=tokens,
        rows=rows,
        states=world_of(trained).look(tokens, rows),
        mode=current_modes(listening),
        rng=rng,
    )


def world_of(trained) -> WorldOver:
    return WorldOver(ensemble=trained.ensemble, songs=trained.reading(make_embeddings()))


def test_the_world_models_answer_as_the_networks_did(trained, tiny_bundle: Bundle, moment: Moment):
    networks, graphs = world_of(trained), SealedWorld.over(tiny_bundle, make_embeddings())
    candidates = np.tile(np.arange(60), (12, 1))
    states = graphs.look(moment.tokens, moment.rows)

    assert np.allclose(
        graphs.predicted(states.now, candidates), networks.predicted(moment.states.now, candidates), atol=1e-5
    )
    assert np.allclose(
        graphs.predicted(states.before_last_play, candidates),
        networks.predicted(moment.states.before_last_play, candidates),
        atol=1e-5,
    )
    assert np.allclose(
        graphs.predicted_average(states.now), networks.predicted_average(moment.states.now), atol=1e-5
    )


def test_the_policy_scores_as_the_network_did(trained, tiny_bundle: Bundle, moment: Moment):
    embeddings = make_embeddings()
    network = Learned(
        PolicyOver(
            network=trained.policy,
            songs=trained.reading(embeddings),
            targets=unit_targets(trained.target_map, embeddings),
        )
    )
    sealed = SealedPolicy.over(tiny_bundle, embeddings)

    assert np.allclose(sealed.scores(moment), network.scores(moment), atol=1e-5)


def test_a_sealed_subject_serves_as_its_manifest_says(trained, tiny_bundle: Bundle):
    subject = sealed_subject(tiny_bundle, lambda embeddings: SealedPolicy.over(tiny_bundle, embeddings))

    assert (subject.lookback, subject.context) == (LOOKBACK, CONTEXT)
    assert subject.decoder == tiny_bundle.manifest.decoder
    assert np.allclose(subject.support, trained.reading(make_embeddings()), atol=1e-6)
    assert tiny_bundle.manifest.space == SPACE
