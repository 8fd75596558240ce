"""Which code made something: what every bundle, judgement and report says of itself."""

import subprocess
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

_PROJECT: Final = Path(__file__).parents[1]


def code_version() -> str:
    """Return the commit of the code that runs, with `+changes` where it was edited; else the package's version."""
    commit = _git("rev-parse", "--short=12", "HEAD")
    if commit is None:
        try:
            return version("amrs")
        except PackageNotFoundError:
            return "unknown"
    edited = _git("status", "--porcelain", "--untracked-files=no", "--", "amrs.py", "models", "training")
    return f"{commit}+changes" if edited else commit


def _git(*arguments: str) -> str | None:
    """Return what git says of the project; None where it is no repository, or git is not there."""
    if not (_PROJECT / ".git").exists():
        return None
    command: Sequence[str] = ("git", "-C", str(_PROJECT), *arguments)
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return None
    return run.stdout.strip()
