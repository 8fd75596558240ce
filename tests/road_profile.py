"""Microseconds of each step of one recommendation, on one core: `OMP_NUM_THREADS=1 python -m tests.road_profile`.

7,000 songs of 768 dimensions, a history of 100 plays in 15 sessions, K = 100, three world models of width 64,
random weights: the cost of the pure part of the road, without memory and journal.
"""

import argparse
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

import numpy as np
import torch

from models.bundle import EmbeddingSpace
from models.calibration import Calibration
from models.catalogue import Catalogue
from models.exposure import empty_snapshot
from models.gates import GateReport
from models.listening import Mode
from models.repository import Repository
from models.tokens import feature_names
from models.utility import PAPER_UTILITY
from service.live.engine import Engine, open_engine
from service.recommend.recommend import recommend
from service.recommend.view import Offered, View
from tests.bundles import CONTEXT, make_guardrails, make_songs
from training.export.export import Origin, Trained, export_bundle
from training.export.golden import invented_listener
from training.networks.encoder import EncoderConfig, HistoryEncoder
from training.networks.policy import PolicyNetwork
from training.networks.reading import ReadingConfig, fit_reading
from training.networks.world import Ensemble, WorldModel, WorldModelConfig

SONGS = 7_000
PLAYS = [7] * 14 + [2]
NOW = 1.8e9


def main() -> None:
    """Print one line per lookback: the whole, and the tenth percentile of each step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lookback", type=int, nargs="+", default=[16, 32, 64, 128])
    parser.add_argument("--songs", type=int, default=1, help="songs per request")
    parser.add_argument("--repeats", type=int, default=400)
    arguments = parser.parse_args()
    for lookback in arguments.lookback:
        engine = make_engine(lookback)
        listening = invented_listener(np.random.default_rng(1), PLAYS, engine.catalogue.keys, CONTEXT)
        played = listening.song[::-1]
        artists = engine.catalogue.artists[engine.catalogue.rows(played)]
        offered = Offered(song=played, artist=artists, at=NOW - 3600.0 * np.arange(1, len(played) + 1))
        view = View(listening=listening, mode=Mode.CALM, offered=offered)
        report(engine, view, songs=arguments.songs, repeats=arguments.repeats, name=f"lookback {lookback}")


def report(engine: Engine, view: View, *, songs: int, repeats: int, name: str) -> None:
    snapshot = empty_snapshot(len(engine.catalogue))
    totals, steps = [], {}
    for repeat in range(repeats + 20):
        start = perf_counter()
        answer = recommend(engine, view, snapshot, now=NOW, count=songs)
        total = perf_counter() - start
        if repeat >= 20:
            totals.append(total)
            for step, seconds in answer.seconds.items():
                steps.setdefault(step, []).append(seconds)
    parts = "  ".join(f"{step} {1e6 * np.percentile(seconds, 10):.0f}" for step, seconds in steps.items())
    least, low, middle, high = np.percentile(totals, [0, 10, 50, 99]) * 1e6
    fallback = answer.songs[0].fallback if answer.songs else "silence"
    rung = fallback or "policy"
    print(f"{name}: best {least:.0f}  p10 {low:.0f}  p50 {middle:.0f}  p99 {high:.0f} µs   {parts}   ({rung})")


def make_engine(lookback: int) -> Engine:
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    embeddings = rng.normal(size=(SONGS, 768)).astype(np.float32)
    reading = fit_reading(embeddings, ReadingConfig())
    target_map = fit_reading(embeddings, ReadingConfig(components=64, spread=1.0))
    features = len(feature_names(CONTEXT))
    standard = np.eye(features)
    config = WorldModelConfig(encoder=EncoderConfig())
    members = [
        WorldModel(config, song_width=reading.width, standard=standard, mean=np.full(4, 0.6)) for _ in range(3)
    ]
    encoder = HistoryEncoder(EncoderConfig(), song_width=reading.width, standard=standard)
    space = EmbeddingSpace(name="random", width=768, source="invented", licence="CC0-1.0")
    repository = Repository(Path(tempfile.mkdtemp()))
    version = export_bundle(
        Trained(
            ensemble=Ensemble(members),
            policy=PolicyNetwork(encoder, target_width=target_map.width),
            reading=reading,
            target_map=target_map,
            support=embeddings[:6000],
            space=space,
            context=CONTEXT,
            lookback=lookback,
        ),
        utility=PAPER_UTILITY,
        guardrails=make_guardrails(),
        calibration=Calibration(
            level=0.9,
            widths={"engagement": (0.4,), "valence": (0.3,), "arousal": (0.35,)},
            listener_count=1,
            listener_counts={},
            label_counts={},
        ),
        gates=GateReport(gates=()),
        evaluation={},
        card="",
        origin=Origin(
            created=datetime.now(UTC),
            code_version="profile",
            data_digest="0" * 64,
            data_name="invented",
            simulated=True,
            training={},
        ),
        repository=repository,
        rng=rng,
    )
    songs = [
        replace(song, song_id=f"{song.song_id}-{place}")
        for place in range(SONGS // 60 + 1)
        for song in make_songs()
    ]
    catalogue = Catalogue(songs=songs[:SONGS], embeddings={"random": embeddings}, withdrawn=np.zeros(SONGS, bool))
    start = perf_counter()
    engine = open_engine(repository.open(version), catalogue)
    print(f"engine opened in {perf_counter() - start:.2f} s")
    return engine


if __name__ == "__main__":
    main()
