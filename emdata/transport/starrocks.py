"""How StarRocks is reached over the MySQL protocol: whose certificate is trusted."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def pymysql_security(ca_file: Path | None) -> dict[str, Any]:
    """What PyMySQL needs to encrypt and to verify the server; nothing without an authority.

    Source: PyMySQL's documentation, "Connection object".
    """
    if ca_file is None:
        return {}
    return {"ssl_ca": str(ca_file), "ssl_verify_cert": True, "ssl_verify_identity": True}
