"""The model card: what a bundle is for, what it is not for, on what it rests, and what it showed.

Everything in it comes from the evaluation, the gates and the log's own description.
"""

from collections.abc import Sequence

import numpy as np

from models.affect import SIGNALS
from models.bundle import EmbeddingSpace
from models.decoder import Decoder, Rerank
from models.gates import Gate, GateReport
from models.listening import Listening
from models.log_schema import LogDescription
from models.utility import LinearUtility, TargetUtility
from training.evaluation import gains, row_of
from training.metrics.prediction import PredictionScores
from training.metrics.rollouts import PolicyRow

COPYCAT, DPO = "Copycat", "DPO"
"""The names under which the policies stand in every table."""
SHOWN_COLUMNS = ("coverage", "entropy", "ILD", "Gini", "violations", "fallback")
POLICY_COLUMNS = ("policy", *SIGNALS, *SHOWN_COLUMNS)
"""What `cells` fills."""

_CARD = """\
# Model card: {name}

{origin}

## Intended use

Choosing the next song for a listener who agreed to it, in the modes energize, focus, calm, sleep or none, under
the guardrails sealed into this bundle. Predictions are of what *would be reported*; they are not a diagnosis
and no measure of health. Clinical use needs the clinical limits, a clinician in charge, and an ethics protocol.

## Limits

- {observed}
- The policy was optimised and is scored by the same world models: read predicted gains beside the true ones, or as
  upper bounds where there is no truth.
- The production policy's choices shaped the logs. Where it never went, nobody knows: songs beyond the training
  songs' support are not recommended.
- Limits and priors were derived from this log, not agreed with clinicians.

## Data

{data}

## Embeddings

{embeddings}

## World models

{world}

## Policies

Five-song rollouts for listeners who were not trained on; G: under guardrails. Utility: {utility}. Songs come
before the guardrails {decoder}.

{policies}

{gap}

## Gates

{gates}
"""


def model_card(
    *,
    description: LogDescription,
    listening: Listening,
    space: EmbeddingSpace,
    utility: LinearUtility | TargetUtility,
    decoder: Decoder,
    scores: PredictionScores,
    references: dict[str, PredictionScores],
    rows: Sequence[PolicyRow],
    gates: GateReport,
    listener_counts: dict[str, int],
) -> str:
    """Return the card as Markdown."""
    simulated = "**Simulated listeners.** Nothing here was measured on people.\n" if description.simulated else ""
    counts = ", ".join(f"{count} for {use}" for use, count in listener_counts.items())
    return _CARD.format(
        name=description.name,
        origin=simulated
        + "Made by `amrs train`; the manifest beside this card says from which log and with what settings.",
        observed=_observed(listening),
        data=f"Listening log *{description.name}*; listeners: {counts}. Split by listener.",
        embeddings=_embeddings(space),
        world=_world(scores, references),
        utility=_utility(utility),
        decoder=_decoder(decoder),
        policies=policy_table(rows),
        gap=gap_in_words(rows),
        gates="\n".join(_gate(gate) for gate in gates.gates),
    )


def policy_table(rows: Sequence[PolicyRow]) -> str:
    """Return the policies as a Markdown table: predicted and, where it is known, true signals."""
    lines = ["| " + " | ".join(POLICY_COLUMNS) + " |", "|" + " --- |" * len(POLICY_COLUMNS)]
    lines += ["| " + " | ".join(cells(row)) + " |" for row in rows]
    return "\n".join(lines)


def cells(row: PolicyRow) -> list[str]:
    """Return one row of the table: each signal as predicted / true."""
    signals = [f"{row.predicted[name]:.3f}" + (f" / {row.true[name]:.3f}" if row.true else "") for name in SIGNALS]
    violations = f"{row.predicted_violations:.3f}"
    violations += "" if row.true_violations is None else f" / {row.true_violations:.3f}"
    diversity = [row.coverage, row.normalized_entropy, row.intra_list_diversity, row.gini]
    fallback = sum(share for rung, share in row.rungs.items() if rung not in ("policy", "wider"))
    return [
        row.policy + (" G" if row.guarded else ""),
        *signals,
        *(f"{value:.3f}" for value in diversity),
        violations,
        f"{fallback:.3f}" if row.guarded else "",
    ]


def _gate(gate: Gate) -> str:
    verdict = "passed" if gate.passed else "**failed**"
    return f"- {verdict}: {gate.name} (required {gate.required}; measured {gate.measured})"


def _observed(listening: Listening) -> str:
    """Return when listeners said how they felt."""
    reported = int(np.isfinite(listening.report).any(axis=1).sum())
    if not reported:
        return "Affect was observed at session boundaries only; what happens between them is the model's estimate."
    around = " and at session boundaries" if np.isfinite([*listening.before, *listening.after]).any() else ""
    return (
        f"Affect was observed after {reported:,} of {listening.play_count:,} songs{around}; what happens between "
        "reports is the model's estimate."
    )


def _embeddings(space: EmbeddingSpace) -> str:
    text = f"Space *{space.name}*, {space.width} numbers a song. Source: {space.source}. Licence: {space.licence}."
    if "mert" in space.source.lower():
        text += (
            "\n\n**MERT's weights are published under CC-BY-NC-4.0 in most revisions: embeddings made with them, "
            "and this bundle, may not be used commercially.** The space can be swapped: train on another one."
        )
    return text


def _world(scores: PredictionScores, references: dict[str, PredictionScores]) -> str:
    lines = ["On test listeners: R² of engagement, valence and arousal; ROC AUC of the rating.", ""]
    lines += ["| predictor | " + " | ".join(SIGNALS) + " |", "|" + " --- |" * (1 + len(SIGNALS))]
    for name, each in {"this ensemble": scores, **references}.items():
        lines.append("| " + " | ".join([name, *(f"{each.headline[signal]:.3f}" for signal in SIGNALS)]) + " |")
    return "\n".join(lines)


def _utility(utility: LinearUtility | TargetUtility) -> str:
    weights = ", ".join(f"{name} {weight:g}" for name, weight in zip(SIGNALS, utility.weights, strict=True))
    kind = "target regions by mode" if isinstance(utility, TargetUtility) else "linear, AMRS eq. 3"
    return f"{kind}; weights {weights}"


def _decoder(decoder: Decoder) -> str:
    if not isinstance(decoder, Rerank):
        return "in the policy's own order"
    return (
        f"with the policy's first {decoder.depth} reordered: weight {decoder.weight:g} on their utility less "
        f"{decoder.caution:g} spreads, {decoder.rarity:g} for each doubling of exposure"
    )


def gap_in_words(rows: Sequence[PolicyRow]) -> str:
    """Return the gain of DPO over Copycat, predicted and true, in words; both without guardrails."""
    dpo, copycat = row_of(rows, DPO, guarded=False), row_of(rows, COPYCAT, guarded=False)
    found = gains(dpo, copycat)
    said = {kind: ", ".join(f"{name} {gain:+.1f}%" for name, gain in each.items()) for kind, each in found.items()}
    text = f"DPO over Copycat, predicted: {said['predicted']}."
    if "true" in said:
        text += f" True: {said['true']}. Exploitation gap: {said['exploitation']}."
        away = ", ".join(
            f"{mode} {copycat.true_distance[mode]:.3f} → {distance:.3f}"
            for mode, distance in dpo.true_distance.items()
        )
        text += f" True distance from the mode's target region, Copycat → DPO: {away}."
    return text
