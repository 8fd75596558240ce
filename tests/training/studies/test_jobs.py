"""Cells give the same numbers wherever they run; each is stored at once, and none stops the others."""

import contextlib
import importlib.util
import io
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from models.errors import ConfigError, DataError, Unavailable
from tests.training.studies.toy import DIES, FAILS, FINE, NAN, Toy, in_this_process
from training.studies.cells import Records
from training.studies.jobs import Done, Here, Job, OnRay, Place, run_job, run_jobs
from training.studies.scales import SMALL

QUIET = Console(quiet=True)
with_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed")


def jobs(log: Path, digest: str, *variants: str) -> list[Job]:
    study = Toy(variants=variants)
    return [
        Job(study=study, cell=cell, log=log, log_digest=digest, scale=SMALL)
        for cell in study.cells(replace(SMALL, splits=2))
    ]


def results(wanted: list[Job], place: Place) -> dict[str, Records]:
    stored: dict[str, Records] = {}

    def store(job: Job, done: Done) -> None:
        stored[job.cell.label] = done.records

    assert run_jobs(wanted, place, store=store, console=QUIET) == []
    return stored


def test_a_process_of_its_own_gives_the_same_numbers(log: Path, log_digest: str):
    wanted = jobs(log, log_digest, FINE)

    assert results(wanted, Here(processes=1)) == results(wanted, in_this_process)


def test_a_cell_that_fails_leaves_the_others_and_is_named(log: Path, log_digest: str):
    stored: list[str] = []

    failed = run_jobs(
        jobs(log, log_digest, FAILS, NAN, FINE),
        in_this_process,
        store=lambda job, _: stored.append(job.cell.label),
        console=QUIET,
    )

    assert stored == ["toy: variant fine, split 0", "toy: variant fine, split 1"]
    told = {job.cell.label: failure.message for job, failure in failed}
    assert len(told) == 4
    assert told["toy: variant fails, split 1"] == "DataError: split 1 cannot be had"
    assert "finite number or None; got nan" in told["toy: variant not a number, split 0"]


def test_what_is_done_is_stored_though_the_next_one_interrupts(log: Path, log_digest: str):
    stored: list[str] = []

    def interrupt(job: Job, done: Done) -> None:
        if stored:
            raise KeyboardInterrupt
        stored.append(job.cell.label)

    with pytest.raises(KeyboardInterrupt):
        run_jobs(jobs(log, log_digest, FINE), in_this_process, store=interrupt, console=QUIET)

    assert len(stored) == 1


def test_a_terminal_shows_how_far_it_is(log: Path, log_digest: str):
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, width=120)

    run_jobs(jobs(log, log_digest, FINE, FAILS), in_this_process, store=lambda *_: None, console=console)

    last = [line for line in shown.getvalue().splitlines() if "cells/h" in line][-1]
    assert "4/4" in last
    assert "0:00:00 left · 2 failed" in last


def test_a_file_shows_only_what_failed(log: Path, log_digest: str):
    shown = io.StringIO()

    run_jobs(
        jobs(log, log_digest, FINE, FAILS), in_this_process, store=lambda *_: None, console=Console(file=shown)
    )

    assert [line.partition(":")[0] for line in shown.getvalue().splitlines()] == ["failed toy", "failed toy"]


def test_another_log_at_the_same_place_is_refused(log: Path):
    job = jobs(log, "e" * 64, FINE)[0]

    with pytest.raises(DataError, match="another log here: expected digest eeeeeeeeeeee"):
        run_job(job, lambda _: None)


def test_nothing_to_run_starts_nothing(log: Path):
    assert run_jobs([], OnRay(address="127.0.0.1:1", processes=1), store=lambda *_: None, console=QUIET) == []


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="ray is installed")
def test_a_missing_ray_is_said(log: Path, log_digest: str):
    with pytest.raises(ConfigError, match=r"amrs\[ray\]"):
        results(jobs(log, log_digest, FINE), OnRay(address="local", processes=1))


def until_somebody_answers(address: str, started: subprocess.Popen[bytes]) -> None:
    host, _, port = address.partition(":")
    while started.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=1):
            return
        time.sleep(0.2)
    raise AssertionError(f"ray ended with status {started.returncode}")


@pytest.fixture(scope="module")
def ray_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Ray of two cores with a token of its own, started as an operator would, ended with the tests."""
    folder = tmp_path_factory.mktemp("ray")
    (folder / "token").write_text(secrets.token_hex(32))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [
        *(str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", "--num-cpus=2"),
        *("--include-dashboard=false", "--disable-usage-stats", f"--port={address.partition(':')[2]}"),
    ]
    with pytest.MonkeyPatch.context() as patch, (folder / "out").open("wb") as out:
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN_PATH", str(folder / "token"))
        started = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            until_somebody_answers(address, started)
            yield address
        finally:
            os.killpg(started.pid, signal.SIGTERM)
            started.wait()


@with_ray
@pytest.mark.prove
def test_a_ray_cluster_gives_the_same_numbers_and_names_what_failed(log: Path, log_digest: str, ray_address: str):
    wanted = jobs(log, log_digest, FINE, FAILS, DIES)
    stored: dict[str, Records] = {}

    failed = run_jobs(
        wanted,
        OnRay(address=ray_address, processes=2),
        store=lambda job, done: stored.update({job.cell.label: done.records}),
        console=QUIET,
    )

    assert stored == results(wanted[:2], in_this_process)
    told = sorted((job.cell.label, failure.message.partition(":")[0]) for job, failure in failed)
    assert [kind for _, kind in told] == ["WorkerCrashedError", "WorkerCrashedError", "DataError", "DataError"]


@with_ray
def test_a_ray_that_is_not_there_is_said_at_once(log: Path, log_digest: str):
    with pytest.raises(Unavailable, match=r"no Ray cluster answers at '127.0.0.1:1'"):
        results(jobs(log, log_digest, FINE), OnRay(address="127.0.0.1:1", processes=1))


@with_ray
@pytest.mark.parametrize("address", ["", "nowhere", "host:", ":6379", "ray://"])
def test_what_is_no_address_is_said(log: Path, log_digest: str, address: str):
    with pytest.raises(ConfigError, match="expected a Ray address"):
        results(jobs(log, log_digest, FINE), OnRay(address=address, processes=1))
