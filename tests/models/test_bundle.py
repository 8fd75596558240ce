"""A bundle opens only as it was sealed: what is missing, extra, altered or linked is refused, and named."""

import json
import os
import shutil
from hashlib import sha256
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from models.bundle import FILES, GRAPHS, MANIFEST, open_bundle, pack_arrays, seal, unpack_arrays
from models.errors import BundleError

EVERY_FILE = (*FILES, MANIFEST)


@pytest.fixture(scope="module")
def sealed(tiny_repository) -> Path:
    """The folder of a sealed bundle, to be copied and never touched."""
    return tiny_repository.root / tiny_repository.versions()[0]


@pytest.fixture(scope="module")
def spare(sealed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy that a property may alter, if it puts everything back."""
    copied = tmp_path_factory.mktemp("spare") / sealed.name
    shutil.copytree(sealed, copied)
    for file in copied.iterdir():
        file.chmod(0o644)
    return copied


@pytest.fixture
def folder(sealed: Path, tmp_path: Path) -> Path:
    """A copy to do harm to."""
    copied = tmp_path / sealed.name
    shutil.copytree(sealed, copied)
    for file in copied.iterdir():
        file.chmod(0o644)
    return copied


def contents_of(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in FILES}


def described(folder: Path) -> dict[str, object]:
    manifest = json.loads((folder / MANIFEST).read_bytes())
    del manifest["files"]
    return manifest


def test_opens_as_it_was_sealed(sealed: Path):
    bundle = open_bundle(sealed)

    assert bundle.version == sealed.name
    assert bundle.digest == sha256((sealed / MANIFEST).read_bytes()).hexdigest()
    assert set(bundle.manifest.files) == set(FILES)
    assert bundle.card.startswith("# A bundle made for tests")


def test_its_version_ends_in_the_digest_of_its_manifest(sealed: Path):
    assert sealed.name == f"2026-11-20-{open_bundle(sealed).digest[:16]}"


@settings(max_examples=40)
@given(name=st.sampled_from(EVERY_FILE), data=st.data())
def test_a_single_altered_bit_anywhere_is_refused_and_its_file_named(spare: Path, name: str, data: st.DataObject):
    original = (spare / name).read_bytes()
    at = data.draw(st.integers(0, len(original) - 1))
    altered = bytearray(original)
    altered[at] ^= 1 << data.draw(st.integers(0, 7))
    (spare / name).write_bytes(bytes(altered))
    try:
        with pytest.raises(BundleError, match=name):
            open_bundle(spare)
    finally:
        (spare / name).write_bytes(original)


@pytest.mark.parametrize("name", EVERY_FILE)
def test_a_missing_file_is_named(folder: Path, name: str):
    (folder / name).unlink()

    with pytest.raises(BundleError, match=f"{name} is missing"):
        open_bundle(folder)


@pytest.mark.parametrize("name", ["weights.pt", ".hidden", "world.onnx.data"])
def test_an_extra_file_is_named(folder: Path, name: str):
    (folder / name).write_bytes(b"")

    with pytest.raises(BundleError, match=f"{name} does not belong"):
        open_bundle(folder)


@pytest.mark.parametrize("name", EVERY_FILE)
def test_a_file_cut_short_or_made_longer_is_named(folder: Path, name: str):
    whole = (folder / name).read_bytes()
    for changed in (whole[:-1], whole + b"\n"):
        (folder / name).write_bytes(changed)
        with pytest.raises(BundleError, match=name):
            open_bundle(folder)


def test_a_symbolic_link_is_refused_even_to_the_same_bytes(folder: Path, tmp_path: Path):
    shutil.move(folder / "world.onnx", tmp_path / "elsewhere")
    (folder / "world.onnx").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(BundleError, match=r"world\.onnx cannot be opened as a plain file"):
        open_bundle(folder)


def test_a_hard_link_is_refused_even_to_the_same_bytes(folder: Path, tmp_path: Path):
    (tmp_path / "elsewhere").hardlink_to(folder / "world.onnx")

    with pytest.raises(BundleError, match=r"world\.onnx must be a plain file"):
        open_bundle(folder)


def test_a_folder_in_the_place_of_a_file_is_refused(folder: Path):
    (folder / "MODEL_CARD.md").unlink()
    (folder / "MODEL_CARD.md").mkdir()

    with pytest.raises(BundleError, match=r"MODEL_CARD\.md must be a plain file"):
        open_bundle(folder)


def test_a_pipe_in_the_place_of_a_file_is_refused_without_waiting(folder: Path):
    (folder / "MODEL_CARD.md").unlink()
    os.mkfifo(folder / "MODEL_CARD.md")

    with pytest.raises(BundleError, match=r"MODEL_CARD\.md must be a plain file"):
        open_bundle(folder)


def test_a_linked_folder_is_refused(sealed: Path, tmp_path: Path):
    (tmp_path / sealed.name).symlink_to(sealed)

    with pytest.raises(BundleError, match="expected a folder"):
        open_bundle(tmp_path / sealed.name)


def test_a_renamed_bundle_is_refused(folder: Path):
    renamed = folder.rename(folder.with_name("2026-11-20-0123456789abcdef"))

    with pytest.raises(BundleError, match=r"manifest\.json was altered"):
        open_bundle(renamed)


def external(tensor: TensorProto) -> TensorProto:
    """The same tensor, kept in a file beside the graph."""
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    return tensor


def as_initialiser(graph: onnx.GraphProto) -> None:
    external(graph.initializer[0])


def as_attribute(graph: onnx.GraphProto) -> None:
    tensor = external(numpy_helper.from_array(np.zeros(4, np.float32), "hidden"))
    graph.node.insert(0, helper.make_node("Constant", [], ["unused"], value=tensor))


def in_a_subgraph(graph: onnx.GraphProto) -> None:
    inner = helper.make_graph([], "inner", [], [])
    inner.initializer.append(external(numpy_helper.from_array(np.zeros(4, np.float32), "hidden")))
    graph.node.insert(0, helper.make_node("If", ["condition"], ["unused"], then_branch=inner, else_branch=inner))


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("hide", [as_initialiser, as_attribute, in_a_subgraph])
def test_data_kept_outside_a_graph_is_refused_wherever_the_graph_hides_it(
    sealed: Path, tmp_path: Path, name: str, hide
):
    contents = contents_of(sealed)
    model = onnx.load_model_from_string(contents[name])
    hide(model.graph)
    contents[name] = model.SerializeToString()
    version = seal(contents, described(sealed), tmp_path)

    with pytest.raises(BundleError, match=f"{name} keeps .* outside the file"):
        open_bundle(tmp_path / version)


@pytest.mark.parametrize(
    ("name", "rubbish", "message"),
    [
        ("world.onnx", b"not a graph", "world.onnx is not an ONNX graph"),
        ("guardrails.json", b"{}", "guardrails.json is not of this schema"),
        ("calibration.json", b'{"level": 2}', "calibration.json is not of this schema"),
        ("stress_report.json", b"[]", "stress_report.json is not of this schema"),
        ("projections.npz", b"PK\x03\x04 cut short", "cannot be read"),
        ("projections.npz", pack_arrays({"surplus": np.zeros(1)}), "projections.npz must hold"),
        ("golden.npz", pack_arrays({}), "golden.npz must hold"),
    ],
)
def test_rubbish_that_was_sealed_is_refused_all_the_same(sealed: Path, tmp_path: Path, name, rubbish, message):
    version = seal({**contents_of(sealed), name: rubbish}, described(sealed), tmp_path)

    with pytest.raises(BundleError, match=message):
        open_bundle(tmp_path / version)


def test_a_bundle_of_another_tokeniser_is_refused(sealed: Path, tmp_path: Path):
    version = seal(contents_of(sealed), {**described(sealed), "tokeniser_version": 999}, tmp_path)

    with pytest.raises(BundleError, match="needs tokeniser 999"):
        open_bundle(tmp_path / version)


def test_projections_of_another_width_than_the_space_are_refused(sealed: Path, tmp_path: Path):
    manifest = described(sealed)
    manifest["space"] = {**manifest["space"], "width": 9}
    version = seal(contents_of(sealed), manifest, tmp_path)

    with pytest.raises(BundleError, match="world_token must read embeddings of width 9; it reads 8"):
        open_bundle(tmp_path / version)


def test_pickled_arrays_are_never_opened():
    packed = pack_arrays({"fine": np.zeros(2)})
    np.testing.assert_array_equal(unpack_arrays(packed)["fine"], np.zeros(2))

    import io

    buffer = io.BytesIO()
    np.savez(buffer, harmful=np.array([{"a": 1}], dtype=object))
    with pytest.raises(BundleError, match="cannot be read"):
        unpack_arrays(buffer.getvalue())


def test_sealing_needs_every_file_and_no_other(sealed: Path, tmp_path: Path):
    contents = contents_of(sealed)
    with pytest.raises(BundleError, match="a bundle holds"):
        seal({**contents, "notes.txt": b""}, described(sealed), tmp_path)
    del contents["golden.npz"]
    with pytest.raises(BundleError, match="a bundle holds"):
        seal(contents, described(sealed), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_same_contents_are_sealed_once(sealed: Path, tmp_path: Path):
    version = seal(contents_of(sealed), described(sealed), tmp_path)

    assert version == sealed.name
    with pytest.raises(BundleError, match="exists already"):
        seal(contents_of(sealed), described(sealed), tmp_path)


def test_the_projected_index_gives_the_exact_cosine(tiny_bundle, rng):
    """[h ; 1]/‖W h + b‖ · [Wᵀy ; b·y] = cos(W h + b, y): SCIENCE §2."""
    maps = tiny_bundle.projections
    embeddings = rng.normal(size=(9, tiny_bundle.manifest.space.width)).astype(np.float32)
    h = rng.normal(size=maps.policy_output.matrix.shape[0])
    wanted = h @ maps.policy_output.matrix + maps.policy_output.offset
    target = maps.policy_target(embeddings)

    query = np.append(h, 1.0) / np.linalg.norm(wanted)

    cosine = target @ wanted / np.linalg.norm(wanted) / np.linalg.norm(target, axis=1)
    np.testing.assert_allclose(maps.index_rows(embeddings) @ query, cosine, atol=1e-5)


REFERENCE = b"""{"schema": "amrs-reference/1", "mean_squared_error": {"valence": 0.02},
 "mode_shares": {"calm": 1.0}, "neighbour_distance": 0.5}"""


def test_a_reference_may_be_sealed_with_it_and_old_bundles_have_none(folder: Path, tmp_path: Path):
    version = seal(contents_of(folder) | {"reference.json": REFERENCE}, described(folder), tmp_path / "bundles")

    reference = open_bundle(tmp_path / "bundles" / version).reference
    assert reference is not None
    assert reference.mean_squared_error == {"valence": 0.02}
    assert open_bundle(folder).reference is None


def test_a_reference_slipped_in_or_taken_out_afterwards_is_refused(folder: Path, tmp_path: Path):
    version = seal(contents_of(folder) | {"reference.json": REFERENCE}, described(folder), tmp_path / "bundles")
    (folder / "reference.json").write_bytes(REFERENCE)
    (tmp_path / "bundles" / version / "reference.json").unlink()

    for altered in (folder, tmp_path / "bundles" / version):
        with pytest.raises(BundleError, match="must name"):
            open_bundle(altered)
