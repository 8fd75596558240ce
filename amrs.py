"""The command line on one page: which room answers which command.

A room is imported when one of its commands runs, so help is instant and serving never meets PyTorch. Errors
raised on purpose become one line on stderr and status 2. Everything written goes below AMRS_HOME (./var).
"""

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from models.errors import AmrsError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
logs = typer.Typer(no_args_is_help=True, help="Make, read and check listening logs.")
importing = typer.Typer(no_args_is_help=True, help="Turn somebody else's data into a listening log.")
app.add_typer(logs, name="logs")
logs.add_typer(importing, name="import")


class Scale(StrEnum):
    """How large a simulated platform is."""

    SMALL = "small"
    PAPER = "paper"
    LARGE = "large"


LogArgument = Annotated[Path, typer.Argument(metavar="LOG", help="The log's folder.")]
DirArgument = Annotated[Path, typer.Argument(metavar="DIR", help="The folder that holds the data.")]
OutOption = Annotated[Path, typer.Option("--out", help="The new log's folder.")]
SeedOption = Annotated[int, typer.Option(help="The same seed gives the same numbers.")]


def home() -> Path:
    """Return the folder below which everything is written."""
    return Path(os.environ.get("AMRS_HOME", "var"))


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
    typer.echo(f"Log written to {out}")


@logs.command("check")
def check(log: LogArgument) -> None:
    """Say whether a log keeps the schema, and if not, every place where it does not."""
    from models.log import check_log

    complaints = check_log(log)
    for complaint in complaints:
        typer.echo(complaint)
    if complaints:
        raise AmrsError(f"{log} does not keep the schema; complaints: {len(complaints)}")
    typer.echo(f"{log}: keeps the schema")


def main() -> None:
    """Run the command line; tell an expected error in words."""
    try:
        app()
    except AmrsError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(2)
    except ModuleNotFoundError as error:
        extra = {"torch": "training", "onnxscript": "training", "fastapi": "service", "sqlalchemy": "service"}
        if error.name not in extra:
            raise
        typer.echo(f"error: this command needs {error.name}: pip install 'amrs[{extra[error.name]}]'", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
