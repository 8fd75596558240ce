"""Everything a deployment may choose, read once from `AMRS_…` environment variables, and never on import.

Contradictions are refused here, before anything is opened.
"""

import hmac
import os
import secrets
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field, SecretStr, StringConstraints, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from models.errors import ConfigError

MINIMUM_KEY_LENGTH: Final = 16
_SECRET_BYTES: Final = 32

Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Origin = Annotated[str, StringConstraints(pattern=r"^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?$")]


class Settings(BaseSettings):
    """One deployment's choices; every field can be set by `AMRS_<FIELD>`."""

    model_config = SettingsConfigDict(env_prefix="AMRS_", frozen=True, extra="forbid", allow_inf_nan=False)

    home: Path = Path("var")
    """The folder below which everything that runs writes."""

    host: str = "127.0.0.1"
    """The address to listen on; anywhere but on a loopback one every caller needs a key."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    operator_port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """Where routes for operators and auditors are served, and nowhere else; None: all are served on `port`."""
    workers: Annotated[int, Field(ge=1, le=256)] = 1
    """Processes; each has one writer to the journal."""

    database_url: str = Field(default_factory=lambda data: f"sqlite:///{data['home'] / 'amrs.sqlite3'}")
    """The system of record: `postgresql://…`, or SQLite below `home` by default."""
    redis_url: str | None = None
    """Where memory lives; None: a private redis-server is started below `home`."""
    redis_prefix: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]*$")] = "amrs:"
    """What every key in Redis begins with; deployments that share a Redis differ in it."""
    redis_timeout_seconds: Positive = 0.25
    """How long one Redis round trip may take before the request goes on without it."""
    write_timeout_seconds: Positive = 5.0
    """How long a write waits for its commit before it is refused, to be retried."""

    idle_limit_seconds: Positive = 3600.0
    """A session in which nothing happened for so long has ended."""
    recommendation_expiry_seconds: Positive = 3600.0
    """How long after its session's end an unanswered recommendation still counts as offered."""

    bundle_public_keys: Annotated[tuple[str, ...], NoDecode] = ()
    """Ed25519 public keys as `amrs models keygen` prints them, separated by commas: a bundle that none of them
    signed is refused. None: no signature is asked for."""
    return_error_share: Share = 0.02
    """A new bundle is returned from when its models fail in more than this share of requests..."""
    return_fallback_share: Share = 0.25
    """...or when for more than this share of choices none of the policy's own songs is allowed..."""
    return_minimum_count: Annotated[int, Field(ge=1)] = 50
    """...of at least so many..."""
    return_window_seconds: Annotated[float, Field(ge=0)] = 3600.0
    """...so long after its promotion; 0: never."""

    api_keys: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    """Keys to begin with, separated by commas: the default app's, with every scope; others are made by command.

    While there is no key at all, here or in SQL, anybody on this machine may call, and nobody else."""
    rate_limit_per_second: Positive = 200.0
    """How often one key may call, over time, all workers together."""
    rate_limit_burst: Annotated[float, Field(ge=1)] = 400.0
    """How often at once, after a rest."""
    requests_at_once: Annotated[int, Field(ge=1)] = 512
    """Requests a worker answers at a time; more get 503."""
    connections: Annotated[int, Field(ge=1)] = 1000
    """Connections a worker holds; more get 503."""
    head_timeout_seconds: Positive = 10.0
    """How long a request's head may take to arrive."""
    body_timeout_seconds: Positive = 20.0
    """How long a request's body may take to arrive."""
    cors_origins: Annotated[tuple[Origin, ...], NoDecode] = ()
    """Web pages whose scripts may call, as `https://host[:port]`, separated by commas; none: no page's."""

    token_secret: SecretStr | None = None
    """What signs recommendation ids; None: made once and kept below `home`. Replicas must share it."""

    trace_endpoint: str | None = None
    """Where spans are sent by OTLP, as `http://collector:4318/v1/traces`; None: nothing is traced."""
    trace_share: Share = 1.0
    """The share of requests that are traced, of those whose caller did not decide it."""

    @field_validator("trace_endpoint", mode="before")
    @classmethod
    def _nowhere_is_none(cls, value: Any) -> Any:
        return value or None

    @field_validator("trace_endpoint")
    @classmethod
    def _spans_go_over_http(cls, endpoint: str | None) -> str | None:
        if endpoint is not None and not endpoint.startswith(("http://", "https://")):
            raise ConfigError(f"trace_endpoint must be an http:// or https:// URL; got {endpoint!r}")
        return endpoint

    @field_validator("api_keys", "bundle_public_keys", "cors_origins", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(key.strip() for key in value.split(",") if key.strip())
        return value

    @field_validator("api_keys")
    @classmethod
    def _keys_are_long(cls, keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        shortest = min((len(key.get_secret_value()) for key in keys), default=MINIMUM_KEY_LENGTH)
        if shortest < MINIMUM_KEY_LENGTH:
            raise ConfigError(f"an API key needs at least {MINIMUM_KEY_LENGTH} characters; one has {shortest}")
        return keys

    @field_validator("token_secret")
    @classmethod
    def _secret_is_long(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and len(secret.get_secret_value()) < _SECRET_BYTES:
            raise ConfigError(
                f"token_secret needs at least {_SECRET_BYTES} characters; it has {len(secret.get_secret_value())}"
            )
        return secret

    @model_validator(mode="after")
    def _ports_differ(self) -> "Settings":
        if self.operator_port == self.port:
            raise ConfigError(f"operator_port must differ from port; both are {self.port}")
        return self


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens on the host."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def signing_key(settings: Settings) -> bytes:
    """Return the key that signs recommendation ids; without one configured, make it once below `home`.

    The file is readable by its owner only. Workers that start together agree on the first one's.
    """
    if settings.token_secret is not None:
        return settings.token_secret.get_secret_value().encode()
    path = settings.home / "token.secret"
    if not path.exists():
        settings.home.mkdir(parents=True, exist_ok=True)
        fresh = settings.home / f".token.secret.{secrets.token_hex(8)}"
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(_SECRET_BYTES))
        try:
            os.link(fresh, path)
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    key = path.read_bytes()
    if len(key) < _SECRET_BYTES:
        raise ConfigError(f"{path} must hold at least {_SECRET_BYTES} bytes; it holds {len(key)}")
    return key


def derived_key(key: bytes, purpose: str) -> bytes:
    """Return a key of 32 bytes for one purpose, which tells nothing of the key it comes from."""
    return hmac.new(key, purpose.encode(), "sha256").digest()
