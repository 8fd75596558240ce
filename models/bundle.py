"""A bundle: everything the service needs of one training run, sealed once and verified whole.

A bundle is a folder of plain files named by `manifest.json`, which holds the SHA-256 of every other file; the
version — the folder's name — ends in the digest of the manifest itself, so that no byte of either can change
unseen. Opening reads each file once and verifies those very bytes; it refuses a missing, extra or altered
file, another schema, external ONNX data, symbolic and hard links. Nothing is ever unpickled.
"""

import io
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Annotated, Any, Final, Literal, TypeVar
from zipfile import BadZipFile

import numpy as np
import onnx
from jaxtyping import Float
from numpy import ndarray
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from models.calibration import Calibration
from models.context import ContextSchema
from models.decoder import POLICY_ORDER, Decoder
from models.errors import BundleError
from models.gates import GateReport
from models.golden import Golden, golden_of
from models.guardrails import GuardrailTable
from models.reference import TrainingReference
from models.tokens import TOKENISER_VERSION, feature_names
from models.utility import Utility

MANIFEST: Final = "manifest.json"
GRAPHS: Final = ("world.onnx", "head.onnx", "policy.onnx")
FILES: Final = (
    *GRAPHS,
    "projections.npz",
    "guardrails.json",
    "calibration.json",
    "stress_report.json",
    "evaluation.json",
    "golden.npz",
    "MODEL_CARD.md",
)
"""Every file that a bundle holds besides its manifest."""
OPTIONAL: Final = ("reference.json",)
"""What it may hold as well; nothing else."""

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=1)]


class EmbeddingSpace(BaseModel):
    """The space a bundle reads songs in; SQL and logs hold the embeddings themselves."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    width: Count
    source: str
    licence: str


class Manifest(BaseModel):
    """`manifest.json`: what the bundle is, how to talk to its graphs, and the digest of every other file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_name: Literal["amrs-bundle/2"] = Field("amrs-bundle/2", alias="schema")
    created: datetime
    code_version: str
    data_digest: Digest
    """Of the listening log the models were trained on."""
    data_name: str
    simulated: bool
    tokeniser_version: int
    lookback: Count
    """How many tokens the graphs are shown."""
    context: ContextSchema
    space: EmbeddingSpace
    member_count: Annotated[int, Field(ge=2)]
    """M, the world models in the ensemble: at least two, for the guardrails rest on their spread."""
    candidate_count: Count = 100
    """K, the songs the policy proposes; the ladder's wider rung asks for four times as many."""
    utility: Utility
    """What the policy was tuned for."""
    decoder: Decoder = POLICY_ORDER
    """In which order the policy's songs come before the guardrails, as judged in rollouts."""
    training: dict[str, str | int | float | bool]
    """Preset, seed and settings, for whoever must repeat the run."""
    files: dict[str, Digest]

    @property
    def feature_count(self) -> int:
        """F, the features of one token."""
        return len(feature_names(self.context))


@dataclass(frozen=True, slots=True, kw_only=True)
class Affine:
    """x ↦ x @ matrix + offset."""

    matrix: Float[ndarray, "E D"]
    offset: Float[ndarray, " D"]

    def __call__(self, x: Float[ndarray, "*shape E"]) -> Float[ndarray, "*shape D"]:
        """Return the image of each vector, in single precision."""
        return (x @ self.matrix + self.offset).astype(np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Projections:
    """`projections.npz`: the linear maps that take a song's embedding to where each graph wants it.

    All of them are exact rewritings of the trained networks (SCIENCE §2), computed once per catalogue.
    """

    world_token: Affine
    """Embedding → the world encoder's token."""
    policy_token: Affine
    """Embedding → the policy encoder's token."""
    head_hidden: Affine
    """Embedding → the song's share of the head's hidden layer, members side by side (M·H)."""
    policy_target: Affine
    """Embedding → the space in which the policy's cosine is taken, before scaling to unit length."""
    policy_output: Affine
    """The policy's last layer, h ↦ ŝ: the projected index row of a song y is [W y ; b·y]."""
    support_map: Affine
    """Embedding → the space in which the distance to training songs is measured."""
    support_points: Float[ndarray, "S D"]
    """The training songs in that space."""

    def index_rows(self, embeddings: Float[ndarray, "N E"]) -> Float[ndarray, "N D"]:
        """Return the projected index: a query's inner product with row i is its exact cosine with song i.

        A query is [h ; 1] / ‖W h + b‖. Source: SCIENCE §2.
        """
        target = self.policy_target(embeddings)
        norms = np.linalg.norm(target, axis=1, keepdims=True)
        unit = target / np.where(norms > 0, norms, 1)
        rows = np.column_stack([unit @ self.policy_output.matrix.T, unit @ self.policy_output.offset])
        return np.ascontiguousarray(rows, np.float32)


def pack_projections(projections: Projections) -> bytes:
    """Return `projections.npz`."""
    arrays: dict[str, ndarray] = {"support_points": projections.support_points}
    for name in _AFFINE_NAMES:
        affine: Affine = getattr(projections, name)
        arrays[f"{name}.matrix"], arrays[f"{name}.offset"] = affine.matrix, affine.offset
    return pack_arrays(arrays)


def pack_arrays(arrays: Mapping[str, ndarray]) -> bytes:
    """Return arrays as the bytes of an uncompressed `.npz`."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def unpack_arrays(packed: bytes) -> dict[str, ndarray]:
    """Return the arrays of an `.npz`; pickled objects are refused."""
    try:
        with np.load(io.BytesIO(packed), allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (ValueError, OSError, EOFError, TypeError, BadZipFile) as problem:
        raise BundleError(f"an archive of arrays cannot be read: {problem}") from problem


_AFFINE_NAMES = (
    *("world_token", "policy_token", "head_hidden"),
    *("policy_target", "policy_output", "support_map"),
)


def _unpack_projections(packed: bytes, width: int) -> Projections:
    arrays = unpack_arrays(packed)
    expected = {"support_points"} | {f"{name}.{part}" for name in _AFFINE_NAMES for part in ("matrix", "offset")}
    if set(arrays) != expected:
        raise BundleError(f"projections.npz must hold {sorted(expected)}; got {sorted(arrays)}")
    affines = {
        name: Affine(matrix=arrays[f"{name}.matrix"], offset=arrays[f"{name}.offset"]) for name in _AFFINE_NAMES
    }
    for name in _AFFINE_NAMES:
        if name != "policy_output" and len(affines[name].matrix) != width:
            found = len(affines[name].matrix)
            raise BundleError(f"projections.npz: {name} must read embeddings of width {width}; it reads {found}")
    return Projections(support_points=arrays["support_points"], **affines)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bundle:
    """A bundle that was verified whole; what it holds are the very bytes that were verified."""

    version: str
    digest: str
    """SHA-256 of the manifest."""
    manifest: Manifest
    graphs: Mapping[str, bytes]
    projections: Projections
    guardrails: GuardrailTable
    calibration: Calibration
    gates: GateReport
    evaluation: bytes
    """`evaluation.json`, as it was written."""
    golden: Golden
    """Synthetic histories and expected outputs, to be replayed by whoever runs the graphs."""
    card: str
    reference: TrainingReference | None = None
    """What its predictions and songs were like in training; None in bundles that do not say."""


def seal(files: Mapping[str, bytes], describe: Mapping[str, object], folder: Path) -> str:
    """Write a bundle into a new folder below `folder`, named by its version; return the version.

    The folder appears whole or not at all: files are written and flushed beside it, then renamed.

    Args:
        files: every name of `FILES`, any of `OPTIONAL`, and their contents.
        describe: the manifest's fields besides `files`.

    Raises:
        BundleError: a file is missing or too many, or the version exists already.
    """
    if set(files) - set(OPTIONAL) != set(FILES):
        raise BundleError(f"a bundle holds {sorted(FILES)}; got {sorted(files)}")
    digests = {name: sha256(contents).hexdigest() for name, contents in files.items()}
    manifest = Manifest.model_validate({**describe, "files": digests})
    written = manifest.model_dump_json(by_alias=True, indent=2).encode()
    version = f"{manifest.created:%Y-%m-%d}-{sha256(written).hexdigest()[:16]}"
    target = folder / version
    if target.exists():
        raise BundleError(f"bundle {version} exists already")
    folder.mkdir(parents=True, exist_ok=True)
    draft = Path(mkdtemp(prefix=f".{version}.", dir=folder))
    try:
        for name, contents in {**files, MANIFEST: written}.items():
            with (draft / name).open("xb") as file:
                file.write(contents)
                file.flush()
                os.fsync(file.fileno())
            (draft / name).chmod(0o444)
        draft.chmod(0o755)
        draft.rename(target)
    except OSError:
        rmtree(draft)
        raise
    return version


def open_bundle(folder: Path) -> Bundle:
    """Return the bundle in a folder, verified whole.

    Raises:
        BundleError: anything is missing, extra, altered, linked, of another schema, or cannot be read; the
            message names the file.
    """
    contents = _read_files(folder)
    written = contents.pop(MANIFEST)
    digest = sha256(written).hexdigest()
    manifest = _parse(Manifest, written, MANIFEST)
    if not folder.name.endswith(f"-{digest[:16]}"):
        raise BundleError(f"{folder.name}/{MANIFEST} was altered: its digest begins with {digest[:16]}")
    if set(manifest.files) != set(contents):
        raise BundleError(f"{folder.name}/{MANIFEST} must name {sorted(contents)}; got {sorted(manifest.files)}")
    for name, expected in manifest.files.items():
        found = sha256(contents[name]).hexdigest()
        if found != expected:
            raise BundleError(f"{folder.name}/{name} was altered: expected SHA-256 {expected}, got {found}")
    if manifest.tokeniser_version != TOKENISER_VERSION:
        raise BundleError(
            f"{folder.name} needs tokeniser {manifest.tokeniser_version}; this code has {TOKENISER_VERSION}"
        )
    for name in GRAPHS:
        _refuse_external_data(contents[name], f"{folder.name}/{name}")
    return Bundle(
        version=folder.name,
        digest=digest,
        manifest=manifest,
        graphs={name: contents[name] for name in GRAPHS},
        projections=_unpack_projections(contents["projections.npz"], manifest.space.width),
        guardrails=_parse(GuardrailTable, contents["guardrails.json"], "guardrails.json"),
        calibration=_parse(Calibration, contents["calibration.json"], "calibration.json"),
        gates=_parse(GateReport, contents["stress_report.json"], "stress_report.json"),
        evaluation=contents["evaluation.json"],
        golden=golden_of(unpack_arrays(contents["golden.npz"])),
        card=contents["MODEL_CARD.md"].decode(errors="replace"),
        reference=_parse(TrainingReference, contents["reference.json"], "reference.json")
        if "reference.json" in contents
        else None,
    )


Parsed = TypeVar("Parsed", bound=BaseModel)


def _parse(kind: type[Parsed], written: bytes, name: str) -> Parsed:
    try:
        return kind.model_validate_json(written)
    except ValidationError as problem:
        raise BundleError(f"{name} is not of this schema: {problem}") from problem


def _read_files(folder: Path) -> dict[str, bytes]:
    """Return the contents of every file, having refused whatever is not a plain file of its own."""
    if not folder.is_dir() or folder.is_symlink():
        raise BundleError(f"no bundle at {folder.name}: expected a folder")
    found = {entry.name for entry in folder.iterdir()}
    expected = {*FILES, MANIFEST}
    for name in sorted(expected - found):
        raise BundleError(f"{folder.name}/{name} is missing")
    for name in sorted(found - expected - set(OPTIONAL)):
        raise BundleError(f"{folder.name}/{name} does not belong to a bundle")
    return {name: _read_plain_file(folder / name) for name in sorted(found)}


def _read_plain_file(path: Path) -> bytes:
    place = f"{path.parent.name}/{path.name}"
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)  # a pipe must not hold us up
    except OSError as problem:
        raise BundleError(f"{place} cannot be opened as a plain file: {problem.strerror}") from problem
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
            raise BundleError(f"{place} must be a plain file with no other name (hard link)")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(descriptor)


def _refuse_external_data(graph: bytes, place: str) -> None:
    try:
        model = onnx.load_model_from_string(graph)
    except Exception as problem:  # protobuf raises its own, undocumented kinds
        raise BundleError(f"{place} is not an ONNX graph: {problem}") from problem
    for tensor in _tensors(model):
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            raise BundleError(f"{place} keeps {tensor.name!r} outside the file; a bundle is self-contained")


def _tensors(message: Any) -> Iterator[onnx.TensorProto]:
    """Yield every tensor of a model, wherever it stands: initialisers, attributes, subgraphs, functions."""
    if isinstance(message, onnx.TensorProto):
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for part in value if field.is_repeated else (value,):
                yield from _tensors(part)
