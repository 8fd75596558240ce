"""Keys as they are made and shown once: `amrs_<id>_<secret>`; of the secret only its SHA-256 is kept.

A secret is 256 bits of chance, so a plain digest hides it as well as a slow one would: there is nothing to guess.
"""

import re
import secrets
from hashlib import sha256
from typing import Final, NamedTuple

_FORM: Final = re.compile(r"amrs_([a-z2-7]{16})_([A-Za-z0-9_-]{43})")
_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz234567"


class Presented(NamedTuple):
    """A key as a caller presents it."""

    key_id: str
    secret: str


def make_key() -> Presented:
    """Return a new key."""
    return Presented("".join(secrets.choice(_ALPHABET) for _ in range(16)), secrets.token_urlsafe(32))


def spell(key: Presented) -> str:
    """Return the key as its holder keeps it."""
    return f"amrs_{key.key_id}_{key.secret}"


def parse(text: str) -> Presented | None:
    """Return the key that a text spells; None if it spells none."""
    found = _FORM.fullmatch(text)
    return Presented(*found.groups()) if found else None


def digest_of(secret: str) -> bytes:
    """Return what is kept of a secret."""
    return sha256(secret.encode()).digest()
