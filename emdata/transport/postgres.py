"""How PostgreSQL is reached: libpq's own words for encryption and trust."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emdata.settings import Settings


def postgres_security(settings: Settings) -> dict[str, str]:
    """libpq's ``sslmode`` and ``sslrootcert``; empty where libpq's defaults hold.

    Source: PostgreSQL's documentation, "SSL Support" of libpq.
    """
    options: dict[str, str] = {"sslmode": settings.postgres_tls}
    if settings.postgres_ca_file is not None:
        options["sslrootcert"] = str(settings.postgres_ca_file)
    return {name: value for name, value in options.items() if value}
