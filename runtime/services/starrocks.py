"""The embedded StarRocks: DuckDB behind StarRocks' own protocols."""

from __future__ import annotations

import os
import sys

from emdata.errors import WarehouseError, WarehouseUnavailable
from emdata.settings import Settings
from runtime.context import Context
from runtime.services.base import LOOPBACK, NotReady, Service, require_port
from runtime.services.rest import get
from runtime.warehouse import warehouse_of

_BANNERS = {"simulator": "SIMULATED DATA", "live": ""}


def service(context: Context) -> Service:
    """The warehouse server."""
    settings, data = context.settings, context.paths.warehouse
    command = (
        *(sys.executable, "-m", "embedded_starrocks", "--data", str(data)),
        *("--host", settings.bind_host),
        *("--mysql-port", str(settings.starrocks_mysql_port)),
        *("--http-port", str(settings.starrocks_http_port)),
        *("--password-file", str(data / "password")),
        *("--banner", _BANNERS[context.paths.mode]),
        *("--memory-limit", f"{settings.starrocks_memory_mb}MB"),
        *_encryption(settings),
    )
    return Service(
        name="starrocks",
        title="StarRocks (embedded)",
        command=command,
        prepare=lambda: _prepare(context),
        probe=lambda: probe(context),
        ports={
            "STARROCKS_PORT": settings.starrocks_mysql_port,
            "EMDATA_STARROCKS_HTTP_PORT": settings.starrocks_http_port,
        },
        stop_stage=1,
        stop_within=15,
        url=f"mysql://{settings.starrocks_user}@{LOOPBACK}:{settings.starrocks_mysql_port}/"
        f"{settings.starrocks_database}",
    )


def probe(context: Context) -> str:
    """SELECT over 9030 and the health check over 8030."""
    settings = context.settings
    if settings.starrocks_host in (LOOPBACK, "localhost"):
        require_port(settings.starrocks_mysql_port)
        get(settings.starrocks_http_port, "/api/health")
    try:
        rows = warehouse_of(context, timeout=3.0).query("SELECT @@version_comment AS version")
    except (WarehouseUnavailable, WarehouseError) as error:
        raise NotReady(str(error)) from error
    return str(rows[0]["version"]).partition(" (")[0]


def _encryption(settings: Settings) -> list[str]:
    certificate, key = settings.starrocks_certificate_file, settings.starrocks_key_file
    return [*(("--tls-cert", str(certificate)) if certificate else ()),
             *(("--tls-key", str(key)) if key else ())]  # fmt: skip


def _prepare(context: Context) -> None:
    """Write the password where the server reads it (mode 0600)."""
    folder = context.paths.warehouse
    folder.mkdir(parents=True, exist_ok=True)
    scratch = folder / "password.new"
    scratch.unlink(missing_ok=True)
    handle = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(context.credentials.starrocks_password)
    scratch.replace(folder / "password")
