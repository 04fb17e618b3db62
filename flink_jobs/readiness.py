"""Waits until the servers that a deployment talks to are there."""

from __future__ import annotations

import time

from emdata.contracts import contracts
from emdata.credentials import read_credentials
from emdata.errors import ServiceError, TransientError
from emdata.settings import Settings
from emdata.warehouse import Warehouse
from flink_jobs.offsets import Offsets
from flink_jobs.rest import FlinkRest
from flink_jobs.tables import WindowTables

_POLL_S = 0.5


def wait_for_servers(settings: Settings, timeout: float) -> None:
    """Wait for a TaskManager, the raw tables and the topics.

    Raises ServiceError after ``timeout`` seconds, naming what is still missing.
    """
    deadline = time.monotonic() + timeout
    while True:
        missing = _missing(settings)
        if not missing:
            return
        if time.monotonic() > deadline:
            raise ServiceError(f"flink deploy waited {timeout:g} s: {missing}")
        time.sleep(_POLL_S)


def _missing(settings: Settings) -> str:
    """What is missing first, or an empty text."""
    try:
        with FlinkRest(settings.flink_host, settings.flink_rest_port) as rest:
            if rest.slots() == 0:
                return "no TaskManager has registered"
        warehouse = Warehouse.of(settings, read_credentials(settings).starrocks_password)
        tables = WindowTables(warehouse, ()).missing(contracts())
        if tables:
            return f"no table raw_data.{tables[0]}; run `emdata migrate`"
        topics = Offsets(settings.kafka).missing(
            record.dataset.topic for record in contracts().values()
        )
        return f"no topic {topics[0]}" if topics else ""
    except TransientError as error:
        return str(error)
