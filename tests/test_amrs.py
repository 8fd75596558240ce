"""The command line tells an expected error in one line and with status 2, and never shows a traceback for it."""

import subprocess
import sys


def amrs(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a user would."""
    return subprocess.run([sys.executable, "-m", "amrs", *arguments], capture_output=True, text=True, check=False)


def test_help_names_the_main_commands():
    run = amrs("--help")

    assert run.returncode == 0
    assert all(command in run.stdout for command in ("logs", "train", "models", "serve", "up"))


def test_an_absent_log_is_an_error_in_words(tmp_path):
    run = amrs("logs", "check", str(tmp_path / "nowhere"))

    assert run.returncode == 2
    assert "nowhere" in run.stdout + run.stderr
    assert run.stderr.startswith("error: ")
    assert "Traceback" not in run.stderr
