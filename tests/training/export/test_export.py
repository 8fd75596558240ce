"""Export seals what was trained, with golden cases that nobody's data is in, and refuses what does not agree."""

import numpy as np
import pytest
import torch

from models.bundle import Bundle
from models.errors import BundleError
from models.listening import NO_SONG
from models.repository import Repository
from tests.bundles import CONTEXT, LOOKBACK, SPACE, make_trained, seal_bundle
from training.export.golden import golden_cases
from training.export.parity import parity
from training.networks.policy import cosines


def test_the_manifest_says_what_was_exported(tiny_bundle: Bundle):
    manifest = tiny_bundle.manifest

    assert (manifest.space, manifest.context, manifest.lookback) == (SPACE, CONTEXT, LOOKBACK)
    assert (manifest.member_count, manifest.candidate_count) == (3, 20)
    assert 0 <= manifest.training["onnx_parity"] < 1e-5


def test_golden_cases_reach_from_nothing_to_beyond_the_lookback(tiny_bundle: Bundle):
    golden = tiny_bundle.golden

    tokens = golden.listening.token_counts
    assert tokens.min() == 0
    assert 1 in tokens
    assert tokens.max() > LOOKBACK
    assert golden.expected.length.max() == LOOKBACK
    assert len(golden.names) == golden.listening.listener_count


def test_golden_songs_are_invented(tiny_bundle: Bundle, tiny_catalogue):
    assert (tiny_catalogue.rows(tiny_bundle.golden.keys) == NO_SONG).all()


def test_the_same_generator_gives_the_same_cases():
    trained = make_trained()

    def cases(seed: int) -> np.ndarray:
        return golden_cases(
            trained.ensemble,
            trained.policy,
            reading=trained.reading,
            target_map=trained.target_map,
            support=trained.support,
            context=trained.context,
            lookback=trained.lookback,
            rng=np.random.default_rng(seed),
        ).expected.score

    np.testing.assert_array_equal(cases(1), cases(1))
    assert (cases(1) != cases(2)).any()


def test_parity_sees_a_network_that_is_not_the_exported_one(tiny_bundle: Bundle):
    golden = tiny_bundle.golden
    other = golden.expected.__class__(
        **{
            name: getattr(golden.expected, name)
            for name in golden.expected.__dataclass_fields__
            if name != "score"
        },
        score=golden.expected.score + np.float32(0.01),
    )

    found = parity(
        other,
        graphs=dict(tiny_bundle.graphs),
        projections=tiny_bundle.projections,
        keys=golden.keys,
        embeddings=golden.embeddings,
    )

    assert found["score"] == pytest.approx(0.01, abs=1e-4)
    assert found["state"] < 1e-5


def test_weights_that_are_no_numbers_are_never_sealed(tmp_path):
    broken = make_trained()
    with torch.no_grad():
        broken.ensemble.members[0].head.behaviour.bias.fill_(float("nan"))

    with pytest.raises(BundleError, match="ONNX must agree with PyTorch"):
        seal_bundle(Repository(tmp_path), trained=broken)
    assert Repository(tmp_path).versions() == []


def test_the_projected_forms_are_exact(tiny_bundle: Bundle, rng):
    """Token, head and index computed from a song's projections are those computed from its embedding."""
    trained, maps = make_trained(), tiny_bundle.projections
    embeddings = rng.normal(size=(7, SPACE.width)).astype(np.float32)
    song = torch.from_numpy(trained.reading(embeddings))

    with torch.inference_mode():
        for name, part in (("world_token", "token_part"), ("head_hidden", "song_part")):
            plain = [getattr(member, part)(song) for member in trained.ensemble.members]
            np.testing.assert_allclose(getattr(maps, name)(embeddings), torch.hstack(plain), atol=1e-5)
        np.testing.assert_allclose(
            maps.policy_token(embeddings), trained.policy.encoder.song_part(song), atol=1e-5
        )
        state = torch.from_numpy(rng.normal(size=(4, trained.policy.encoder.width)).astype(np.float32))
        target = torch.nn.functional.normalize(torch.from_numpy(trained.target_map(embeddings)), dim=-1)
        plain = cosines(trained.policy.wanted(state), target)
        norms = trained.policy.output(state).norm(dim=1, keepdim=True)
    query = np.hstack([state, np.ones((4, 1))]) / norms.numpy()
    np.testing.assert_allclose(query @ maps.index_rows(embeddings).T, plain, atol=1e-5)
