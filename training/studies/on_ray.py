"""The same tasks on a Ray cluster: one core and one thread each, the same numbers as in processes here.

Machines that join a cluster see the log's folder under the same path, and have the libraries installed. The code
of `models` and `training` travels with the run, so that no machine computes with another version of it.

Source: docs.ray.io, `ray.init`, `ray.wait` and "Environment Dependencies".
"""

import logging
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from models.errors import ConfigError, Unavailable
from training.studies.workers import Failure, attempt
from training.tasks import Advance

Task = TypeVar("Task")
Result = TypeVar("Result")

HERE: Final = "local"
"""The address that starts a Ray on this machine and ends it afterwards."""
ANYWHERE: Final = "auto"
"""The address of whatever cluster this machine belongs to."""
_PROJECT: Final = Path(__file__).parents[2]
_PATIENCE_SECONDS: Final = 1.0
"""How long a wait may last before Ctrl-C is listened to."""
_KNOCK_SECONDS: Final = 10.0


def each_done_on_ray(
    work: Callable[[Task, Advance], Result],
    tasks: Sequence[Task],
    *,
    address: str,
    processes: int,
) -> Iterator[tuple[int, Result | Failure]]:
    """Yield each task's place and what became of it, in the order in which they are done.

    Progress inside a task is not told. A task whose machine is lost is tried once more elsewhere.

    Args:
        work: a module's own function or a picklable object.
        tasks: picklable.
        address: of a running cluster (host:port, ray://host:port or auto), or `local`.
        processes: how many cores a Ray started here may use; a running cluster knows its own.

    Raises:
        ConfigError: Ray is not installed.
        Unavailable: no cluster answers there.
    """
    ray = _connected(address, processes)
    try:
        run = ray.remote(num_cpus=1, max_retries=1)(_attempt_quietly)
        shared = ray.put(work)
        place_of = {run.remote(shared, task): place for place, task in enumerate(tasks)}
        waiting = list(place_of)
        while waiting:
            done, waiting = ray.wait(waiting, timeout=_PATIENCE_SECONDS)
            for each in done:
                try:
                    yield place_of[each], ray.get(each)
                except ray.exceptions.RayError as error:  # the worker or its machine, not the task's own code
                    yield place_of[each], Failure.of(error)
    finally:
        ray.shutdown()


def _attempt_quietly(work: Callable[[Task, Advance], Result], task: Task) -> Result | Failure:
    return attempt(work, task, lambda _: None)


def _connected(address: str, processes: int) -> Any:
    """Return the library, connected; it publishes no types for half of what is used here."""
    try:
        import ray
    except ModuleNotFoundError as error:
        raise ConfigError("no ray here; pip install 'amrs[ray]'") from error
    if address not in (HERE, ANYWHERE):
        _knock(address)
    environment: dict[str, object] = {"env_vars": {"OMP_NUM_THREADS": "1"}}
    if address == HERE:
        extra: dict[str, Any] = {"num_cpus": processes, "include_dashboard": False}
    else:
        extra = {}
        environment["py_modules"] = [str(_PROJECT / room) for room in ("models", "training")]
    try:
        ray.init(
            address=address,
            runtime_env=environment,
            log_to_driver=False,
            logging_level=logging.ERROR,
            **extra,
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise Unavailable(_nobody_at(address, error)) from error
    return ray


def _knock(address: str) -> None:
    """Raise unless somebody listens there: Ray itself would try for minutes.

    Raises:
        ConfigError: the address is not a host and a port.
        Unavailable: nobody does.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        raise ConfigError(f"expected a Ray address such as 10.0.0.1:6379, auto or {HERE}; got {address!r}")
    try:
        socket.create_connection((host, int(port)), timeout=_KNOCK_SECONDS).close()
    except OSError as error:
        raise Unavailable(_nobody_at(address, error)) from error


def _nobody_at(address: str, error: Exception) -> str:
    told = (str(error).splitlines() or [""])[0]
    hint = "one that asks for a token needs RAY_AUTH_MODE=token and the token here as well"
    return f"no Ray cluster answers at {address!r}: {told} ({hint})"
