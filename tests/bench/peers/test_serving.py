"""A peer that does not come up is told as it told it, and whatever a peer started ends with it."""

import sys
from pathlib import Path

import pytest

from models.errors import Unavailable
from tests.bench.peers.processes import Belonging
from tests.bench.peers.serving import Material, Peer, PeerListener, Tuning, grid, running

NOTHING = Material(bundle=Path("none"), songs=Path("none"))


def peer_of(program: str) -> Peer:
    """Return a peer whose first process runs a program."""
    return Peer(
        name="Broken",
        command=lambda python, config, scratch: [str(python), "-c", program],
        listener=PeerListener,
        tuning=Tuning(),
        grid=grid(),
    )


def is_running(process: int) -> bool:
    """Whether there is such a process that is more than an entry nobody has collected yet."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes() != b""
    except FileNotFoundError:
        return False


def test_a_peer_that_ends_is_told_with_what_it_said():
    broken = peer_of("import sys; print('no such model'); sys.exit(3)")

    with (
        pytest.raises(Unavailable, match=r"Broken: it ended with status 3; it said:\nno such model"),
        running(broken, Path(sys.executable), NOTHING),
    ):
        pass


def test_what_a_peer_started_ends_with_it_though_it_left_its_group(tmp_path: Path):
    left = tmp_path / "left"
    program = f"""
import os, pathlib, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
pathlib.Path({str(left)!r}).write_text(f"{{child.pid}} {{os.environ['AMRS_PEER_RUN']}}")
"""

    with pytest.raises(Unavailable), running(peer_of(program), Path(sys.executable), NOTHING):
        pass

    process, mark = left.read_text().split()
    assert Belonging(mark).ids() == []
    assert not is_running(int(process))


def test_a_batch_of_one_waits_for_nobody():
    assert {each.wait_ms for each in grid() if each.batch == 1} == {0}
    assert len(grid()) == 14
    assert len(grid(waits_ms=(0,))) == 6
