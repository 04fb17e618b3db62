"""Connections to PostgreSQL and its migrations."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import URL, Connection, Engine, create_engine
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from emdata.errors import StateUnavailable
from emdata.transport.postgres import postgres_security

if TYPE_CHECKING:
    from emdata.settings import Settings

MIGRATIONS = Path(__file__).parent / "migrations"
LOCK = 7_263_001  # one migration at a time, whoever starts it


def dsn_of(settings: Settings, password: str) -> str:
    """Return SQLAlchemy's address of the state, with the password in it."""
    return URL.create(
        "postgresql+psycopg",
        username=settings.postgres_user,
        password=password,
        host=settings.postgres_host,
        port=settings.postgres_port,
        database=settings.postgres_database,
        query=postgres_security(settings),
    ).render_as_string(hide_password=False)


def connect(dsn: str) -> Engine:
    """Return an engine for ``postgresql+psycopg://...``; nothing is opened until it is used.

    Connections fail within 5 s when the server is away, so that callers can go on without it. One
    whose other end is gone without a word (half open) fails within about 20 s.
    """
    return create_engine(
        dsn,
        pool_size=2,
        max_overflow=4,
        pool_pre_ping=True,
        connect_args={
            "connect_timeout": 5,
            "tcp_user_timeout": 15_000,  # ms without an acknowledgment of what was sent
            "keepalives_idle": 5,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "options": "-c timezone=UTC -c statement_timeout=60s",
        },
    )


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """Yield a connection in one transaction.

    Raises StateUnavailable when PostgreSQL cannot be reached or goes away meanwhile.
    """
    try:
        with engine.begin() as connection:
            yield connection
    except (OperationalError, InterfaceError) as error:
        raise StateUnavailable(f"PostgreSQL: {error.orig}") from error
    except PoolTimeout as error:
        raise StateUnavailable(f"PostgreSQL: {error}") from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise StateUnavailable(f"PostgreSQL: {error.orig}") from error
        raise


def upgrade(dsn: str) -> str | None:
    """Bring the schema to the newest revision; returns that revision.

    Two callers at once are serialized by an advisory lock.
    """
    from alembic import command
    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext
    from sqlalchemy import text

    engine = connect(dsn)
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT pg_advisory_lock(:id)"), {"id": LOCK})
            try:
                config = Config()
                config.set_main_option("script_location", str(MIGRATIONS))
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
                return MigrationContext.configure(connection).get_current_revision()
            finally:
                connection.rollback()
                connection.execute(text("SELECT pg_advisory_unlock(:id)"), {"id": LOCK})
    finally:
        engine.dispose()
