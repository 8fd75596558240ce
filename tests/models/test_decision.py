"""A decision replays from its packed record, bit for bit; nothing has to be looked up."""

from dataclasses import fields, replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import decision as decisions
from models.decision import Decision, Moment, pack_decision, replay, unpack_decision
from models.decoder import PolicyOrder, Rerank
from models.errors import DataError
from models.exposure import ExposureSnapshot, empty_snapshot
from models.guardrails import Candidates, Rule, Rung, Standing
from models.ladder import LADDER
from models.listening import NO_SONG, Mode
from models.utility import PAPER_UTILITY
from tests.bundles import WIDE
from tests.models.situations import calm, limits, situations
from tests.models.test_decoder import MODE_AWARE


def decide(rungs, *, standing, bundle, decoder, **facts):
    """One listener's decision, from rungs that each give one batch of one; others have no songs."""
    given, nothing = dict(rungs), no_songs(members=standing.estimate.shape[1])

    def propose(rung: Rung, _) -> list[Candidates]:
        return [given[rung]() if rung in given else nothing]

    return decisions.decide([Moment(standing=standing, **facts)], propose, bundle=bundle, decoder=decoder)[0]


def no_songs(*, members: int) -> Candidates:
    return calm(songs=0, members=members)[0]


FACTS = {"bundle": "2026-11-20-0000", "mode": Mode.CALM, "history_length": 3, "estimate_source": "report"}
PLAIN = {**FACTS, "decoder": PolicyOrder()}
GIVEN = 28
"""The key of the song that the record on file gave: the decoder's second; its first is blocked."""
DECODERS = (
    PolicyOrder(),
    Rerank(utility=PAPER_UTILITY, depth=3),
    Rerank(utility=MODE_AWARE, depth=8, caution=0.5, weight=0.7, rarity=0.2),
)


@st.composite
def ladders(draw: st.DrawFn) -> dict:
    """What a decision is taken from: any candidates on every rung, any standing, any limits."""
    candidates, standing = draw(situations(listeners=1))
    offered = [candidates]
    members = standing.estimate.shape[1]
    for _ in LADDER[1:]:
        candidates, _ = draw(situations(listeners=1))
        predicted = np.resize(candidates.predicted, (1, members, candidates.song.shape[1], 4))
        offered.append(replace(candidates, predicted=predicted))
    rungs = [(rung, lambda each=each: each) for rung, each in zip(LADDER, offered, strict=True)]
    decoder = draw(st.sampled_from(DECODERS))
    return {"rungs": rungs, "standing": standing, "limits": draw(limits()), "decoder": decoder}


SHOWN = ExposureSnapshot(keys=np.array([1, 4]), counts=np.array([3, 1]), catalogue_size=9)


@settings(max_examples=50)
@given(ladders())
def test_a_decision_replays_from_its_record(ladder):
    decision, choices = decide(**ladder, snapshot=SHOWN, **FACTS)

    rung, song, replayed = replay(unpack_decision(pack_decision(decision)))

    assert (rung, song) == (decision.rung, decision.song)
    assert len(replayed) == len(choices) == len(decision.trials)
    for again, before in zip(replayed, choices, strict=True):
        np.testing.assert_array_equal(again.chosen, before.chosen)
        np.testing.assert_array_equal(again.forbidden, before.forbidden)
        assert again.dealt.tobytes() == before.dealt.tobytes()
        for name in ("estimate", "step", "spread"):
            one, other = getattr(again.steps, name), getattr(before.steps, name)
            assert one.tobytes() == other.tobytes()


@settings(max_examples=25)
@given(st.lists(ladders(), min_size=2, max_size=4))
def test_nobodys_decision_depends_on_who_else_is_there(crowd):
    """To the last bit: with as many candidates as another or not, whichever rung each of them ends on."""
    moments = [
        Moment(
            standing=each["standing"],
            limits=each["limits"],
            snapshot=SHOWN,
            mode=Mode.CALM,
            history_length=3,
            estimate_source="report",
        )
        for each in crowd
    ]
    decoder = crowd[0]["decoder"]

    def propose(rung: Rung, places) -> list[Candidates]:
        return [dict(crowd[place]["rungs"])[rung]() for place in places]

    together = decisions.decide(moments, propose, bundle="b", decoder=decoder)

    for place, (decision, choices) in enumerate(together):
        alone = {**crowd[place], "decoder": decoder, "snapshot": SHOWN, **FACTS, "bundle": "b"}
        expected, judged = decide(alone.pop("rungs"), **alone)
        assert pack_decision(decision) == pack_decision(expected)
        for one, other in zip(choices, judged, strict=True):
            np.testing.assert_array_equal(one.forbidden, other.forbidden)
            assert one.dealt.tobytes() == other.dealt.tobytes()


@settings(max_examples=25)
@given(ladders())
def test_a_record_keeps_every_bit(ladder):
    decision, _ = decide(**ladder, snapshot=SHOWN, **FACTS)
    packed = pack_decision(decision)

    again = unpack_decision(packed)

    assert pack_decision(again) == packed
    for field in fields(Candidates):
        for one, other in zip(again.trials, decision.trials, strict=True):
            kept, given_ = getattr(one.candidates, field.name), getattr(other.candidates, field.name)
            assert kept.dtype == given_.dtype
            assert kept.tobytes() == given_.tobytes()


@settings(max_examples=50)
@given(ladders())
def test_the_song_is_the_one_at_its_place_on_the_last_rung_tried(ladder):
    decision, choices = decide(**ladder, snapshot=SHOWN, **FACTS)

    if decision.rung is Rung.SILENCE:
        assert decision.song == decision.place == NO_SONG
        assert all(int(choice.chosen[0]) == NO_SONG for choice in choices)
    else:
        last = decision.trials[-1]
        assert last.rung is decision.rung
        assert last.candidates.song[0, decision.place] == decision.song


def test_a_rung_is_asked_for_its_songs_only_when_the_one_before_allowed_none():
    candidates, standing = calm()

    def never() -> Candidates:
        raise AssertionError("the policy's own songs were allowed")

    decision, choices = decide(
        [(Rung.POLICY, lambda: candidates), (Rung.WIDER, never)],
        standing=standing,
        limits=WIDE,
        snapshot=empty_snapshot(3),
        **PLAIN,
    )

    assert (decision.rung, decision.song, decision.place) == (Rung.POLICY, 0, 0)
    assert len(choices) == 1


def test_known_safe_songs_need_no_predictions():
    """People allowed them: predictions that are no numbers do not forbid them, blocks do."""
    candidates, standing = calm()
    broken = replace(candidates, predicted=np.full((1, 2, 3, 4), np.nan, np.float32))
    safe = replace(broken, blocked=np.array([[True, False, False]]))

    decision, _ = decide(
        [(Rung.POLICY, lambda: broken), (Rung.WIDER, lambda: broken), (Rung.KNOWN_SAFE, lambda: safe)],
        standing=standing,
        limits=WIDE,
        snapshot=empty_snapshot(3),
        **PLAIN,
    )

    assert (decision.rung, decision.song) == (Rung.KNOWN_SAFE, 1)


def liked_last(members: int = 2) -> tuple[Candidates, Standing]:
    """Three songs that nothing speaks against; the policy's last is predicted to please most."""
    candidates, standing = calm(members=members)
    predicted = candidates.predicted.copy()
    predicted[:, :, 2, 2] = 0.6
    return replace(candidates, predicted=predicted), standing


def test_the_decoder_orders_the_policys_rungs_before_the_guardrails_have_their_say():
    candidates, standing = liked_last()
    blocked = replace(candidates, blocked=np.array([[False, False, True]]))
    facts = {"standing": standing, "limits": WIDE, "snapshot": empty_snapshot(3), "decoder": DECODERS[1], **FACTS}

    free, _ = decide([(Rung.POLICY, lambda: candidates)], **facts)
    vetoed, _ = decide([(Rung.POLICY, lambda: blocked)], **facts)

    assert (free.song, vetoed.song) == (2, 0)


def test_peoples_lists_keep_peoples_order():
    candidates, standing = liked_last()
    facts = {"standing": standing, "limits": WIDE, "snapshot": empty_snapshot(3), "decoder": DECODERS[1], **FACTS}

    for rung in (Rung.KNOWN_SAFE, Rung.APPROVED):
        assert decide([(rung, lambda: candidates)], **facts)[0].song == 0


def test_a_record_made_before_decoders_was_in_the_policys_order():
    candidates, standing = liked_last()
    decision, _ = decide(
        [(Rung.POLICY, lambda: candidates)], standing=standing, limits=WIDE, snapshot=empty_snapshot(3), **PLAIN
    )
    record = msgspec.msgpack.decode(pack_decision(decision))
    record["schema"] = 1
    del record["decoder"]

    old = unpack_decision(msgspec.msgpack.encode(record))

    assert old.decoder == PolicyOrder()
    assert replay(old)[:2] == (Rung.POLICY, 0)


def recorded_once() -> Decision:
    """A decision of forty songs, five listeners' worth of doubt and every part of the decoder in play."""
    rng = np.random.default_rng(74)
    candidates, standing = calm(songs=40, members=3)
    predicted = rng.uniform(0.4, 0.6, candidates.predicted.shape).astype(np.float32)
    blocked = rng.random(candidates.blocked.shape) < 0.3
    shown = ExposureSnapshot(keys=np.arange(0, 40, 3), counts=np.arange(14), catalogue_size=40)
    decoder = Rerank(utility=MODE_AWARE, depth=30, caution=1.5, weight=0.8, rarity=0.3)
    decision, _ = decide(
        [(Rung.POLICY, lambda: replace(candidates, predicted=predicted, blocked=blocked))],
        standing=standing,
        limits=WIDE,
        snapshot=shown,
        decoder=decoder,
        **FACTS,
    )
    return decision


def test_a_record_on_file_replays_to_the_song_that_was_given():
    """`reranked_decision.msgpack` was written once, by `recorded_once`; no later version may choose otherwise."""
    record = unpack_decision((Path(__file__).parent / "reranked_decision.msgpack").read_bytes())

    rung, song, choices = replay(record)

    assert (rung, song) == (record.rung, record.song) == (Rung.POLICY, GIVEN)
    assert isinstance(record.decoder, Rerank)
    assert choices[0].dealt[0].argmax() == 17
    assert choices[0].forbidden[0, 17] == Rule.BLOCKED
    assert (choices[0].forbidden[0, :song] == 0).any()  # the policy's own order would have given another


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"not a record",
        msgspec.msgpack.encode({"schema": 999}),
        msgspec.msgpack.encode({"schema": 1}),
        msgspec.msgpack.encode([1, 2]),
        msgspec.msgpack.encode("text"),
    ],
)
def test_what_is_no_record_is_refused(damaged: bytes):
    with pytest.raises(DataError, match="decision"):
        unpack_decision(damaged)


def test_a_record_whose_arrays_were_cut_is_refused():
    candidates, standing = calm()
    decision, _ = decide(
        [(Rung.POLICY, lambda: candidates)], standing=standing, limits=WIDE, snapshot=empty_snapshot(3), **PLAIN
    )
    record = msgspec.msgpack.decode(pack_decision(decision))
    record["standing"]["anchor"][2] = record["standing"]["anchor"][2][:-1]

    with pytest.raises(DataError, match="cannot be read"):
        unpack_decision(msgspec.msgpack.encode(record))
