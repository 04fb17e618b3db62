"""The StarRocks user that the open API reads with: it may select, and nothing else.

Source: StarRocks 3.5 documentation, "CREATE USER", "ALTER USER", "GRANT".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from emdata.derive.starrocks import quote
from emdata.warehouse_accounts import user_statements

READER = "api_reader"
_KINDS = ("TABLES", "VIEWS", "MATERIALIZED VIEWS")


def reader_statements(password: str, databases: Iterable[str]) -> Iterator[str]:
    """Yield what makes the user with this password and lets it read, now and what comes later.

    Each can be run again. A grant on ALL holds for tables that are made later, too.
    """
    yield from user_statements(READER, password)
    for database in databases:
        for kind in _KINDS:
            yield f"GRANT SELECT ON ALL {kind} IN DATABASE {quote(database)} TO USER '{READER}'"
