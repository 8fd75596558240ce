"""The command line on one page: which room answers which command.

A room is imported when one of its commands runs, so that help is instant and serving never meets PyTorch. Errors
raised on purpose become words on stderr and status 2. Everything that runs writes below AMRS_HOME (./var).
"""

import os
import sys
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from models.errors import AmrsError, ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from service.settings import Settings

EXTRA_OF = {
    "torch": "training",
    "onnxscript": "training",
    "matplotlib": "training",
    "fastapi": "service",
    "sqlalchemy": "service",
}
"""Where a library that the base installation lacks comes from."""

WIDE = 140
"""Columns of output that nobody's terminal limits."""
CORES = os.cpu_count() or 1


def group(purpose: str) -> typer.Typer:
    """Return an empty group of commands."""
    return typer.Typer(help=purpose, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


app = group("AMRS: from listening logs to the next song.")
logs = group("Make, read and check listening logs.")
importing = group("Turn somebody else's data into a listening log.")
bundles = group("Look after the bundles of models, and say which one is live.")
songs = group("Look after the songs the service may play.")
keys = group("Make, list and revoke the keys that open the service.")
database = group("Look after the database.")
bench = group("Measure.")

app.add_typer(logs, name="logs")
logs.add_typer(importing, name="import")
app.add_typer(bundles, name="models")
app.add_typer(songs, name="songs")
app.add_typer(keys, name="keys")
app.add_typer(database, name="db")
app.add_typer(bench, name="bench")


class Scale(StrEnum):
    """How large a simulated platform is."""

    SMALL = "small"
    PAPER = "paper"
    LARGE = "large"


class PresetName(StrEnum):
    """How long training may take."""

    QUICK = "quick"
    PAPER = "paper"


class UtilityName(StrEnum):
    """What the policy is tuned for."""

    PAPER = "paper"
    BALANCED = "balanced"
    MODE_AWARE = "mode-aware"


class PairsName(StrEnum):
    """Where preference pairs come from."""

    SUPPORT = "support"
    NEGATIVE_HISTORY = "negative-history"


class DecoderName(StrEnum):
    """In which order the policy's songs come before the guardrails."""

    POLICY = "policy"
    RERANK = "rerank"


class StageName(StrEnum):
    """Where a bundle may stand."""

    CANDIDATE = "candidate"
    SHADOW = "shadow"
    CANARY = "canary"
    LIVE = "live"
    RETIRED = "retired"


LogArgument = Annotated[Path, typer.Argument(metavar="LOG", help="The log's folder.")]
DirArgument = Annotated[Path, typer.Argument(metavar="DIR", help="The folder that holds the data.")]
VersionArgument = Annotated[str, typer.Argument(metavar="VERSION", help="As `amrs models list` names it.")]
ListenerArgument = Annotated[str, typer.Argument(metavar="LISTENER", help="The listener's id.")]
AppOption = Annotated[str, typer.Option("--app", help="The app that the listener belongs to.")]
OutOption = Annotated[Path, typer.Option("--out", help="The new log's folder.")]
MappingOption = Annotated[Path, typer.Option("--mapping", help="The TOML file that says which column is what.")]
SeedOption = Annotated[int, typer.Option(min=0, help="The same seed gives the same numbers.")]


@logs.command("simulate")
def simulate(
    out: OutOption,
    scale: Scale = Scale.SMALL,
    seed: SeedOption = 0,
    perturb: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=FACTOR", help="Halve or double a family of constants, such as noise=0.5."),
    ] = None,
) -> None:
    """Invent a listening platform whose truth is known, and write what it logged."""
    from training.platform.commands import simulate_log
    from training.platform.parameters import SIZES
    from training.platform.perturbations import read_perturbations

    perturbations = read_perturbations(perturb or [])
    simulate_log(size=SIZES[scale.value], seed=seed, out=out, console=terminal(), perturbations=perturbations)


@importing.command("situnes")
def import_situnes(folder: DirArgument, out: OutOption) -> None:
    """Read the SiTunes data set, its three stages."""
    from models.log import write_log
    from training.importers import situnes

    write_log(situnes.import_situnes(folder), out)
    typer.echo(f"log written to {out}")


@importing.command("csv")
def import_csv(folder: DirArgument, mapping: MappingOption, out: OutOption) -> None:
    """Read your own tables, CSV or Parquet, by a mapping."""
    from models.log import write_log
    from training.importers.tabular import import_tabular

    write_log(import_tabular(mapping, folder), out)
    typer.echo(f"log written to {out}")


@logs.command("check")
def check(log: LogArgument) -> None:
    """Say whether a log keeps the schema, and if not, every place where it does not."""
    from models.log import check_log

    complaints = check_log(log)
    for complaint in complaints:
        typer.echo(complaint)
    if complaints:
        raise AmrsError(f"{log} does not keep the schema; complaints: {len(complaints)}")
    typer.echo(f"{log} keeps the schema")


@logs.command("export")
def export_log(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The new log's folder.")],
) -> None:
    """Write what consenting listeners did and said as a log to train on, under pseudonyms."""
    from models.log_schema import LISTENERS_FILE, PLAYS_FILE, SESSIONS_FILE
    from service.exporting import export_log

    exported = export_log(settings(), out)
    for space in exported.spaces_left_out:
        typer.echo(f"left out: embedding space {space}, which lacks a song of the log")
    counts = [f"{exported.rows[file]} {Path(file).stem}" for file in (LISTENERS_FILE, SESSIONS_FILE, PLAYS_FILE)]
    typer.echo(f"log written to {out}: {', '.join(counts)}")


@app.command("train")
def train(
    log: LogArgument,
    preset: PresetName = PresetName.QUICK,
    utility: Annotated[
        UtilityName,
        typer.Option(
            help="What a song is worth: valence and arousal, as in the paper; the same in units of their spreads, "
            "with engagement and rating; or nearness to the mode's region."
        ),
    ] = UtilityName.MODE_AWARE,
    pairs: PairsName = PairsName.SUPPORT,
    decoder: Annotated[
        DecoderName | None,
        typer.Option(
            help="The order of the policy's songs; if not given, rerank on the paper preset, else policy."
        ),
    ] = None,
    seed: SeedOption = 0,
    space: Annotated[str | None, typer.Option(help="The embedding space; the log's first if not given.")] = None,
    hold_out: Annotated[list[str] | None, typer.Option(help="A listener to keep out of everything.")] = None,
    processes: Annotated[int, typer.Option(min=1, help="Models trained at a time; changes no number.")] = CORES,
) -> str:
    """Train, judge and seal a bundle from a listening log."""
    from models.repository import repository_in
    from training import presets
    from training.command import train_bundle
    from training.decoding import decoder_of, pessimistic_rerank, policy_order
    from training.judging import balanced_utility, paper_utility, serving_utility
    from training.learning import Recipe, UtilityIn
    from training.pairs import NegativeHistoryPairs, SupportPairs
    from training.run import TrainRequest
    from training.stress.config import config_named

    recipes = presets.QUICK if preset is PresetName.QUICK else presets.PAPER
    utilities: dict[UtilityName, UtilityIn] = {
        UtilityName.PAPER: paper_utility,
        UtilityName.BALANCED: balanced_utility,
        UtilityName.MODE_AWARE: serving_utility,
    }
    named = {None: decoder_of(recipes), DecoderName.POLICY: policy_order, DecoderName.RERANK: pessimistic_rerank}
    request = TrainRequest(
        log=log,
        repository=repository_in(Path(os.environ.get("AMRS_HOME", "var"))),
        preset=recipes,
        recipe=Recipe(
            utility_in=utilities[utility],
            pairs=SupportPairs() if pairs is PairsName.SUPPORT else NegativeHistoryPairs(),
        ),
        decoder_in=named[decoder],
        stress=config_named(preset.value),
        seed=seed,
        space=space,
        held_out=hold_out or [],
        processes=processes,
        now=datetime.now(UTC),
    )
    return train_bundle(request, console=terminal())


@app.command("study")
def study(
    name: Annotated[str, typer.Argument(metavar="NAME", help="table1 to table5 and others, or all of them: all.")],
    log: LogArgument,
    scale: Annotated[str, typer.Option(help="small (minutes) or paper (hours).")] = "small",
    resume: Annotated[bool, typer.Option(help="Take what is done; --no-resume makes it again.")] = True,
    processes: Annotated[int, typer.Option(min=1, help="Cells run at a time; changes no number.")] = CORES,
    ray: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Run on this Ray cluster; local starts one.")
    ] = None,
    only_report: Annotated[bool, typer.Option("--only-report", help="Run nothing; draw what is there.")] = False,
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Take over results whose recipe was described otherwise; you vouch.")
    ] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Write results into docs/results, to be committed.")
    ] = False,
    splits: Annotated[int | None, typer.Option(min=1, help="So many splits in place of the scale's.")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="So many seeds in place of the scale's.")] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="Cells whose label holds this text; may be repeated.")
    ] = None,
) -> None:
    """Reproduce a table of the paper, or go beyond it; what is done is kept, and an interrupted study goes on."""
    from training.studies.command import Request, Selection, run_study
    from training.studies.jobs import Here, OnRay

    request = Request(
        study=name,
        log=log,
        scale=scale,
        home=Path(os.environ.get("AMRS_HOME", "var")),
        place=Here(processes=processes) if ray is None else OnRay(address=ray, processes=processes),
        resume=resume,
        only_report=only_report,
        adopt=adopt,
        keep=keep,
        selection=Selection(splits=splits, seeds=seeds, only=tuple(only or ())),
    )
    run_study(request, now=datetime.now(UTC), console=terminal())


@app.command("stress")
def stress(
    version: VersionArgument,
    log: Annotated[
        Path | None, typer.Option(help="The log's folder; if not given, the log of training, sought in AMRS_HOME.")
    ] = None,
    seed: SeedOption = 0,
    sealed: Annotated[
        bool, typer.Option("--sealed", help="Run nothing: show the report that was sealed with the bundle.")
    ] = False,
) -> None:
    """Judge a sealed bundle by its own graphs: a failure, which gives status 1, forbids its promotion."""
    from models.repository import repository_in
    from training.presets import preset_named
    from training.stress.command import find_log, show_sealed, stress_bundle
    from training.stress.config import config_named

    home = Path(os.environ.get("AMRS_HOME", "var"))
    repository, out = repository_in(home), home / "stress"
    bundle = repository.open(version)
    if sealed:
        passed = show_sealed(bundle, out=out, console=terminal())
    else:
        preset = preset_named(str(bundle.manifest.training.get("preset")))
        judged = stress_bundle(
            version,
            log or find_log(bundle, home / "logs"),
            repository=repository,
            preset=preset,
            config=config_named(preset.name),
            seed=seed,
            out=out,
            now=datetime.now(UTC),
            console=terminal(),
        )
        passed = judged.attestation.report.passed
    if not passed:
        raise typer.Exit(1)


@bundles.command("list")
def list_bundles() -> None:
    """List the versions in the repository, oldest first, the stage each is in, and which were returned from."""
    from models.repository import repository_in
    from service.operations import registered_bundles

    deployment = settings()
    records = {record.version: record for record in registered_bundles(deployment)}
    for version in repository_in(deployment.home).versions():
        record = records.get(version)
        returned = f"  returned from: {record.returned_reason}" if record and record.returned_reason else ""
        typer.echo(f"{version}  {record.stage if record else 'new'}{returned}")


@bundles.command("show")
def show_bundle(version: VersionArgument) -> None:
    """Print a bundle's model card."""
    from models.repository import repository_in

    typer.echo(repository_in(settings().home).open(version).card)


@bundles.command("verify")
def verify_bundle(version: VersionArgument) -> None:
    """Check every digest, and replay the golden cases."""
    from service import operations

    deployment = settings()
    bundle = operations.verify_bundle(deployment, version)
    typer.echo(f"{version} is whole, and computes here what it computed when it was made")
    for failure in operations.failures_of_bundle(deployment, bundle):
        typer.echo(f"gate not passed: {failure}")


@bundles.command("promote")
def promote_bundle(version: VersionArgument) -> None:
    """Make a verified bundle live, if its gates passed."""
    from service import operations

    typer.echo(f"{operations.promote_bundle(settings(), version).version} is live")


@bundles.command("stage")
def stage_bundle(
    version: VersionArgument,
    stage: Annotated[StageName, typer.Argument(help="Where it is to stand.")],
) -> None:
    """Bring a bundle to a stage; one in shadow is shown requests, one in canary answers enrolled listeners."""
    from service import operations

    staged = operations.stage_bundle(settings(), version, stage.value)
    typer.echo(f"{staged.version} is {staged.stage}")


@bundles.command("health")
def bundle_health(version: VersionArgument) -> None:
    """Say how a bundle fares over all workers: what it served and shadowed at its stage, and how it drifts."""
    from service import operations

    health = operations.bundle_health(settings(), version)
    served, shadowed = health.served, health.shadowed
    holders = sum(version in replica.holding.values() for replica in health.replicas)
    typer.echo(f"{version} is {health.record.stage}; held by {holders} of {len(health.replicas)} workers")
    typer.echo(f"served: {served.requests} requests, {served.errors} errors; {served.choices} choices, ", nl=False)
    typer.echo(f"{served.fallbacks} fallbacks")
    if shadowed.compared:
        typer.echo(
            f"shadowed: {shadowed.compared} requests, {shadowed.errors} errors, {shadowed.dropped} dropped; "
            f"the same song in {shadowed.same_song_share:.1%}"
        )
    for name, figure in health.drift.items():
        reference = "no reference" if figure.reference is None else f"reference {figure.reference:.4f}"
        typer.echo(f"{name}: {figure.value:.4f} over {figure.count}; {reference}")
    for replica in health.replicas:
        if failure := replica.failures.get(version):
            typer.echo(f"{replica.replica} failed to {failure.step}: {failure.reason}")


@bundles.command("enrol")
def enrol_listener(
    listener: ListenerArgument,
    clinical: Annotated[
        bool, typer.Option("--clinical", help="Say that you know the listener to be a clinical one.")
    ] = False,
    app_id: AppOption = "default",
) -> None:
    """Let the bundle in canary answer a listener, by name."""
    from service import operations
    from service.listener import ListenerKey

    operations.enrol_listener(settings(), ListenerKey(app_id, listener), clinical=clinical)
    typer.echo("enrolled: the bundle in canary answers them")


@bundles.command("release")
def release_listener(listener: ListenerArgument, app_id: AppOption = "default") -> None:
    """Let the live bundle answer a listener again."""
    from service import operations
    from service.listener import ListenerKey

    released = operations.release_listener(settings(), ListenerKey(app_id, listener))
    typer.echo("released: the live bundle answers them" if released else "they were not enrolled")


@bundles.command("enrolled")
def list_enrolled() -> None:
    """List the listeners whom the bundle in canary answers."""
    from service.operations import enrolments

    for each in enrolments(settings()):
        kind = "  clinical" if each.clinical else ""
        typer.echo(f"{each.listener.app_id}  {each.listener.listener_id}{kind}")


@bundles.command("keygen")
def make_signing_key(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where the private key goes; it must not exist.")],
) -> None:
    """Make a key that signs bundles; print its public half, for AMRS_BUNDLE_PUBLIC_KEYS."""
    from service.live.signature import make_key

    typer.echo(make_key(file))


@bundles.command("sign")
def sign_bundle(
    version: VersionArgument,
    key: Annotated[Path, typer.Option("--key", metavar="FILE", help="The private key, as `keygen` made it.")],
) -> None:
    """Sign a bundle, verified whole first; the signature lies beside it and names its digest."""
    from service import operations

    operations.sign_bundle(settings(), version, key)
    typer.echo(f"{version} is signed")


@bundles.command("rollback")
def roll_back() -> None:
    """Make the bundle live again that was live before."""
    from service import operations

    typer.echo(f"{operations.roll_back(settings()).version} is live")


@songs.command("import")
def import_songs(log: LogArgument) -> None:
    """Put a log's songs and their embeddings into the catalogue; workers that serve follow meanwhile."""
    from service.importing import import_songs

    typer.echo(f"songs imported: {import_songs(settings(), log, console=terminal())}")


@songs.command("reinstate")
def reinstate_song(
    song: Annotated[str, typer.Argument(metavar="SONG", help="The id of a withdrawn song.")],
) -> None:
    """Let a song that was withdrawn be recommended again."""
    from service.operations import reinstate_song

    reinstate_song(settings(), song)
    typer.echo(f"{song} may be recommended again")


@keys.command("create")
def create_key(
    app_name: Annotated[str, typer.Option("--app", metavar="NAME", help="The app whose key it is.")],
    scope: Annotated[str, typer.Option(help="app, operator, auditor, or more of them, by commas.")] = "app",
) -> None:
    """Make a key, and print it: this once, for only its digest is kept."""
    from service import operations
    from service.access.caller import scopes_named

    typer.echo(operations.create_key(settings(), app_name, scopes_named(scope)))


@keys.command("list")
def list_keys() -> None:
    """List the keys: id, app, scopes, when they were made, and when they were revoked if they were."""
    from service import operations
    from service.clock import to_datetime

    for key in operations.list_keys(settings()):
        revoked = f"revoked {to_datetime(key.revoked_at):%Y-%m-%d %H:%M}" if key.revoked_at else "good"
        made = f"{to_datetime(key.created_at):%Y-%m-%d %H:%M}"
        typer.echo(f"{key.key_id}  {key.app_id}  {','.join(sorted(key.scopes))}  {made}  {revoked}")


@keys.command("revoke")
def revoke_key(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="As `amrs keys list` names it.")],
) -> None:
    """Let a key in no more; every worker follows within two seconds."""
    from service import operations

    operations.revoke_key(settings(), key_id)
    typer.echo(f"{key_id} opens nothing any more")


@app.command("audit")
def audit(
    limit: Annotated[int, typer.Option(min=1, help="So many acts, the latest first.")] = 50,
) -> None:
    """Show who did what to the service: operators' acts, erasures, reads of exports."""
    from service import operations
    from service.clock import to_datetime

    for act in operations.read_audit(settings(), limit=limit):
        detail = " ".join(f"{name}={value}" for name, value in act.detail.items())
        at = f"{to_datetime(act.at):%Y-%m-%d %H:%M:%S}"
        typer.echo(f"{act.audit_number}  {at}  {act.actor}  {act.act}  {act.subject}  {detail}")


@database.command("upgrade")
def upgrade() -> None:
    """Bring the database to the schema of this version."""
    from service.operations import upgrade_database

    upgrade_database(settings())
    typer.echo("the database is up to date")


@app.command("serve")
def serve() -> None:
    """Serve until told to stop."""
    from service import announce, serve

    deployment = settings()
    announce.require_free_port(deployment)
    serve.serve(deployment)


@bench.command("serve")
def bench_serve(
    database_url: Annotated[str | None, typer.Option(help="Where to write; by default a new SQLite file.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Medians are taken over them.")] = 5,
    workers: Annotated[int, typer.Option(min=1, help="Processes of the service.")] = 1,
) -> None:
    """Cycles per second (a recommendation and its feedback, both committed) beside a bare FastAPI program's."""
    from service.benchmark import serve

    config = serve.BenchmarkConfig(round_count=rounds, worker_count=workers)
    serve.bench_serve(settings(), config, database_url=database_url, console=terminal())


@bench.command("soak")
def bench_soak(
    minutes: Annotated[int, typer.Option(min=1, help="How long.")] = 60,
    share: Annotated[float, typer.Option(min=0.01, max=1, help="Of the peak, which is measured first.")] = 0.5,
    database_url: Annotated[str | None, typer.Option(help="Where to write; by default a new SQLite file.")] = None,
) -> None:
    """Half of the peak for an hour, listeners coming and going: memory, errors and latency, minute by minute."""
    from service.benchmark import soak

    config = soak.SoakConfig(minutes=minutes, share=share)
    soak.bench_soak(settings(), config, database_url=database_url, console=terminal())


@bench.command("catalogue")
def bench_catalogue(
    songs: Annotated[
        str, typer.Option(help="How many songs, separated by commas; a million takes minutes and 8 GB.")
    ] = "7000,100000",
) -> None:
    """Latency, memory and build time of each index class over invented songs, and of a change, by size."""
    from service.benchmark.catalogue import bench_catalogue

    counts = songs.split(",")
    if not all(count.strip().isdecimal() and int(count) > 0 for count in counts):
        raise ConfigError(f"--songs must be whole numbers above 0, separated by commas; got {songs!r}")
    bench_catalogue(settings(), [int(count) for count in counts], console=terminal())


@bench.command("train")
def bench_train(
    log: LogArgument,
    batch_size: Annotated[int, typer.Option(min=1)] = 64,
    preset: PresetName = PresetName.QUICK,
) -> None:
    """Supervised positions per processor second of world-model training, and the share of padded positions."""
    from numpy.random import default_rng

    from models.log import read_log
    from training.benchmark import measure_training_speed
    from training.material import prepare
    from training.presets import preset_named

    world = preset_named(preset.value).world
    material = prepare(read_log(log), space=None, reading=world.reading, held_out=(), rng=default_rng(0))
    speed = measure_training_speed(
        material.histories,
        material.split,
        feature_names=material.feature_names,
        preset=world,
        batch_size=batch_size,
        rng=default_rng(0),
    )
    typer.echo(
        f"{speed.positions_per_second:,.0f} supervised positions/CPU s ({speed.tokens_per_second:,.0f} tokens) at "
        f"batches of {speed.batch_size} windows of up to {speed.lookback} tokens; padded: {speed.padded_share:.1%}"
    )


@bench.command("cost")
def bench_cost(
    listeners: Annotated[
        list[int] | None, typer.Option(min=30, help="Listeners of a platform; by default 939, 3,000 and 10,000.")
    ] = None,
    songs: Annotated[
        list[int] | None, typer.Option(min=100, help="Songs of one; by default 1,500, 6,988, 20,000 and 70,000.")
    ] = None,
    preset: PresetName = PresetName.PAPER,
    seed: SeedOption = 0,
    quick: Annotated[
        bool, typer.Option("--quick", help="Small platforms and small shares: a look, not a measurement.")
    ] = False,
    out: Annotated[Path | None, typer.Option("--out", help="A folder for cost.md and cost.csv.")] = None,
) -> None:
    """Processor seconds of each stage of training, against listeners and against songs (about eight minutes)."""
    from training.presets import preset_named
    from training.studies import growth

    usual = growth.QUICK if quick else growth.USUAL
    growth.bench_cost(
        growth.Sizes(listeners=tuple(listeners or usual.listeners), songs=tuple(songs or usual.songs)),
        preset=preset_named(preset.value),
        seed=seed,
        share=growth.QUICK_SHARE if quick else growth.USUAL_SHARE,
        console=terminal(),
        out=out,
    )


@app.command("up")
def up() -> None:
    """Do it all: make a first bundle if none is live, upgrade the database, serve, and say how to ask."""
    from service import announce, operations, serve

    deployment = settings()
    announce.require_free_port(deployment)
    operations.upgrade_database(deployment)
    if operations.live_version(deployment) is None:
        make_first_bundle(deployment)
        announce.require_free_port(deployment)
    with announce.announced(deployment, lambda: say_how_to_ask(deployment)):
        serve.serve(deployment)


def make_first_bundle(deployment: "Settings") -> None:
    """Simulate a small platform, train on its log, and promote what comes out."""
    from service import operations
    from service.importing import import_songs

    log = deployment.home / "logs" / "simulated"
    if not log.exists():
        simulate(out=log)
    version = train(log)
    import_songs(deployment, log, console=terminal())
    operations.promote_bundle(deployment, version)
    typer.echo(f"{version} is live")


def say_how_to_ask(deployment: "Settings") -> None:
    """Print two requests that work as they stand: a new session, and its first songs."""
    now = f"{datetime.now(UTC):%Y%m%d-%H%M%S}"  # ids are the caller's to choose, each for one thing
    sessions = f"http://{deployment.host}:{deployment.port}/v1/listeners/you/sessions"
    begin = f'{{"session_id": "s-{now}", "mode": "calm", "report": {{"valence": 0.4, "arousal": 0.6}}}}'
    ask = f'{{"request_id": "r-{now}", "count": 3}}'
    typer.echo("\nServing. Begin a session, and ask for its next songs:\n")
    for path, body in (("", begin), (f"/s-{now}/recommendations", ask)):
        typer.echo(f"curl -s {sessions}{path} -H 'content-type: application/json' -d '{body}'")
    typer.echo("\nCtrl-C stops it.")


def terminal() -> "Console":
    """Return where tables and progress go; a file or a pipe is as wide as the widest table."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else WIDE)


def settings(**given: Any) -> "Settings":
    """Return the deployment's settings, as the environment and the arguments give them.

    Raises:
        ConfigError: naming the variables that are wrong.
    """
    from pydantic import ValidationError

    from service.settings import Settings

    try:
        return Settings(**given)
    except ValidationError as refusal:
        wrong = [
            f"AMRS_{'_'.join(map(str, each['loc'])).upper()}: {each['msg']}"
            for each in refusal.errors()
            if each["type"] != "default_factory_not_called"  # the fault of another field, named beside it
        ]
        raise ConfigError("; ".join(wrong)) from refusal


def main() -> None:
    """Run the command line; tell an expected error in words."""
    try:
        app()
    except AmrsError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(2)
    except ModuleNotFoundError as error:
        if error.name not in EXTRA_OF:
            raise
        typer.echo(f"error: no {error.name} here; pip install 'amrs[{EXTRA_OF[error.name]}]'", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
