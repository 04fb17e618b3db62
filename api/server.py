"""The API's process: composes the parts from the settings and serves until a signal."""

from __future__ import annotations

import gc
import ssl
from collections.abc import Callable
from typing import Any

import uvicorn
from fastapi import FastAPI

from api.access.access import Access, check_access
from api.app import create_app
from api.caching.answers import Answers
from api.catalog.catalog import Catalog
from api.context import Api
from api.fairness.fairness import Fairness
from api.reading.reader import Address, Reader
from api.reading.versions import Versions
from api.serving.metrics_server import serve_metrics, share_metrics
from api.serving.protocol import GuardedProtocol
from api.streams.hub import Hub, HubLimits
from api.streams.tail import TailConfig
from api.submitting.door import Door
from api.usage.usage import Usage
from api.web.assets import Assets
from emdata.bulk.shelf import Shelf
from emdata.clock import SystemClock
from emdata.credentials import read_credentials
from emdata.errors import SettingError
from emdata.paths import paths_for
from emdata.reader_account import READER
from emdata.settings import Settings, load_settings
from emdata.state.database import connect, dsn_of
from emdata.telemetry import configure_logging

WEBSOCKET_BYTES = 64 << 10
BACKLOG = 4096
KEEP_ALIVE_SECONDS = 15
HEALTH_SECONDS = 60
"""A worker that imports on a busy machine answers late; killed for that, it never starts."""
METRICS_FOLDER = "api-metrics"
STOP_SECONDS = 8


def build() -> FastAPI:
    """Return the application of the settings in force; uvicorn calls it in every process."""
    settings = load_settings()
    configure_logging("api", settings.log_level)
    app = create_app(parts_of(settings))
    # What was imported stays: without it a full collection takes some ms of the loop, not 60.
    gc.collect()
    gc.freeze()
    return app


def parts_of(settings: Settings) -> Api:
    """Return the parts of the platform that the settings name."""
    paths, credentials = paths_for(settings), read_credentials(settings)
    address = Address(
        settings.starrocks_host,
        settings.starrocks_mysql_port,
        READER,
        credentials.starrocks_reader_password,
        ca_file=settings.starrocks_ca_file,
    )
    dsn = dsn_of(settings, credentials.postgres_password)
    engine = connect(dsn)
    clock = SystemClock()
    catalog = Catalog.of(paths.dbt_project / "models", settings.starrocks_database)
    reader = Reader(address, settings.api_connections)
    return Api(
        settings=settings,
        catalog=catalog,
        reader=reader,
        answers=Answers(Versions(reader, catalog, clock), settings.api_cache_mb << 20),
        engine=engine,
        clock=clock,
        is_simulated=paths.mode == "simulator",
        hub=Hub(TailConfig(settings.kafka), HubLimits()),
        access=Access.of(paths, engine, clock, credentials.audit_key),
        fairness=Fairness.of(settings, dsn, clock),
        usage=Usage.of(paths, credentials.api_push_key),
        door=Door(settings.manager_urls, credentials.api_push_key),
        shelf=Shelf.of(paths),
        assets=Assets.of(paths),
    )


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises ServiceError when the metrics' port is taken, and as ``check_access``.
    """
    _check(settings)
    folder = paths_for(settings).run / METRICS_FOLDER if settings.api_workers > 1 else None
    if folder is not None:
        share_metrics(folder)
    stop_metrics = serve_metrics(settings.api_metrics_host, settings.api_metrics_port, folder)
    try:
        uvicorn.run(
            "api.server:build",
            factory=True,
            host=settings.api_host,
            port=settings.api_port,
            workers=settings.api_workers,
            http=GuardedProtocol,
            ws_max_size=WEBSOCKET_BYTES,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            log_config=None,
            access_log=False,
            server_header=False,
            # Anybody could write X-Forwarded-For; see EMDATA_API_TRUSTED_PROXIES.
            proxy_headers=False,
            timeout_graceful_shutdown=STOP_SECONDS,
            timeout_worker_healthcheck=HEALTH_SECONDS,
            **encryption(settings),
        )
    finally:
        stop_metrics()


def encryption(settings: Settings) -> dict[str, Any]:
    """What makes uvicorn speak TLS 1.3 and nothing older; empty without a certificate.

    Raises SettingError for half a pair.
    """
    pair = (settings.api_certificate_file, settings.api_key_file)
    if pair == (None, None):
        return {}
    if None in pair:
        raise SettingError(
            "EMDATA_API_CERTIFICATE_FILE", value=str(pair[0]), allowed="with EMDATA_API_KEY_FILE"
        )
    return {"ssl_certfile": pair[0], "ssl_keyfile": pair[1], "ssl_context_factory": _tls13}


def _tls13(_config: uvicorn.Config, default: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    context = default()
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


def _check(settings: Settings) -> None:
    paths, credentials = paths_for(settings), read_credentials(settings)
    engine = connect(dsn_of(settings, credentials.postgres_password))
    try:
        check_access(paths, engine, credentials.audit_key)
    finally:
        engine.dispose()
