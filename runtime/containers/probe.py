"""What the engine asks a container of ours: does its server do its work?"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from emdata.errors import SettingError
from runtime.context import Context
from runtime.services import dagster, manager, simulator, starrocks
from runtime.services.base import NotReady
from runtime.services.rest import get
from runtime.watchdog import missing_jobs

WEBSERVER = "dagster-webserver"  # the name of the service in docker-compose.yml
API_PORT = 8000


def probe(context: Context, name: str) -> str:
    """Return a short text when the service of this container is ready.

    Raises NotReady saying why it is not, SettingError for a name that is none.
    """
    probes = _probes()
    if name not in probes:
        raise SettingError("SERVICE", value=name, allowed=", ".join(probes), searched=["arguments"])
    return probes[name](context)


def _probes() -> Mapping[str, Callable[[Context], str]]:
    return {
        "scrapers": manager.probe,
        "simulator": simulator.probe,
        "api": _api,
        "starrocks": starrocks.probe,
        "flink-deploy": _jobs,
        "dagster-code": dagster.probe_code,
        "dagster-webserver": dagster.probe_web,
        "dagster-daemon": lambda context: dagster.probe_daemon(context, WEBSERVER),
    }


def _api(_context: Context) -> str:
    get(API_PORT, "/health")
    return ""


def _jobs(context: Context) -> str:
    """Ready when jobs are deployed and the cluster has all of them."""
    settings, file = context.settings, context.paths.flink_jobs_file
    if not file.exists():
        raise NotReady("no job is deployed yet")
    missing = missing_jobs(file, settings.flink_rest_port, settings.flink_host)
    if missing:
        raise NotReady(f"jobs are missing: {', '.join(missing)}")
    return "no job missing"
