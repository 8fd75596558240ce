"""The comparison takes medians over rounds, and each ratio within its own round."""

import argparse
import sys
from dataclasses import replace

import pytest

from service.benchmark.load import Measured
from tests.bench.peers.compare import Contender, Turn, as_markdown, named_path, table_of
from tests.bench.peers.processes import Belonging

CONTENDER = Contender(
    name="service",
    described="1 worker",
    port=0,
    listeners=(),
    processes=Belonging(),
)


def turn(cycles: int) -> Turn:
    return Turn(measured=Measured(seconds=2.0, latencies=[0.002] * 2 * cycles), cpu_seconds=cycles / 100)


def test_a_ratio_compares_the_same_round():
    contenders = [CONTENDER, replace(CONTENDER, name="Peer", described="2 workers")]

    head, rows = table_of(contenders, [[turn(400), turn(200), turn(300)], [turn(100), turn(100), turn(50)]])

    assert head[-1] == "service to it"
    assert rows[0] == ["service", "1 worker", "300", "2.0", "2.0", "5.00", "1.00×"]
    assert rows[1] == ["Peer", "2 workers", "100", "2.0", "2.0", "5.00", "4.00×"]
    assert as_markdown(head, rows).count("\n") == 3


def test_a_peer_is_named_with_its_interpreter():
    name, path = named_path(f"litserve={sys.executable}")

    assert (name, str(path)) == ("litserve", sys.executable)
    for wrong in ("nobody=/bin/sh", "litserve", "litserve=/nowhere"):
        with pytest.raises(argparse.ArgumentTypeError, match="expected one of litserve"):
            named_path(wrong)
