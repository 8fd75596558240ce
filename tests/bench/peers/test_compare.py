"""The comparison takes medians over rounds, and each ratio within its own round."""

import argparse
import sys
from dataclasses import replace

import pytest

from service.benchmark.load import Measured
from tests.bench.peers.compare import Contender, as_markdown, named_path, table_of

CONTENDER = Contender(
    name="service",
    described="1 worker",
    port=0,
    listeners=(),
    stand_still=lambda: None,
    go_on=lambda: None,
)


def turn(cycles: int) -> Measured:
    return Measured(seconds=1.0, latencies=[0.002] * cycles)


def test_a_ratio_compares_the_same_round():
    contenders = [CONTENDER, replace(CONTENDER, name="Peer", described="2 workers")]

    head, rows = table_of(contenders, [[turn(400), turn(200), turn(300)], [turn(100), turn(100), turn(50)]])

    assert head[-1] == "service to it"
    assert rows[0] == ["service", "1 worker", "300", "2.0", "2.0", "1.00×"]
    assert rows[1] == ["Peer", "2 workers", "100", "2.0", "2.0", "4.00×"]
    assert as_markdown(head, rows).count("\n") == 3


def test_a_peer_is_named_with_its_interpreter():
    name, path = named_path(f"litserve={sys.executable}")

    assert (name, str(path)) == ("litserve", sys.executable)
    for wrong in ("nobody=/bin/sh", "litserve", "litserve=/nowhere"):
        with pytest.raises(argparse.ArgumentTypeError, match="expected one of litserve"):
            named_path(wrong)
