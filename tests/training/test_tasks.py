"""A map gives the same results, in the same order, in one process and in several."""

import pytest

from training.tasks import Advance, map_tasks


def square(task: int, advance: Advance) -> int:
    advance(task)
    return task * task


def refuse(task: int, advance: Advance) -> int:
    raise ValueError(f"task {task} cannot be done")


@pytest.mark.parametrize("processes", [1, 2])
def test_results_come_in_the_order_of_the_tasks(processes: int):
    assert map_tasks(square, [3, 1, 2], processes=processes, advance=lambda _: None) == [9, 1, 4]


@pytest.mark.parametrize("processes", [1, 2])
def test_all_progress_is_told(processes: int):
    told: list[int] = []
    map_tasks(square, [3, 1, 2], processes=processes, advance=told.append)

    assert sorted(told) == [1, 2, 3]


@pytest.mark.parametrize("processes", [1, 2])
def test_a_task_that_fails_fails_the_map(processes: int):
    with pytest.raises(ValueError, match="cannot be done"):
        map_tasks(refuse, [1, 2], processes=processes, advance=lambda _: None)
