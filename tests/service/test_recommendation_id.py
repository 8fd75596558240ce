"""A recommendation id says what it was made with, to the listener it was made for, and to nobody else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import UnknownRecommendation
from service.listener import ListenerKey
from service.recommendation_id import MAXIMUM_LENGTH, RecommendationToken, TokenSigner

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-"
LISTENER = ListenerKey("default", "l-1")
SIGNER = TokenSigner(b"k" * 32)
ids = st.text(ALPHABET, min_size=1, max_size=128)
tokens = st.builds(
    RecommendationToken,
    session_id=ids,
    position=st.integers(0, 2**16 - 1),
    song_id=ids,
    bundle=st.text(ALPHABET, min_size=1, max_size=96),
    offered_at=st.integers(0, 2**63 - 1),
)


@given(tokens, ids)
def test_it_says_what_it_was_made_with(token: RecommendationToken, listener_id: str) -> None:
    listener = ListenerKey("default", listener_id)
    recommendation_id = SIGNER.sign(listener, token)

    assert SIGNER.read(listener, recommendation_id) == token
    assert len(recommendation_id) <= MAXIMUM_LENGTH
    assert set(recommendation_id) <= set(ALPHABET + "_")


@given(tokens, st.data())
def test_no_character_can_be_changed(token: RecommendationToken, data: st.DataObject) -> None:
    recommendation_id = SIGNER.sign(LISTENER, token)
    place = data.draw(st.integers(0, len(recommendation_id) - 1))
    other = data.draw(st.sampled_from(ALPHABET).filter(lambda character: character != recommendation_id[place]))

    with pytest.raises(UnknownRecommendation):
        SIGNER.read(LISTENER, recommendation_id[:place] + other + recommendation_id[place + 1 :])


@given(st.text(max_size=520))
def test_anything_else_is_unknown(text: str) -> None:
    with pytest.raises(UnknownRecommendation):
        SIGNER.read(LISTENER, text)


@pytest.mark.parametrize(
    "stranger",
    [ListenerKey("default", "l-2"), ListenerKey("other", "l-1"), ListenerKey("defaul", "tl-1")],
)
def test_it_is_no_id_at_all_for_another_listener_or_app(stranger: ListenerKey) -> None:
    token = RecommendationToken(session_id="s-1", position=0, song_id="song-1", bundle="b", offered_at=1)

    with pytest.raises(UnknownRecommendation):
        SIGNER.read(stranger, SIGNER.sign(LISTENER, token))
    with pytest.raises(UnknownRecommendation):
        TokenSigner(b"another key of the right length!").read(LISTENER, SIGNER.sign(LISTENER, token))
