"""A key opens what its scopes say, for its own app; what cannot be confirmed opens nothing."""

import pytest

from models.errors import Unavailable
from service.access.caller import EVERY_SCOPE, Scope
from service.access.keyring import ANYBODY, STALE_SECONDS, Keyring
from service.access.secrets import Presented, digest_of, make_key, spell
from service.errors import Unauthorized
from service.journal.journal import open_journal
from service.journal.keys import CreateKey, RevokeKey
from service.settings import Settings

pytestmark = pytest.mark.anyio

KEY, OTHER = "k" * 16, "o" * 16


class SteppedSeconds:
    """A clock of seconds that a test puts forward."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def made(key: Presented, **changed: object) -> CreateKey:
    given = {"app_id": "clinic", "scopes": {Scope.APP}, "digest": digest_of(key.secret), "at": 1, "actor": "tests"}
    return CreateKey(key_id=key.key_id, **(given | changed))  # type: ignore[arg-type]


def bearer(key: Presented) -> str:
    return f"Bearer {spell(key)}"


async def test_anybody_on_this_machine_may_call_while_there_is_no_key(database_url):
    async with open_journal(database_url) as journal:
        keyring = Keyring(Settings())
        await keyring.look(journal)

        assert keyring.caller("") is ANYBODY
        key = make_key()
        await journal.administer(made(key))
        await keyring.look(journal)
        with pytest.raises(Unauthorized):
            keyring.caller("")
        await journal.administer(RevokeKey(key_id=key.key_id, at=2, actor="tests"))
        await keyring.look(journal)
        with pytest.raises(Unauthorized):
            keyring.caller("")


async def test_nobody_elsewhere_may_call_without_a_key(database_url):
    async with open_journal(database_url) as journal:
        keyring = Keyring(Settings(host="0.0.0.0"))
        await keyring.look(journal)

        with pytest.raises(Unauthorized):
            keyring.caller("")


async def test_a_key_speaks_for_its_app_with_its_scopes_until_it_is_revoked(database_url):
    key, operators = make_key(), make_key()
    async with open_journal(database_url) as journal:
        keyring = Keyring(Settings())
        await journal.administer(made(key))
        await journal.administer(made(operators, app_id="other", scopes={Scope.OPERATOR, Scope.AUDITOR}))
        await keyring.look(journal)

        caller, operator = keyring.caller(bearer(key)), keyring.caller(bearer(operators))
        await journal.administer(RevokeKey(key_id=key.key_id, at=2, actor="tests"))
        still = keyring.caller(bearer(key))
        await keyring.look(journal)

        assert (caller.app_id, caller.scopes, caller.name) == ("clinic", {Scope.APP}, f"key {key.key_id}")
        assert (operator.app_id, operator.scopes) == ("other", {Scope.OPERATOR, Scope.AUDITOR})
        assert still == caller
        with pytest.raises(Unauthorized):
            keyring.caller(bearer(key))
        assert keyring.caller(bearer(operators)) == operator


async def test_sql_holds_nothing_that_opens(database_url):
    key = make_key()
    async with open_journal(database_url) as journal:
        await journal.administer(made(key))
        rows = await journal.read(lambda sql: str(sql.exec_driver_sql("SELECT * FROM api_keys").all()))

    assert key.key_id in rows
    assert key.secret not in rows


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "Bearer",
        "Bearer ",
        f"Basic {KEY}",
        f"Bearer {KEY}x",
        "Bearer amrs_aaaaaaaaaaaaaaaa_" + "A" * 43,
        "Bearer \x00",
    ],
)
async def test_keeps_everybody_else_out(database_url, wrong):
    async with open_journal(database_url) as journal:
        keyring = Keyring(Settings(api_keys=(KEY,)))
        key = make_key()
        await journal.administer(made(key))
        await keyring.look(journal)

        for header in (wrong, bearer(key._replace(secret="A" * 43)), bearer(key)[:-1], f"{bearer(key)}A"):
            with pytest.raises(Unauthorized) as caught:
                keyring.caller(header)
            assert KEY not in str(caught.value)
            assert key.secret[:8] not in str(caught.value)


async def test_keys_of_the_environment_open_everything_of_the_default_app():
    keyring = Keyring(Settings(api_keys=(KEY, OTHER)))

    for number, key in enumerate((KEY, OTHER), 1):
        caller = keyring.caller(f"bearer {key}")
        assert (caller.app_id, caller.scopes) == ("default", EVERY_SCOPE)
        assert caller.name == f"bootstrap key {number}"


async def test_keys_that_sql_has_not_confirmed_for_long_open_nothing(database_url):
    clock = SteppedSeconds()
    key = make_key()
    async with open_journal(database_url) as journal:
        keyring = Keyring(Settings(api_keys=(KEY,)), now=clock)
        await journal.administer(made(key))
        await keyring.look(journal)
        clock.seconds += STALE_SECONDS
        assert keyring.caller(bearer(key)).app_id == "clinic"
        clock.seconds += 0.1

        with pytest.raises(Unavailable):
            keyring.caller(bearer(key))
        assert keyring.caller(f"Bearer {KEY}").app_id == "default"
        await keyring.look(journal)
        assert keyring.caller(bearer(key)).app_id == "clinic"
