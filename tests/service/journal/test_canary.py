"""Only an operator enrols a listener for canary bundles, by name, and a clinical one only by saying so."""

import pytest
from sqlalchemy import Engine, delete, select

from models.listening import Population
from service.errors import ClinicalListener, UnknownListener
from service.journal.canary import EnrolListener, ReleaseListener, read_enrolments
from service.journal.tables import audit, listeners
from tests.service.journal.examples import LISTENER, NOON, start, write
from tests.service.journal.test_bundles import act


def enrol(*, clinical: bool = False) -> EnrolListener:
    return EnrolListener(listener=LISTENER, clinical=clinical, at=NOON, actor="ops")


def test_a_listener_is_enrolled_by_name_and_released(engine: Engine) -> None:
    write(engine, start())
    act(engine, enrol())
    act(engine, enrol())

    assert [each.listener for each in act(engine, read_enrolments)] == [LISTENER]
    assert act(engine, ReleaseListener(listener=LISTENER, at=NOON, actor="ops"))
    assert not act(engine, ReleaseListener(listener=LISTENER, at=NOON, actor="ops"))
    assert act(engine, read_enrolments) == []


def test_nobody_unknown_is_enrolled(engine: Engine) -> None:
    with pytest.raises(UnknownListener, match="'l-1'"):
        act(engine, enrol())


def test_a_clinical_listener_is_enrolled_only_by_saying_so(engine: Engine) -> None:
    write(engine, start(population=Population.CLINICAL))

    with pytest.raises(ClinicalListener):
        act(engine, enrol())
    assert act(engine, read_enrolments) == []
    assert act(engine, enrol(clinical=True)).clinical


def test_the_audit_names_no_listener_and_erasure_ends_the_enrolment(engine: Engine) -> None:
    write(engine, start())
    act(engine, enrol())
    act(engine, lambda sql: sql.execute(delete(listeners)))

    assert act(engine, read_enrolments) == []
    entries = act(engine, lambda sql: sql.execute(select(audit.c.act, audit.c.subject)).all())
    assert [act_name for act_name, _ in entries] == ["enrol canary listener"]
    assert all("l-1" not in subject for _, subject in entries)
