"""A bundle small enough for every test that needs one: real networks with random weights, really exported.

Sixty invented songs by twenty artists, in an embedding space of eight dimensions. PyTorch is imported only
where a bundle is made, so that tests without one stay light. `tests/conftest.py` offers the fixtures to all.
"""

import json
from datetime import UTC, datetime

import numpy as np
import onnx
import pytest

from models.bundle import FILES, MANIFEST, Bundle, EmbeddingSpace
from models.calibration import Calibration
from models.catalogue import Catalogue, Song
from models.context import ClockField, ContextSchema
from models.gates import Gate, GateReport
from models.guardrails import GuardrailTable, Limits
from models.listening import Mode, Population
from models.repository import Repository
from models.utility import PAPER_UTILITY

SPACE = EmbeddingSpace(name="tiny", width=8, source="invented", licence="CC0-1.0")
CONTEXT = ContextSchema(fields=(ClockField(name="local_time"),))
SONG_COUNT = 60
LOOKBACK = 24

WIDE = Limits(
    arousal_rise=0.5,
    arousal_fall=0.5,
    arousal_band=0.8,
    valence_fall=0.5,
    caution=1.0,
    song_gap=10,
    song_gap_hours=1.0,
    support_distance=100.0,
)
"""Limits under which the tiny bundle's random predictions leave most songs allowed."""


ENDLESS = WIDE.model_copy(update={"song_gap": 1, "song_gap_hours": 0.0, "artist_gap": 0})
"""Limits under which sixty songs are enough for a session of any length: for listeners who go round under load."""


@pytest.fixture(scope="session")
def tiny_catalogue() -> Catalogue:
    """Sixty songs, all active."""
    return make_catalogue()


@pytest.fixture(scope="session")
def tiny_repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository that holds the tiny bundle."""
    repository = Repository(tmp_path_factory.mktemp("bundles"))
    seal_bundle(repository)
    return repository


@pytest.fixture(scope="session")
def tiny_bundle(tiny_repository: Repository) -> Bundle:
    """The tiny bundle, opened and verified."""
    return tiny_repository.open(tiny_repository.versions()[0])


def make_songs() -> list[Song]:
    """Return the invented songs: `song-0` to `song-59`, three to an artist, every fifth one tagged `piano`."""
    return [
        Song(
            song_id=f"song-{place}",
            title=f"Song {place}",
            artist=f"Artist {place % 20}",
            duration_seconds=180.0 + place,
            tags=("piano",) if place % 5 == 0 else (),
        )
        for place in range(SONG_COUNT)
    ]


def make_embeddings() -> np.ndarray:
    """Return the songs' embeddings: seeded, anisotropic."""
    rng = np.random.default_rng(7)
    drawn = rng.normal(0.5, 1.0, (SONG_COUNT, SPACE.width)) * np.linspace(1.5, 0.3, SPACE.width)
    return drawn.astype(np.float32)


def make_catalogue() -> Catalogue:
    """Return the catalogue of all sixty songs."""
    return Catalogue(
        songs=make_songs(),
        embeddings={SPACE.name: make_embeddings()},
        withdrawn=np.zeros(SONG_COUNT, bool),
    )


def make_guardrails(limits: Limits = WIDE) -> GuardrailTable:
    """Return one set of limits for everybody; songs 3, 13 and 23 are approved for calm."""
    return GuardrailTable(
        limits={each.label: {mode.label: limits for mode in Mode} for each in Population},
        prior={each.label: (0.5, 0.5) for each in Population},
        approved={"calm": ("song-3", "song-13", "song-23")},
    )


def make_trained(seed: int = 0, context: ContextSchema = CONTEXT):
    """Return small networks with weights drawn far from their calm beginnings."""
    import torch

    from models.tokens import feature_names
    from training.export.export import Trained
    from training.networks.encoder import EncoderConfig, HistoryEncoder
    from training.networks.policy import PolicyNetwork
    from training.networks.reading import ReadingConfig, fit_reading
    from training.networks.world import Ensemble, WorldModel, WorldModelConfig

    embeddings = make_embeddings()
    reading = fit_reading(embeddings, ReadingConfig(components=6))
    target_map = fit_reading(embeddings, ReadingConfig(components=5, spread=1.0))
    features = len(feature_names(context))
    encoder = EncoderConfig(width=16, blocks=2, heads=2)

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)

        def drawn(network):
            with torch.no_grad():
                linear = [each for name, each in network.named_buffers() if name.startswith("linear.")]
                for weights in (*network.parameters(), *linear):
                    weights.add_(0.05 * torch.randn_like(weights))
            return network.eval()

        standard = np.eye(features) + 0.05 * np.random.default_rng(seed).normal(size=(features, features))
        config = WorldModelConfig(encoder=encoder, hidden=24)
        members = [
            drawn(WorldModel(config, song_width=reading.width, standard=standard, mean=np.full(4, 0.6)))
            for _ in range(3)
        ]
        policy = drawn(
            PolicyNetwork(
                HistoryEncoder(encoder, song_width=reading.width, standard=standard),
                target_width=target_map.width,
            )
        )
    return Trained(
        ensemble=Ensemble(members),
        policy=policy,
        reading=reading,
        target_map=target_map,
        support=embeddings,
        space=SPACE,
        context=context,
        lookback=LOOKBACK,
    )


def seal_bundle(
    repository: Repository,
    *,
    seed: int = 0,
    trained=None,
    limits: Limits = WIDE,
    passes: bool = True,
    candidate_count: int = 20,
) -> str:
    """Export and seal a tiny bundle; return its version. Another seed gives other weights, and another version."""
    from training.export.export import Origin, export_bundle

    return export_bundle(
        trained or make_trained(seed),
        utility=PAPER_UTILITY,
        guardrails=make_guardrails(limits),
        calibration=Calibration(
            level=0.9,
            widths={"engagement": (0.4, 0.41, 0.42), "valence": (0.3, 0.32, 0.33), "arousal": (0.35, 0.36, 0.38)},
            listener_count=10,
            listener_counts={},
            label_counts={},
        ),
        gates=GateReport(
            gates=(Gate(name="made for tests", passed=passes, required="nothing", measured="nothing"),)
        ),
        evaluation={},
        card="# A bundle made for tests\n",
        origin=Origin(
            created=datetime(2026, 11, 20, tzinfo=UTC),
            code_version="tests",
            data_digest="0" * 64,
            data_name="invented",
            simulated=True,
            training={"seed": seed},
        ),
        repository=repository,
        rng=np.random.default_rng(seed),
        candidate_count=candidate_count,
    )


def reseal(repository: Repository, version: str, **files: bytes) -> str:
    """Seal a bundle again with some of its files replaced (`world_onnx` for `world.onnx`); return its version."""
    folder = repository.root / version
    contents = {name: (folder / name).read_bytes() for name in FILES}
    describe = json.loads((folder / MANIFEST).read_bytes())
    del describe["files"]
    replaced = {name: files.pop(name.replace(".", "_"), written) for name, written in contents.items()}
    assert not files, f"a bundle has no {sorted(files)}"
    return repository.add(replaced, describe)


def failing_at(graph: bytes, token_count: int) -> bytes:
    """Return a world graph that computes the same, and fails on histories of exactly so many tokens."""
    model = onnx.load_model_from_string(graph)
    state = next(node for node in model.graph.node if "state" in node.output)
    state.output[list(state.output).index("state")] = "sound_state"
    constants = {
        "fail_at": np.array(token_count, np.int64),
        "one_value": np.zeros(1, np.float32),
        "second_axis": np.array(1, np.int64),
    }
    model.graph.initializer.extend(
        onnx.numpy_helper.from_array(values, name) for name, values in constants.items()
    )
    node = onnx.helper.make_node
    model.graph.node.extend(
        [
            node("Shape", ["features"], ["features_shape"]),
            node("Gather", ["features_shape", "second_axis"], ["token_count"]),
            node("Equal", ["token_count", "fail_at"], ["is_unlucky"]),
            node("Cast", ["is_unlucky"], ["beyond"], to=onnx.TensorProto.INT64),
            node("Gather", ["one_value", "beyond"], ["nothing"]),
            node("Add", ["sound_state", "nothing"], ["state"]),
        ]
    )
    return bytes(model.SerializeToString())
