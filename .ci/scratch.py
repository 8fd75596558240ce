"""A PostgreSQL database and a Redis key prefix for one run of the tests: `scratch.py create|drop NAME`.

`create` prints the variables to export, or a reason and status 1 where one of the two does not answer.
`drop` removes the database and every key under the prefix, and touches nothing else.
"""

import getpass
import sys

import psycopg
import redis
from psycopg import sql

REDIS_URL = "redis://127.0.0.1:6379/0"


def postgres() -> psycopg.Connection:
    """Return a connection as the current user, or else as `postgres`, with two seconds' patience."""
    for user in (getpass.getuser(), "postgres"):
        try:
            return psycopg.connect(
                host="127.0.0.1", port=5432, user=user, dbname="postgres", connect_timeout=2, autocommit=True
            )
        except psycopg.OperationalError as error:
            refusal = error
    raise refusal


def create(name: str) -> None:
    """Make the database and print what the tests need to know."""
    redis.Redis.from_url(REDIS_URL, socket_timeout=2).ping()
    with postgres() as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        user = connection.info.user
    sys.stdout.write(
        f"export AMRS_TEST_DATABASE_URL=postgresql+psycopg://{user}@127.0.0.1:5432/{name}\n"
        f"export AMRS_TEST_REDIS_URL={REDIS_URL}\n"
        f"export AMRS_TEST_REDIS_PREFIX={name}:\n"
    )


def drop(name: str) -> None:
    """Remove the database and the keys."""
    with postgres() as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
    store = redis.Redis.from_url(REDIS_URL, socket_timeout=2)
    for key in store.scan_iter(f"{name}:*", count=1000):
        store.unlink(key)


if __name__ == "__main__":
    try:
        {"create": create, "drop": drop}[sys.argv[1]](sys.argv[2])
    except (psycopg.OperationalError, redis.RedisError) as error:
        sys.exit(f"no PostgreSQL and Redis on this machine, so SQLite and a private Redis alone: {error}")
