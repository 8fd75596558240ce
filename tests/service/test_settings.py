"""A deployment's choices are read from the environment, and contradictions are refused before anything opens."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from models.errors import ConfigError
from service.settings import Settings, is_loopback, signing_key

KEY = "a-key-that-is-long-enough"


def test_the_defaults_serve_one_machine() -> None:
    settings = Settings()

    assert (settings.host, settings.redis_url) == ("127.0.0.1", None)
    assert settings.database_url == "sqlite:///var/amrs.sqlite3"


def test_the_database_lies_below_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMRS_HOME", "/srv/amrs")

    assert Settings().database_url == "sqlite:////srv/amrs/amrs.sqlite3"


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMRS_WORKERS", "3")
    monkeypatch.setenv("AMRS_API_KEYS", f"{KEY}-1, {KEY}-2")

    settings = Settings()
    assert settings.workers == 3
    assert [key.get_secret_value() for key in settings.api_keys] == [f"{KEY}-1", f"{KEY}-2"]


def test_secrets_do_not_show() -> None:
    settings = Settings(api_keys=(SecretStr(KEY),), token_secret=SecretStr("t" * 32))

    assert KEY not in repr(settings)
    assert "tttt" not in repr(settings)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "example.org", ""])
def test_other_hosts_are_not_this_machine(host: str) -> None:
    assert not is_loopback(host)


def test_operators_cannot_share_the_public_port() -> None:
    with pytest.raises(ConfigError, match="operator_port"):
        Settings(port=9000, operator_port=9000)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.0.1", "::1", "[::1]", "localhost"])
def test_loopback_is_this_machine(host: str) -> None:
    assert is_loopback(host)
    assert Settings(host=host).host == host


def test_a_short_key_or_secret_is_refused() -> None:
    with pytest.raises(ConfigError, match="16"):
        Settings(api_keys=(SecretStr("short"),))
    with pytest.raises(ConfigError, match="32"):
        Settings(token_secret=SecretStr("short"))


@pytest.mark.parametrize(
    "wrong",
    [{"port": 70000}, {"workers": 0}, {"idle_limit_seconds": 0}, {"redis_prefix": "a{b}"}, {"prot": 1}],
    ids=lambda wrong: next(iter(wrong)),
)
def test_a_value_out_of_range_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        Settings(**wrong)  # type: ignore[arg-type]


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().port = 1  # type: ignore[misc]


def test_the_signing_key_is_made_once_and_belongs_to_its_owner(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: signing_key(settings), range(8)))

    assert len(keys) == 1
    assert stat.S_IMODE((tmp_path / "home" / "token.secret").stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["token.secret"]


def test_a_damaged_signing_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "token.secret").write_bytes(b"short")

    with pytest.raises(ConfigError, match=r"token\.secret"):
        signing_key(Settings(home=tmp_path))


def test_a_configured_secret_is_the_signing_key(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, token_secret=SecretStr("s" * 32))

    assert signing_key(settings) == b"s" * 32
    assert list(tmp_path.iterdir()) == []
