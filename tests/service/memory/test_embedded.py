"""A private redis-server lives as long as its owner, belongs to one owner, and keeps nothing on disk."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import RedisError

from models.errors import ConfigError
from service.memory.embedded import embedded_redis


def is_alive(url: str) -> bool:
    try:
        with Redis.from_url(url) as redis:
            return bool(redis.ping())
    except RedisError:
        return False


def test_it_answers_while_it_is_open_and_not_after(tmp_path: Path) -> None:
    with embedded_redis(tmp_path) as url:
        assert is_alive(url)
    assert not is_alive(url)


def test_it_ends_when_its_owner_fails(tmp_path: Path) -> None:
    with pytest.raises(KeyError), embedded_redis(tmp_path) as url:
        raise KeyError
    assert not is_alive(url)


def test_it_keeps_nothing(tmp_path: Path) -> None:
    with embedded_redis(tmp_path) as url, Redis.from_url(url) as redis:
        redis.set("song", "1")
    with embedded_redis(tmp_path) as url, Redis.from_url(url) as redis:
        assert redis.get("song") is None
    assert {path.name for path in tmp_path.iterdir()} <= {"redis.lock"}


def test_a_folder_has_one_owner(tmp_path: Path) -> None:
    with embedded_redis(tmp_path), pytest.raises(ConfigError, match="already"), embedded_redis(tmp_path):
        pass


def test_a_folder_with_a_very_long_name_is_no_obstacle(tmp_path: Path) -> None:
    with embedded_redis(tmp_path / ("deep" * 30)) as url:
        assert is_alive(url)


def test_a_killed_owner_leaves_no_server_behind(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from service.memory.embedded import embedded_redis\n"
        "with embedded_redis(Path(sys.argv[1])) as url: print(url, flush=True); sys.stdin.read()"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with owner:
        assert owner.stdout is not None
        url = owner.stdout.readline().strip()
        assert is_alive(url)
        owner.kill()

    if sys.platform == "linux":
        deadline = time.monotonic() + 10
        while is_alive(url) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not is_alive(url)
    with embedded_redis(tmp_path) as next_url:
        assert is_alive(next_url)
