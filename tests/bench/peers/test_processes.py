"""Processes are found by what they inherited or by their parents, and nobody else is."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.bench.peers.processes import MARK, Belonging

PARENT = """
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "input()"], env={}, stdin=sys.stdin)
print(child.pid, flush=True)
child.wait()
"""
"""Starts a child that inherits nothing."""


def started(processes: Belonging, program: str) -> subprocess.Popen:
    with processes.inherited():
        return subprocess.Popen(
            [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )


def state_of(process: int) -> str:
    return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][0]


def test_a_child_belongs_to_its_parent_though_it_inherited_nothing():
    processes = Belonging()
    with started(processes, PARENT) as parent:
        child = int(parent.stdout.readline())

        found, others = processes.ids(), Belonging().ids()
        parent.communicate("\n")

    assert found == sorted([parent.pid, child])
    assert others == []
    assert MARK not in os.environ


def test_who_stands_still_goes_on():
    processes = Belonging()
    with started(processes, "print(input(), flush=True)") as process:
        processes.stand_still()
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        stopped = state_of(process.pid)
        processes.go_on()
        said, _ = process.communicate("on\n")

    assert stopped == "T"
    assert said == "on\n"


def test_time_of_the_processor_is_counted():
    processes = Belonging()
    with started(processes, "sum(range(20_000_000)); print(flush=True); input()") as process:
        process.stdout.readline()
        spent = processes.cpu_seconds()
        process.communicate("\n")

    assert spent > 0


def test_whoever_is_left_is_ended():
    processes = Belonging()
    with started(processes, PARENT) as parent:
        parent.stdout.readline()
        with processes.ending():
            pass

    assert parent.returncode == -signal.SIGKILL
    assert processes.ids() == []
