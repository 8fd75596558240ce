"""The recommendation id: an opaque signed token that holds what feedback needs.

It carries session, position, song, bundle and the time of the offer; the app and the listener are not in it but
under its signature, so that a token shown for another listener is no token at all.
Layout before base64url: 16 bytes of HMAC-SHA-256, then position (2), offered_at (8), and session, song and
bundle, each after its length (1).
"""

import hmac
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from dataclasses import dataclass
from typing import Final

from service.clock import Instant
from service.errors import UnknownRecommendation
from service.listener import ListenerKey

MAXIMUM_LENGTH: Final = 512
"""In characters; the API refuses longer ones unread."""
_SIGNATURE: Final = 16
_FIXED: Final = struct.Struct(">HQ")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecommendationToken:
    """What a recommendation id says."""

    session_id: str
    position: int
    song_id: str
    bundle: str
    offered_at: Instant


@dataclass(frozen=True, slots=True)
class TokenSigner:
    """Makes and reads recommendation ids; replicas share the key."""

    key: bytes

    def sign(self, listener: ListenerKey, token: RecommendationToken) -> str:
        """Return the recommendation id, at most 512 characters for ids up to 128 and bundles up to 96."""
        texts = [text.encode() for text in (token.session_id, token.song_id, token.bundle)]
        contents = _FIXED.pack(token.position, token.offered_at)
        contents += b"".join(bytes([len(text)]) + text for text in texts)
        return urlsafe_b64encode(self._signature(listener, contents) + contents).rstrip(b"=").decode()

    def read(self, listener: ListenerKey, recommendation_id: str) -> RecommendationToken:
        """Return what the id says.

        Raises:
            UnknownRecommendation: it was not made with this key for this listener.
        """
        unknown = UnknownRecommendation("this recommendation does not exist")
        try:
            padding = "=" * (-len(recommendation_id) % 4)
            signed = urlsafe_b64decode((recommendation_id + padding).encode("ascii"))
        except (Base64Error, ValueError):
            raise unknown from None
        signature, contents = signed[:_SIGNATURE], signed[_SIGNATURE:]
        if not hmac.compare_digest(signature, self._signature(listener, contents)):
            raise unknown
        if urlsafe_b64encode(signed).rstrip(b"=").decode() != recommendation_id:
            raise unknown  # another spelling of the same bytes
        position, offered_at = _FIXED.unpack_from(contents)
        texts, place = [], _FIXED.size
        while place < len(contents):
            length = contents[place]
            texts.append(contents[place + 1 : place + 1 + length].decode())
            place += 1 + length
        session_id, song_id, bundle = texts
        return RecommendationToken(
            session_id=session_id, position=position, song_id=song_id, bundle=bundle, offered_at=offered_at
        )

    def _signature(self, listener: ListenerKey, contents: bytes) -> bytes:
        names = b"".join(len(name).to_bytes(2, "big") + name.encode() for name in listener)
        return hmac.new(self.key, names + contents, "sha256").digest()[:_SIGNATURE]
