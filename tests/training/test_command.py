"""`amrs train` makes a bundle that opens, says everything that was measured, and is the same for the same seed."""

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from models.affect import SIGNALS
from models.bundle import Bundle
from models.decoder import Rerank
from models.log import read_log, write_log
from models.repository import Repository
from tests.training import small_run
from training.calibration import HORIZON
from training.code_version import code_version
from training.command import train_bundle
from training.decoding import pessimistic_rerank
from training.metrics.rollouts import policy_row
from training.policies.plain import Learned
from training.rollout import roll_out
from training.stages import UNDECODED


def trained(log: Path, root: Path, **changes) -> tuple[Bundle, str]:
    """A bundle of the smallest preset, and what was printed."""
    console = Console(file=io.StringIO(), width=120)
    version = train_bundle(replace(small_run.request(log, root), **changes), console=console)
    return Repository(root).open(version), console.file.getvalue()


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("logs") / "log"
    write_log(small_run.material().log, folder)
    return folder


@pytest.fixture(scope="module")
def run(log: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Bundle, str]:
    return trained(log, tmp_path_factory.mktemp("bundles"))


def test_the_evaluation_holds_every_policy_with_and_without_guardrails(run: tuple[Bundle, str]):
    evaluation = json.loads(run[0].evaluation)

    assert {(row["policy"], row["guarded"]) for row in evaluation["policies"]} == {
        (name, guarded) for name in ("Random", "Greedy", "Copycat", "DPO") for guarded in (False, True)
    }
    for row in evaluation["policies"]:
        assert set(row["predicted"]) == set(row["true"]) == set(SIGNALS)


def test_the_evaluation_holds_the_loss_curves_the_ceilings_and_the_exploitation_gap(run: tuple[Bundle, str]):
    evaluation = json.loads(run[0].evaluation)

    assert len(evaluation["world_models"]["members"]) == small_run.PRESET.world.member_count
    assert evaluation["copycat"]["epochs"]
    assert evaluation["dpo"]["looks"]
    assert set(evaluation["world_models"]["ceilings"]["observed"]) == set(SIGNALS)
    assert set(evaluation["gains_over_copycat_percent"]["free"]["exploitation"]) == set(SIGNALS)
    assert set(evaluation["adherence"]) == {row["policy"] for row in evaluation["policies"]}
    assert 0 < evaluation["adherence"]["Copycat"]["user_wise"]["hit_rate"] <= 1


def test_the_same_seed_gives_the_same_evaluation_byte_for_byte(run: tuple[Bundle, str], log: Path, tmp_path: Path):
    again, _ = trained(log, tmp_path)

    assert again.evaluation == run[0].evaluation
    assert again.version == run[0].version


def test_the_manifest_names_the_code_as_a_later_judgement_would(run: tuple[Bundle, str]):
    assert run[0].manifest.code_version == code_version()


def test_intervals_have_a_width_for_every_step_of_a_rollout(run: tuple[Bundle, str]):
    bundle, covered = run[0], json.loads(run[0].evaluation)["world_models"]["interval_coverage"]

    assert bundle.calibration.horizon == HORIZON
    assert set(bundle.calibration.widths) == set(covered) == {"engagement", "valence", "arousal"}
    assert all(len(shares) == HORIZON for shares in covered.values())
    assert bundle.calibration.label_counts["engagement"][0] > 0


@pytest.fixture(scope="module")
def reranking(log: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return trained(log, tmp_path_factory.mktemp("reranking"), decoder_in=pessimistic_rerank)[0]


def test_a_decoder_is_sealed_with_the_utility_it_was_judged_by(reranking: Bundle):
    decoder = reranking.manifest.decoder

    assert isinstance(decoder, Rerank)
    assert decoder.utility == reranking.manifest.utility
    assert "first 20 reordered" in reranking.card


def test_a_decoder_is_judged_beside_the_policys_own_order(reranking: Bundle, run: tuple[Bundle, str]):
    """The policy alone does what it did without a decoder; with the decoder it does something else."""
    rows = {(row["policy"], row["guarded"]): row for row in json.loads(reranking.evaluation)["policies"]}
    plain = {(row["policy"], row["guarded"]): row for row in json.loads(run[0].evaluation)["policies"]}

    for guarded in (False, True):
        assert rows[UNDECODED, guarded]["predicted"] == plain["DPO", guarded]["predicted"]
        assert rows["DPO", guarded]["predicted"] != plain["DPO", guarded]["predicted"]
        assert rows["Copycat", guarded] == plain["Copycat", guarded]


def test_the_card_says_what_the_bundle_is_for_and_that_listeners_were_invented(run: tuple[Bundle, str]):
    card = run[0].card

    for said in ("Intended use", "Limits", "Simulated listeners", "Gates", "| DPO G |", "Exploitation gap"):
        assert said in card


def test_the_tables_are_printed_where_nobody_watches_and_the_bars_are_not(run: tuple[Bundle, str]):
    printed = run[1]

    assert "best from the same history" in printed
    assert "DPO G" in printed
    assert "tokens/s" not in printed


def test_true_violations_count_steps_beyond_the_limits():
    """One rollout, made to fall by more valence than its limit at its second song alone."""
    setting = small_run.setting()
    rollouts = roll_out(
        Learned(small_run.reference()), small_run.start(), setting, guarded=False, rng=np.random.default_rng(0)
    )
    step = np.zeros_like(rollouts.true_step)
    step[:, 1, 0] = -1.0
    row = policy_row(
        "any",
        replace(rollouts, true_step=step),
        guarded=False,
        table=setting.table,
        embeddings=small_run.material().embeddings,
        catalogue_distance=1.0,
    )

    assert row.true_violations == pytest.approx(1 / 5)


def test_a_bundle_holds_nothing_of_a_listener_it_was_trained_on(
    run: tuple[Bundle, str], log: Path, tmp_path_factory
):
    """No id in any file; and the golden histories are invented: other songs, other times, other reports."""
    bundle, heard = run[0], read_log(log)
    folder = next(path for path in tmp_path_factory.getbasetemp().rglob(bundle.version) if path.is_dir())
    whole = b"\n".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    whole += b"\n".join(np.load(folder / "golden.npz")[name].tobytes() for name in np.load(folder / "golden.npz"))
    golden, listening = bundle.golden.listening, heard.listening()

    for names in (heard.listeners["listener_id"], heard.sessions["session_id"]):
        assert not [name for name in names if name.encode() in whole]
    assert not set(golden.song.tolist()) & set(heard.song_keys().tolist())
    for name in ("started_at", "played_at", "before", "after", "engagement"):
        invented, real = (getattr(columns, name).ravel() for columns in (golden, listening))
        invented = invented[np.isfinite(invented) & (invented != 0) & (invented != 1)]
        assert not np.isin(invented, real).any(), name
