"""The StarRocks user that the open API reads with: it may select, and nothing else.

Source: StarRocks 3.5 documentation, "CREATE USER", "ALTER USER", "GRANT".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pymysql.converters import escape_string

from emdata.derive.starrocks import quote

READER = "api_reader"
_KINDS = ("TABLES", "VIEWS", "MATERIALIZED VIEWS")


def reader_statements(password: str, databases: Iterable[str]) -> Iterator[str]:
    """Yield what makes the user with this password and lets it read, now and what comes later.

    Each can be run again. A grant on ALL holds for tables that are made later, too.
    """
    identified = f"IDENTIFIED BY '{escape_string(password)}'"
    yield f"CREATE USER IF NOT EXISTS '{READER}' {identified}"
    yield f"ALTER USER '{READER}' {identified}"
    for database in databases:
        for kind in _KINDS:
            yield f"GRANT SELECT ON ALL {kind} IN DATABASE {quote(database)} TO USER '{READER}'"
