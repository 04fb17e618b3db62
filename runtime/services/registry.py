"""All services of the embedded profile, in the order in which they are shown."""

from __future__ import annotations

from emdata.errors import SettingError
from runtime.context import Context
from runtime.install import Java
from runtime.services import (
    api,
    dagster,
    flink,
    kafka,
    manager,
    postgres,
    simulator,
    starrocks,
    watchdog,
)
from runtime.services.base import LOOPBACK, Service

_LOCAL = (LOOPBACK, "localhost")


def all_services(context: Context, java: Java) -> list[Service]:
    """The services this platform runs itself; servers that a setting names elsewhere are not."""
    settings = context.settings
    services: list[Service] = []
    if settings.postgres_host in _LOCAL:
        services.append(postgres.service(context))
    if not settings.kafka_bootstrap_servers:
        services.append(kafka.service(context, java))
    services += [flink.jobmanager(context, java), flink.taskmanager(context, java)]
    if settings.starrocks_host in _LOCAL:
        services.append(starrocks.service(context))
    if context.paths.mode == "simulator":
        services.append(simulator.service(context))
    services += [manager.service(context), watchdog.service(context), api.service(context)]
    return [*services, *dagster.services(context)]


def away(context: Context) -> set[str]:
    """Servers that settings name elsewhere: used, but neither started nor stopped here."""
    settings = context.settings
    names = set()
    if settings.postgres_host not in _LOCAL:
        names.add("postgres")
    if settings.kafka_bootstrap_servers:
        names.add("kafka")
    if settings.starrocks_host not in _LOCAL:
        names.add("starrocks")
    return names


def choose(services: list[Service], only: str) -> list[Service]:
    """The services named in a comma-separated list; all for an empty one."""
    if not only:
        return services
    wanted = [name.strip() for name in only.split(",") if name.strip()]
    names = [service.name for service in services]
    for name in wanted:
        if name not in names:
            raise SettingError("--only", value=name, allowed=", ".join(names), searched=["options"])
    return [service for service in services if service.name in wanted]
