"""Signatures of bundles: who vouches for one. Ed25519 over the manifest's digest, in a detached file beside it.

A bundle's digests say that not a byte changed since it was sealed; a signature says that somebody who holds a
private key wants it served. Where public keys are configured, a bundle that none of them signed is refused at
registration, promotion and load. Signatures lie in `signatures/<version>/`, one file per key.
"""

import os
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from models.bundle import Bundle
from models.errors import BundleError, ConfigError
from models.repository import Repository
from service.settings import Settings

SIGNATURES: Final = "signatures"

PublicKey = Ed25519PublicKey


def make_key(file: Path) -> str:
    """Write a new private key, readable by its owner only; return the public key as it is configured.

    Raises:
        ConfigError: the file exists already.
    """
    key = Ed25519PrivateKey.generate()
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigError(f"{file} exists already; a key is never overwritten") from None
    with os.fdopen(handle, "wb") as written:
        written.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return spelled(key.public_key())


def sign(repository: Repository, version: str, key_file: Path) -> Path:
    """Sign a bundle, verified whole first; return the signature's file.

    Raises:
        BundleError: there is no such bundle, or it does not hold.
        ConfigError: the file holds no Ed25519 private key.
    """
    try:
        key = load_pem_private_key(key_file.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as problem:
        raise ConfigError(f"{key_file} must hold a private key, PEM without a password: {problem}") from problem
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"{key_file} must hold an Ed25519 key; it holds a {type(key).__name__}")
    bundle = repository.open(version)
    folder = repository.root / SIGNATURES / version
    folder.mkdir(parents=True, exist_ok=True)
    path = _file_of(repository, version, key.public_key())
    draft = path.with_name(f".{path.name}")
    draft.write_text(b64encode(key.sign(_message(bundle))).decode() + "\n")
    draft.replace(path)
    return path


def require_signature(repository: Repository, bundle: Bundle, keys: Sequence[PublicKey]) -> None:
    """Check that one of the keys signed a bundle; without keys, nothing is asked.

    Raises:
        BundleError: none of them did; says of each signature found why it does not count.
    """
    if not keys:
        return
    found = [_problem(repository, bundle, key) for key in keys]
    if None not in found:
        reasons = "; ".join(problem for problem in found if problem)
        raise BundleError(f"bundle {bundle.version!r} must be signed by a configured key: {reasons}")


def public_keys_of(settings: Settings) -> tuple[PublicKey, ...]:
    """Return the keys one of which must have signed a bundle; none where no signature is asked for.

    Raises:
        ConfigError: one is not a key.
    """
    return tuple(read_public_key(key) for key in settings.bundle_public_keys)


def read_public_key(text: str) -> PublicKey:
    """Return the public key that was configured as 32 bytes in base64.

    Raises:
        ConfigError: it is none.
    """
    try:
        return Ed25519PublicKey.from_public_bytes(b64decode(text, validate=True))
    except (Base64Error, ValueError) as problem:
        raise ConfigError(f"a bundle's public key must be 32 bytes in base64; got {text!r}") from problem


def spelled(key: PublicKey) -> str:
    """Return a public key as it is configured."""
    return b64encode(_raw(key)).decode()


def _problem(repository: Repository, bundle: Bundle, key: PublicKey) -> str | None:
    """Return why a key's signature does not count; None if it does."""
    path = _file_of(repository, bundle.version, key)
    try:
        signature = b64decode(path.read_text().strip(), validate=True)
        key.verify(signature, _message(bundle))
    except FileNotFoundError:
        return f"key {path.stem} did not sign it"
    except (OSError, ValueError, InvalidSignature):
        return f"the signature of key {path.stem} is not one of this bundle"
    return None


def _file_of(repository: Repository, version: str, key: PublicKey) -> Path:
    return repository.root / SIGNATURES / version / f"{sha256(_raw(key)).hexdigest()[:16]}.sig"


def _message(bundle: Bundle) -> bytes:
    return f"amrs bundle {bundle.version} {bundle.digest}".encode()


def _raw(key: PublicKey) -> bytes:
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)
