"""Workers do each task once, on one thread, and the death of one is the failure of one task."""

import multiprocessing
import os
import signal
from collections.abc import Callable

import pytest

from training.studies.workers import Failure, each_done
from training.tasks import Advance


def work(task: str, advance: Advance) -> str:
    """What a task asks for."""
    advance(2)
    if task == "fail":
        raise ValueError("it cannot be done\nand that is all")
    if task == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    return os.environ["OMP_NUM_THREADS"] if task == "threads" else task.upper()


def quietly(_: int) -> None:
    """Nobody listens."""


def unpicklable(task: str, advance: Advance) -> Callable[[], str]:
    """What no other process can be told."""
    return lambda: task


@pytest.mark.parametrize("processes", [1, 3])
def test_each_task_is_done_once_and_its_place_told(processes: int):
    told: list[int] = []

    done = dict(each_done(work, ["a", "b", "threads", "fail", "c"], processes=processes, advance=told.append))

    failed = done.pop(3)
    assert done == {0: "A", 1: "B", 2: "1", 4: "C"}
    assert isinstance(failed, Failure)
    assert failed.message == "ValueError: it cannot be done"
    assert "and that is all" in failed.trace
    assert sum(told) == 10


def test_a_process_that_is_killed_takes_only_its_own_task_with_it():
    done = dict(each_done(work, ["die", "a", "b", "c"], processes=2, advance=quietly))

    assert done.pop(0) == Failure("its process ended by SIGKILL; out of memory?", "")
    assert done == {1: "A", 2: "B", 3: "C"}


def test_what_cannot_be_told_is_a_failure():
    (_, failed), *_ = each_done(unpicklable, ["a"], processes=1, advance=quietly)

    assert isinstance(failed, Failure)
    assert "pickle" in failed.message


def test_whoever_stops_listening_ends_the_processes():
    before = set(multiprocessing.active_children())
    doing = each_done(work, ["a", "b", "c"], processes=1, advance=quietly)
    next(doing)

    doing.close()

    assert set(multiprocessing.active_children()) == before


def test_nothing_to_do_starts_nothing():
    assert list(each_done(work, [], processes=2, advance=quietly)) == []
