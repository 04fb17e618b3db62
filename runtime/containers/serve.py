"""What a container of ours does: prepare what its server needs, then become that server.

The services are those of the embedded profile; compose plays the supervisor's part.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import NoReturn

from emdata.clock import SystemClock
from emdata.errors import ServiceError, SettingError, WarehouseError
from emdata.telemetry import get_logger
from emdata.warehouse import Warehouse
from runtime import models, tasks
from runtime.containers.rescale import follow_taskmanagers
from runtime.context import Context
from runtime.kafka_users import ensure_users
from runtime.observing import observed
from runtime.services import dagster, flink, starrocks
from runtime.services.base import Service
from runtime.topics import create_topics
from runtime.warehouse import warehouse_of
from runtime.watchdog import missing_jobs, watch

DEPLOY_WAIT_S = 300

log = get_logger(__name__)


def serve(context: Context, name: str) -> None:
    """Run the service in the foreground; returns only for one that has an end.

    Raises SettingError for a name that is none, ServiceError when it cannot start.
    """
    served = _served()
    if name not in served:
        raise SettingError("SERVICE", value=name, allowed=", ".join(served), searched=["arguments"])
    served[name](context)


def _served() -> Mapping[str, Callable[[Context], None]]:
    return {
        "migrations": migrate,
        "flink-deploy": deploy_and_watch,
        "dagster-code": _dagster_code,
        "dagster-webserver": lambda context: _become(context, "dagster-web"),
        "dagster-daemon": lambda context: _become(context, "dagster-daemon"),
        "starrocks": _starrocks,
    }


def migrate(context: Context) -> None:
    """Bring databases, state, topics and tables to this release; safe to repeat."""
    open_warehouse(context)
    for name, step in tasks.migrations(context).items():
        text = step()
        log.info("migrated", part=name, result=text)
    text = create_topics(context.settings)
    log.info("migrated", part="topics", result=text)
    folder = context.settings.kafka_users_folder
    if folder is not None:
        log.info("migrated", part="kafka users", result=ensure_users(context.settings, folder))


def open_warehouse(context: Context) -> None:
    """Give a new StarRocks, whose root has no password, the one of this platform."""
    settings = context.settings
    try:
        warehouse_of(context).query("SELECT 1")
    except WarehouseError:
        host, port = settings.starrocks_host, settings.starrocks_mysql_port
        new = Warehouse(host, port, settings.starrocks_user, "", ca_file=settings.starrocks_ca_file)
        password = context.credentials.starrocks_password.replace("'", "''")
        new.execute(f"SET PASSWORD = PASSWORD('{password}')")
        log.info("warehouse_password_set", user=settings.starrocks_user)


def deploy_and_watch(context: Context) -> None:
    """Deploy the Flink jobs, then bring back what is lost and follow the TaskManagers.

    Serves the watchdog's metrics meanwhile.
    """
    flink.prepare(context)
    wait = ("--wait", str(DEPLOY_WAIT_S))
    command = [sys.executable, "-m", "runtime", "flink", "deploy", *wait]
    done = subprocess.run(command, check=False)
    if done.returncode != 0:
        raise ServiceError(f"flink-deploy: the deployment ended with {done.returncode}")
    settings, jobs_file = context.settings, context.paths.flink_jobs_file

    def look() -> list[str]:
        missing = missing_jobs(jobs_file, settings.flink_rest_port, settings.flink_host)
        if not missing:
            follow_taskmanagers(settings, jobs_file)
        return missing

    watch(observed(context, SystemClock(), look))


def _dagster_code(context: Context) -> None:
    """Prepare the models, then become the code server, in which runs are executed too."""
    command = [sys.executable, "-m", "runtime", "dbt", "prepare"]

    def run() -> str:
        done = subprocess.run(command, check=False)
        if done.returncode != 0:
            raise ServiceError(f"models: `emdata dbt prepare` ended with {done.returncode}")
        return ""

    log.info("models_prepared", result=models.prepare(context, run))
    _become(context, "dagster-code")


def _starrocks(context: Context) -> None:
    _replace_process(starrocks.service(context))


def _become(context: Context, name: str) -> None:
    service = next(one for one in dagster.services(context) if one.name == name)
    _replace_process(service)


def _replace_process(service: Service) -> NoReturn:
    service.prepare()
    environment = {**os.environ, **service.environment}
    # The container's process is the server itself: it gets the signals.
    os.execve(service.command[0], service.command, environment)  # noqa: S606
