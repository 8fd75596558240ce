"""A report's head is read off the log and the code that ran."""

from pathlib import Path

from models.log import read_log
from training.studies.report.origin import origin_of
from training.studies.scales import PAPER


def test_the_log_is_counted(log: Path, log_digest: str):
    read = read_log(log)

    facts = dict(origin_of(read, log_digest, PAPER, "amrs study table1 LOG").facts())

    assert facts["log"].startswith(f"{read.description.name} (40 listeners, ")
    assert facts["digest of the log"] == log_digest
    assert facts["scale"] == "paper: preset paper, splits 0 to 9, seeds 0 to 4"
    assert "torch" in facts["machine"]
