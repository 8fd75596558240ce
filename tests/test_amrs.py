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


def test_a_wrong_setting_is_named_by_its_variable(monkeypatch):
    monkeypatch.setenv("AMRS_PORT", "eighty")

    run = amrs("models", "list")

    assert run.returncode == 2
    assert run.stderr.startswith("error: AMRS_PORT: ")
    assert run.stderr.count("AMRS_") == 1


def test_an_unknown_study_lists_the_known_ones(tmp_path):
    run = amrs("study", "table9", str(tmp_path))

    assert run.returncode == 2
    assert run.stderr.startswith("error: expected a study out of table1, table2, ")
    assert run.stderr.endswith("or all; got 'table9'\n")


def test_a_version_that_does_not_exist_is_an_error_in_words(monkeypatch, tmp_path):
    monkeypatch.setenv("AMRS_HOME", str(tmp_path))
    assert amrs("db", "upgrade").returncode == 0

    for command in ("show", "verify", "promote"):
        run = amrs("models", command, "2026-01-01-0123456789abcdef")

        assert run.returncode == 2
        assert run.stderr.startswith("error: ")
        assert "2026-01-01-0123456789abcdef" in run.stderr
