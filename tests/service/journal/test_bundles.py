"""One bundle is live at most: it passed its gates and reads every active song; the one before it is remembered."""

from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, select

from models.catalogue import Song
from models.errors import BundleError, GateError
from service.errors import CatalogueGap, StageConflict, UnknownBundle
from service.journal.bundles import (
    PromoteBundle,
    RegisterBundle,
    RollBack,
    Stage,
    StageBundle,
    list_bundles,
    live_bundle,
    previous_live_bundle,
    read_bundle,
    serving_bundles,
)
from service.journal.revisions import read_revisions
from service.journal.songs import ImportSongs, SongRecord, song_row, write_songs
from service.journal.tables import audit
from tests.service.journal.examples import NOON


def act(engine: Engine, what: Any) -> Any:
    with engine.begin() as sql:
        return what(sql)


def register(version: str, *, digest: str = "d", gates_passed: bool = True) -> RegisterBundle:
    return RegisterBundle(
        version=version,
        digest=digest,
        embedding_space="mert",
        gates_passed=gates_passed,
        at=NOON,
        actor="ops",
    )


def promote(version: str, *, digest: str = "d") -> PromoteBundle:
    return PromoteBundle(version=version, digest=digest, at=NOON, actor="ops")


def stage(version: str, name: Stage) -> StageBundle:
    return StageBundle(version=version, stage=name, at=NOON, actor="ops")


ROLL_BACK = RollBack(at=NOON, actor="ops")


@pytest.fixture
def three(engine: Engine) -> Engine:
    """Bundles a, b and c are registered; a was live, b is."""
    for version in "abc":
        act(engine, register(version))
    act(engine, promote("a"))
    act(engine, promote("b"))
    return engine


def test_a_bundle_begins_as_a_candidate(engine: Engine) -> None:
    assert act(engine, register("a")).stage == "candidate"
    assert act(engine, live_bundle) is None


def test_registering_again_changes_nothing(three: Engine) -> None:
    assert act(three, register("b")).stage == "live"


def test_the_same_version_with_another_digest_is_refused(three: Engine) -> None:
    with pytest.raises(BundleError, match="digest"):
        act(three, register("a", digest="other"))
    with pytest.raises(BundleError, match="digest"):
        act(three, promote("c", digest="other"))


def test_promotion_retires_the_bundle_that_was_live(three: Engine) -> None:
    stages = {record.version: record.stage for record in act(three, list_bundles)}

    assert stages == {"a": "retired", "b": "live", "c": "candidate"}
    assert act(three, live_bundle).version == "b"


def test_promoting_the_live_bundle_again_changes_nothing(three: Engine) -> None:
    before = act(three, read_revisions)
    act(three, promote("b"))

    assert act(three, read_revisions) == before
    assert act(three, previous_live_bundle).version == "a"


def test_a_rollback_brings_back_the_bundle_before_and_the_one_before_that(three: Engine) -> None:
    act(three, promote("c"))
    versions = [act(three, ROLL_BACK).version for _ in range(2)]

    assert versions == ["b", "a"]
    with pytest.raises(StageConflict):
        act(three, ROLL_BACK)


def test_after_a_rollback_and_a_promotion_the_way_back_is_to_what_was_live(three: Engine) -> None:
    act(three, ROLL_BACK)
    act(three, promote("c"))

    assert act(three, ROLL_BACK).version == "a"


def test_without_an_earlier_live_bundle_there_is_no_rollback(engine: Engine) -> None:
    with pytest.raises(StageConflict):
        act(engine, ROLL_BACK)


def test_a_bundle_whose_gates_failed_is_not_promoted(engine: Engine) -> None:
    act(engine, register("a", gates_passed=False))

    with pytest.raises(GateError, match="'a'"):
        act(engine, promote("a"))
    assert act(engine, live_bundle) is None


def test_a_bundle_that_cannot_read_every_active_song_is_not_promoted(three: Engine) -> None:
    """No door lets such a song in; it is written past them here."""
    song = SongRecord(Song(song_id="song-1"), None)
    act(three, lambda sql: write_songs(sql, [song_row(song, 1, NOON)], {"clap": np.ones((1, 2))}))

    with pytest.raises(CatalogueGap, match="mert"):
        act(three, promote("c"))
    with pytest.raises(CatalogueGap, match="mert"):
        act(three, ROLL_BACK)
    assert act(three, live_bundle).version == "b"


def test_the_live_bundle_changes_stage_by_promotion_and_rollback_only(three: Engine) -> None:
    with pytest.raises(StageConflict):
        act(three, stage("b", "retired"))
    assert act(three, stage("c", "shadow")).stage == "shadow"


def test_one_bundle_at_a_time_is_in_shadow_and_one_in_canary(three: Engine) -> None:
    act(three, register("d"))
    act(three, stage("c", "shadow"))

    with pytest.raises(StageConflict, match="'c'"):
        act(three, stage("d", "shadow"))
    act(three, stage("d", "canary"))
    held = act(three, serving_bundles)
    assert {role: record.version for role, record in held.items()} == {
        "live": "b",
        "previous": "a",
        "canary": "d",
        "shadow": "c",
    }


@pytest.mark.parametrize("name", ["shadow", "canary"])
def test_a_bundle_meets_requests_only_if_it_passed_its_gates_and_reads_every_song(
    engine: Engine, name: Stage
) -> None:
    act(engine, register("failed", gates_passed=False))
    act(engine, register("a"))

    with pytest.raises(GateError, match="'failed'"):
        act(engine, stage("failed", name))
    song = SongRecord(Song(song_id="song-1"), None)
    act(engine, ImportSongs(songs=[song], embeddings={"clap": np.ones((1, 2))}, at=NOON, actor="ops"))
    with pytest.raises(CatalogueGap, match="mert"):
        act(engine, stage("a", name))


def test_the_stage_a_bundle_is_in_is_no_change(three: Engine) -> None:
    act(three, stage("c", "shadow"))
    before = act(three, read_revisions)

    assert act(three, stage("c", "shadow")).staged_at == NOON
    assert act(three, read_revisions) == before


def test_an_unknown_bundle_is_named(engine: Engine) -> None:
    for what in (promote("z"), stage("z", "shadow"), lambda sql: read_bundle(sql, "z")):
        with pytest.raises(UnknownBundle, match="'z'"):
            act(engine, what)


def test_every_act_raises_the_revision_and_is_on_the_audit(three: Engine) -> None:
    act(three, ROLL_BACK)

    acts = act(three, lambda sql: sql.scalars(select(audit.c.act).order_by(audit.c.audit_number)).all())
    assert acts == [*["register bundle"] * 3, *["promote bundle"] * 2, "roll back"]
    assert act(three, read_revisions).bundles == 6
