"""Processes of one thread each that work through tasks, and whose death is the failure of one task.

A process that is killed (out of memory, by hand) takes only its own task with it: the task has failed, a new
process takes its place, and the others never notice. What is done comes out at once, so that an interruption loses
only what was running. This file imports nothing heavy: a worker must fix its threads before PyTorch is there.
"""

import multiprocessing
import os
import pickle
import signal
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import TypeVar

from training.tasks import Advance

Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Failure:
    """A task that could not be done."""

    message: str
    """The error in one line, its type first."""
    trace: str
    """All of it."""

    @classmethod
    def of(cls, error: BaseException) -> "Failure":
        """Return what became of a task that raised."""
        told = (str(error).splitlines() or [""])[0]
        return cls(f"{type(error).__name__}: {told}", "".join(traceback.format_exception(error)))


def attempt(work: Callable[[Task, Advance], Result], task: Task, advance: Advance) -> Result | Failure:
    """Return what the work gives, or how it failed."""
    try:
        return work(task, advance)
    except Exception as error:  # noqa: BLE001 — whatever a task raises is that task's failure
        return Failure.of(error)


def each_done(
    work: Callable[[Task, Advance], Result], tasks: Sequence[Task], *, processes: int, advance: Advance
) -> Iterator[tuple[int, Result | Failure]]:
    """Yield each task's place and what became of it, in the order in which they are done.

    Args:
        work: a module's own function or a picklable object, so that another process can find it.
        tasks: picklable.
        processes: at least 1. Even one is another process, for there the threads can be fixed.
        advance: called in this process with what the workers tell.
    """
    waiting = list(range(len(tasks)))[::-1]
    running: dict[Connection, _Worker] = {}
    try:
        for _ in range(min(processes, len(tasks))):
            worker = _Worker.started()
            running[worker.connection] = worker
            worker.give(waiting.pop(), work, tasks)
        while running:
            for ready in wait(list(running)):
                assert isinstance(ready, Connection)
                worker = running[ready]
                try:
                    told = pickle.loads(ready.recv_bytes())  # noqa: S301 — from our own process
                except (EOFError, OSError):
                    del running[ready]
                    yield worker.place, worker.death()
                    if waiting:
                        worker = _Worker.started()
                        running[worker.connection] = worker
                        worker.give(waiting.pop(), work, tasks)
                    continue
                if isinstance(told, _Progress):
                    advance(told.amount)
                    continue
                yield worker.place, told
                if waiting:
                    worker.give(waiting.pop(), work, tasks)
                else:
                    del running[ready]
                    worker.end()
    finally:
        for worker in running.values():
            worker.end()


@dataclass(frozen=True, slots=True)
class _Progress:
    amount: int


@dataclass(slots=True)
class _Worker:
    """One process, and the place of the task that it has."""

    process: BaseProcess
    connection: Connection
    place: int = -1

    @classmethod
    def started(cls) -> "_Worker":
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs,), daemon=True)
        process.start()
        theirs.close()
        return cls(process, ours)

    def give(self, place: int, work: object, tasks: Sequence[object]) -> None:
        self.place = place
        try:
            self.connection.send_bytes(pickle.dumps((work, tasks[place])))
        except OSError:
            return  # it has died already; reading from it will say so

    def death(self) -> Failure:
        self.process.join()
        code = self.process.exitcode or 0
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with status {code}"
        more = "; out of memory?" if code == -signal.SIGKILL else ""
        self.connection.close()
        return Failure(f"its process ended {how}{more}", "")

    def end(self) -> None:
        self.connection.close()
        self.process.terminate()
        self.process.join()


def _serve(connection: Connection) -> None:
    """Work through tasks until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches whoever started us, who ends us
    os.environ["OMP_NUM_THREADS"] = "1"

    def tell(what: object) -> None:
        connection.send_bytes(pickle.dumps(what))

    while True:
        try:
            work, task = pickle.loads(connection.recv_bytes())  # noqa: S301 — from our own process
        except EOFError:
            return
        outcome = attempt(work, task, lambda amount: tell(_Progress(amount)))
        try:
            tell(outcome)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            tell(Failure.of(error))
