"""A key is shown once, and spells the id by which it is found and the secret by which it is known."""

import pytest

from service.access.secrets import Presented, digest_of, make_key, parse, spell

WHOLE = spell(Presented("a" * 16, "B" * 43))


def test_a_key_reads_back_as_it_was_made():
    key = make_key()

    assert parse(spell(key)) == key
    assert len(digest_of(key.secret)) == 32


def test_no_two_keys_are_alike():
    keys = [make_key() for _ in range(100)]

    assert len({key.key_id for key in keys}) == len({key.secret for key in keys}) == 100


@pytest.mark.parametrize("text", ["", "amrs__", "amrs_short_secret", WHOLE + "=", "x" + WHOLE])
def test_other_texts_are_no_keys(text):
    assert parse(text) is None
