"""`amrs train`: one page from a listening log to a judged, sealed bundle.

world models → Copycat → DPO → limits → rollouts → calibration → stress test → bundle. Every stage draws from a
random stream of its own, so the same log, preset and seed give the same numbers.
"""

from typing import Any

from rich.console import Console

from training.card import COPYCAT, DPO, model_card
from training.code_version import code_version
from training.evaluation import SCHEMA, adherence, gains, plain, row_of
from training.export.export import Origin, Trained, export_bundle
from training.export.reference import training_reference
from training.findings import Findings, judge
from training.report import print_gates, print_policies, print_signals, showing
from training.run import LearnedModels, Run, TrainRequest, learn
from training.streams import TrainStream


def train_bundle(request: TrainRequest, *, console: Console) -> str:
    """Train, judge and seal one bundle from a listening log; print what it showed; return its version.

    Raises:
        LogError: the log breaks its schema.
        DataError: too few listeners, or no pair to learn from.
    """
    run = Run.of(request)
    with showing(console) as stages:
        learned = learn(run, stages)
        findings = judge(run, learned, stages)
    print_signals(console, "Test listeners: R²; ROC AUC of the rating", findings.predictions.rows)
    print_policies(console, findings.rows)
    print_gates(console, findings.gates)
    sealed = _seal(run, learned, findings)
    verdict = "every gate passed" if findings.gates.passed else "not promotable"
    console.print(f"Sealed {sealed} into {request.repository.root}: {verdict}")
    return sealed


def _seal(run: Run, learned: LearnedModels, findings: Findings) -> str:
    """Seal the bundle; return its version."""
    request, material, scores = run.request, run.material, findings.predictions.scores
    return export_bundle(
        Trained(
            ensemble=learned.world.ensemble,
            policy=learned.tuned.policy.network,
            reading=material.reading,
            target_map=learned.copycat.target,
            support=material.embeddings[material.heard],
            space=material.space,
            context=material.log.description.context,
            lookback=request.preset.lookback,
        ),
        utility=learned.tuned.utility,
        decoder=findings.decoder,
        guardrails=findings.limits,
        calibration=findings.intervals.calibration,
        gates=findings.gates,
        evaluation=_evaluation(run, learned, findings),
        card=model_card(
            description=material.log.description,
            listening=material.listening,
            space=material.space,
            utility=learned.tuned.utility,
            decoder=findings.decoder,
            scores=scores,
            references=findings.predictions.references,
            rows=findings.rows,
            gates=findings.gates,
            listener_counts=run.listener_counts,
        ),
        origin=_origin(run),
        repository=request.repository,
        rng=run.stream(TrainStream.GOLDEN),
        candidate_count=request.preset.candidate_count,
        reference=training_reference(
            scores, play_mode=material.listening.play_mode, support=learned.world.songs[material.heard]
        ),
    )


def _origin(run: Run) -> Origin:
    """Return what the manifest says of the run."""
    request, log = run.request, run.material.log
    return Origin(
        created=request.now,
        code_version=code_version(),
        data_digest=log.digest(),
        data_name=log.description.name,
        simulated=log.description.simulated,
        training={
            "preset": request.preset.name,
            "seed": request.seed,
            "pairs": type(request.recipe.pairs).__name__,
            "held_out": ",".join(sorted(request.held_out)),
        },
    )


def _evaluation(run: Run, learned: LearnedModels, findings: Findings) -> dict[str, Any]:
    """Return what `evaluation.json` holds."""
    log, rows, predictions = run.material.log, findings.rows, findings.predictions
    return plain(
        {
            "schema": SCHEMA,
            "log": {"name": log.description.name, "digest": log.digest(), "simulated": log.description.simulated},
            "listeners": run.listener_counts,
            "world_models": {
                "members": [{"epochs": member.epochs, "kept": member.kept} for member in learned.members],
                "test": predictions.scores,
                "interval_widths": findings.intervals.calibration.widths,
                "interval_coverage": findings.intervals.coverage,
                "references": predictions.references,
                "ceilings": predictions.ceilings,
                "song_order": predictions.song_order,
            },
            "copycat": {"epochs": learned.copycat.epochs},
            "dpo": {"looks": learned.tuned.looks},
            "utility": learned.tuned.utility.model_dump(),
            "decoder": findings.decoder.model_dump(),
            "policies": rows,
            "adherence": adherence(findings.rollouts, run.test_windows, run.material.histories),
            "gains_over_copycat_percent": {
                "free": gains(row_of(rows, DPO, guarded=False), row_of(rows, COPYCAT, guarded=False)),
                "guarded": gains(row_of(rows, DPO, guarded=True), row_of(rows, COPYCAT, guarded=True)),
            },
            "gates": findings.gates.model_dump()["gates"],
        }
    )
