"""The command line on one page: which room answers which command.

A room is imported when one of its commands runs, so that help is instant and serving never meets PyTorch. Errors
raised on purpose become words on stderr and status 2. Everything that runs writes below AMRS_HOME (./var).
"""

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from models.errors import AmrsError, ConfigError

if TYPE_CHECKING:
    from service.settings import Settings

EXTRA_OF = {"torch": "training", "onnxscript": "training", "fastapi": "service", "sqlalchemy": "service"}
"""Where a library that the base installation lacks comes from."""


def group(purpose: str) -> typer.Typer:
    """Return an empty group of commands."""
    return typer.Typer(help=purpose, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


app = group("AMRS: from listening logs to the next song.")
logs = group("Make, read and check listening logs.")
importing = group("Turn somebody else's data into a listening log.")
bundles = group("Look after the bundles of models, and say which one is live.")
songs = group("Look after the songs the service may play.")
database = group("Look after the database.")
bench = group("Measure.")

app.add_typer(logs, name="logs")
logs.add_typer(importing, name="import")
app.add_typer(bundles, name="models")
app.add_typer(songs, name="songs")
app.add_typer(database, name="db")
app.add_typer(bench, name="bench")


class Scale(StrEnum):
    """How large a simulated platform is."""

    SMALL = "small"
    PAPER = "paper"
    LARGE = "large"


LogArgument = Annotated[Path, typer.Argument(metavar="LOG", help="The log's folder.")]
DirArgument = Annotated[Path, typer.Argument(metavar="DIR", help="The folder that holds the data.")]
VersionArgument = Annotated[str, typer.Argument(metavar="VERSION", help="As `amrs models list` names it.")]
OutOption = Annotated[Path, typer.Option("--out", help="The new log's folder.")]
MappingOption = Annotated[Path, typer.Option("--mapping", help="The TOML file that says which column is what.")]
SeedOption = Annotated[int, typer.Option(help="The same seed gives the same numbers.")]


@logs.command("simulate")
def simulate(out: OutOption, scale: Scale = Scale.SMALL, seed: SeedOption = 0) -> None:
    """Invent a listening platform whose truth is known, and write what it logged."""
    from rich.console import Console

    from training.platform.commands import simulate_log
    from training.platform.parameters import SIZES

    simulate_log(size=SIZES[scale.value], seed=seed, out=out, console=Console())


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


@bundles.command("list")
def list_bundles() -> None:
    """List the versions in the repository, oldest first, and the stage each is in."""
    from service.operations import registered_bundles, repository_of

    deployment = settings()
    stages = {record.version: record.stage for record in registered_bundles(deployment)}
    for version in repository_of(deployment).versions():
        typer.echo(f"{version}  {stages.get(version, 'new')}")


@bundles.command("show")
def show_bundle(version: VersionArgument) -> None:
    """Print a bundle's model card."""
    from service.operations import repository_of

    typer.echo(repository_of(settings()).open(version).card)


@bundles.command("verify")
def verify_bundle(version: VersionArgument) -> None:
    """Check every digest, and replay the golden cases."""
    from service import operations

    bundle = operations.verify_bundle(settings(), version)
    typer.echo(f"{version} is whole, and computes here what it computed when it was made")
    for failure in bundle.gates.failures:
        typer.echo(f"gate not passed: {failure}")


@bundles.command("promote")
def promote_bundle(version: VersionArgument) -> None:
    """Make a verified bundle live, if its gates passed."""
    from service import operations

    typer.echo(f"{operations.promote_bundle(settings(), version).version} is live")


@bundles.command("rollback")
def roll_back() -> None:
    """Make the bundle live again that was live before."""
    from service import operations

    typer.echo(f"{operations.roll_back(settings()).version} is live")


@songs.command("import")
def import_songs(log: LogArgument) -> None:
    """Put a log's songs and their embeddings into the catalogue."""
    from models.log import read_log
    from service import operations

    typer.echo(f"songs imported: {operations.import_songs(settings(), read_log(log))}")


@database.command("upgrade")
def upgrade() -> None:
    """Bring the database to the schema of this version."""
    from service.operations import upgrade_database

    upgrade_database(settings())
    typer.echo("the database is up to date")


@app.command("serve")
def serve() -> None:
    """Serve until told to stop."""
    from service import serve

    serve.serve(settings())


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
