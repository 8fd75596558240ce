"""Export: trained networks, and everything measured of them, become one sealed bundle."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from models.bundle import Affine, EmbeddingSpace, pack_arrays, pack_projections
from models.calibration import Calibration
from models.context import ContextSchema
from models.decoder import POLICY_ORDER, Decoder
from models.errors import BundleError
from models.gates import GateReport
from models.golden import TOLERANCE, golden_arrays
from models.guardrails import GuardrailTable
from models.reference import TrainingReference
from models.repository import Repository
from models.tokens import TOKENISER_VERSION
from models.utility import LinearUtility, TargetUtility
from training.export.deployed_form import refuse_other_forms
from training.export.golden import golden_cases
from training.export.graphs import head_graph, policy_graph, world_graph
from training.export.parity import parity
from training.export.projections import projections
from training.networks.policy import PolicyNetwork
from training.networks.reading import Reading
from training.networks.world import Ensemble


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a bundle comes from: what the manifest says for whoever must repeat the run."""

    created: datetime
    code_version: str
    data_digest: str
    """SHA-256 of the listening log, 64 hexadecimal digits."""
    data_name: str
    simulated: bool
    training: Mapping[str, str | int | float | bool]
    """Preset, seed and settings."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trained:
    """The networks of one run, and the fixed maps through which they see songs."""

    ensemble: Ensemble
    policy: PolicyNetwork
    reading: Reading
    """Embedding → song vector: what both the world models and the policy are shown."""
    target_map: Affine
    """Embedding → the space of the policy's cosine, before scaling to unit length."""
    support: Float[ndarray, "S E"]
    """Embeddings of the training songs: beyond them, predictions mean nothing."""
    space: EmbeddingSpace
    context: ContextSchema
    lookback: int
    """How many tokens the networks are shown in serving."""


def export_bundle(
    trained: Trained,
    *,
    utility: LinearUtility | TargetUtility,
    decoder: Decoder = POLICY_ORDER,
    guardrails: GuardrailTable,
    calibration: Calibration,
    gates: GateReport,
    evaluation: Mapping[str, Any],
    card: str,
    origin: Origin,
    repository: Repository,
    rng: np.random.Generator,
    candidate_count: int = 100,
    reference: TrainingReference | None = None,
) -> str:
    """Seal a bundle into the repository; return its version.

    Args:
        trained: the networks, moved to evaluation mode here.
        utility: what the policy was tuned for.
        decoder: in which order its songs come before the guardrails, as rollouts judged it.
        evaluation: what `evaluation.json` is to hold; only what JSON can say.
        card: the model card, Markdown.
        rng: draws the golden cases.
        candidate_count: K, how many songs the policy proposes.
        reference: what drift in the field is measured against, if it is known.

    Raises:
        BundleError: ONNX Runtime does not compute what PyTorch does, or sealing failed.
    """
    for network in (*trained.ensemble.members, trained.policy):
        network.eval()
    refuse_other_forms(trained.ensemble.members, trained.policy)
    graphs = {
        "world.onnx": world_graph(trained.ensemble),
        "head.onnx": head_graph(trained.ensemble),
        "policy.onnx": policy_graph(trained.policy),
    }
    maps = projections(
        trained.ensemble,
        trained.policy,
        reading=trained.reading,
        target_map=trained.target_map,
        support=trained.support,
    )
    golden = golden_cases(
        trained.ensemble,
        trained.policy,
        reading=trained.reading,
        target_map=trained.target_map,
        support=trained.support,
        context=trained.context,
        lookback=trained.lookback,
        rng=rng,
    )
    differences = parity(
        golden.expected, graphs=graphs, projections=maps, keys=golden.keys, embeddings=golden.embeddings
    )
    worst = float(np.max(list(differences.values())))  # NaN, if there is one
    if not worst <= TOLERANCE:
        raise BundleError(f"ONNX must agree with PyTorch within {TOLERANCE}; got {differences}")
    files = {
        **graphs,
        "projections.npz": pack_projections(maps),
        "guardrails.json": guardrails.model_dump_json(indent=2).encode(),
        "calibration.json": calibration.model_dump_json(indent=2).encode(),
        "stress_report.json": gates.model_dump_json(indent=2).encode(),
        "evaluation.json": json.dumps(evaluation, indent=2, allow_nan=False).encode(),
        "golden.npz": pack_arrays(golden_arrays(golden)),
        "MODEL_CARD.md": card.encode(),
    }
    if reference is not None:
        files["reference.json"] = reference.model_dump_json(by_alias=True, indent=2).encode()
    describe = {
        "created": origin.created,
        "code_version": origin.code_version,
        "data_digest": origin.data_digest,
        "data_name": origin.data_name,
        "simulated": origin.simulated,
        "tokeniser_version": TOKENISER_VERSION,
        "lookback": trained.lookback,
        "context": trained.context,
        "space": trained.space,
        "member_count": len(trained.ensemble.members),
        "candidate_count": candidate_count,
        "utility": utility,
        "decoder": decoder,
        "training": {**origin.training, "onnx_parity": worst},
    }
    return repository.add(files, describe)
