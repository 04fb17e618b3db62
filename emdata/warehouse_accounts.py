"""StarRocks' users by role: who loads and who transforms; who reads is in ``reader_account``.

Migrations, deployments and the ledger's keeper come as the administrator of the settings. Grants on
ALL hold for what is made later, too. Source: StarRocks 3.5 documentation, "GRANT",
"Privilege items".
"""

from __future__ import annotations

from collections.abc import Iterator

from pymysql.converters import escape_string

from emdata.derive.starrocks import RAW_DATABASE, quote

LOADER = "loader"
"""Flink's sinks: they write landed tables and windows, and read nothing of the models."""
TRANSFORMER = "transformer"
"""dbt: it reads what has landed, and owns the database of the models."""


def user_statements(user: str, password: str) -> Iterator[str]:
    """Yield what makes a user with this password; each can be run again."""
    identified = f"IDENTIFIED BY '{escape_string(password)}'"
    yield f"CREATE USER IF NOT EXISTS '{user}' {identified}"
    yield f"ALTER USER '{user}' {identified}"


def loader_statements(password: str) -> Iterator[str]:
    """Yield what makes the loader."""
    yield from user_statements(LOADER, password)
    place = f"IN DATABASE {quote(RAW_DATABASE)} TO USER '{LOADER}'"
    yield f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES {place}"


def transformer_statements(password: str, database: str) -> Iterator[str]:
    """Yield what makes the transformer of the models' database."""
    yield from user_statements(TRANSFORMER, password)
    user = f"TO USER '{TRANSFORMER}'"
    raw, models = (f"IN DATABASE {quote(name)} {user}" for name in (RAW_DATABASE, database))
    yield f"GRANT SELECT ON ALL TABLES {raw}"
    yield f"GRANT SELECT ON ALL VIEWS {raw}"
    made = "CREATE TABLE, CREATE VIEW, CREATE MATERIALIZED VIEW"
    yield f"GRANT {made} ON DATABASE {quote(database)} {user}"
    yield f"GRANT SELECT, INSERT, UPDATE, DELETE, ALTER, DROP ON ALL TABLES {models}"
    yield f"GRANT SELECT, ALTER, DROP ON ALL VIEWS {models}"
    yield f"GRANT SELECT, ALTER, REFRESH, DROP ON ALL MATERIALIZED VIEWS {models}"
