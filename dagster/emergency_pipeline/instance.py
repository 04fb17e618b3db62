"""Dagster's own configuration: the instance, the workspace and the three commands. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from emdata.paths import Paths
from emdata.settings import Settings
from emdata.transport.postgres import postgres_security

MODULE = "emergency_pipeline.definitions"
POSTGRES_VARIABLE = "EMDATA_POSTGRES_PASSWORD"
"""Holds PostgreSQL's password in the environment of Dagster's processes."""


def render_dagster_yaml(settings: Settings, paths: Paths) -> str:
    """Return dagster.yaml: storage in PostgreSQL, one run at a time, no telemetry."""
    config: dict[str, Any] = {
        "storage": {"postgres": {"postgres_db": _database(settings)}},
        "run_coordinator": {
            "module": "dagster.core.run_coordinator",
            "class": "QueuedRunCoordinator",
            "config": {"dequeue_interval_seconds": 1},
        },
        # Runs share a small machine with the servers, and two dbt builds would share tables.
        "concurrency": {"runs": {"max_concurrent_runs": 1}},
        "run_launcher": {"module": "dagster", "class": "DefaultRunLauncher"},
        # A run whose process was killed would otherwise block the queue for ever.
        "run_monitoring": {
            "enabled": True,
            "start_timeout_seconds": 180,
            "max_runtime_seconds": 7200,
            "poll_interval_seconds": 30,
        },
        "compute_logs": {
            "module": "dagster.core.storage.local_compute_log_manager",
            "class": "LocalComputeLogManager",
            "config": {"base_dir": str(paths.dagster / "storage")},
        },
        "local_artifact_storage": {
            "module": "dagster.core.storage.root",
            "class": "LocalArtifactStorage",
            "config": {"base_dir": str(paths.dagster)},
        },
        "retention": {
            "schedule": {"purge_after_days": {"skipped": 3, "success": 30, "failure": 30}},
            "sensor": {"purge_after_days": {"skipped": 1, "success": 7, "failure": 30}},
        },
        "schedules": {"use_threads": True, "num_workers": 2},
        "sensors": {"use_threads": True, "num_workers": 3},
        "auto_materialize": {"enabled": False},
        "telemetry": {"enabled": False},
        "nux": {"enabled": False},
    }
    return yaml.safe_dump(config, sort_keys=False)


def render_workspace_yaml(settings: Settings) -> str:
    """Return workspace.yaml, which points at the code server."""
    server = {
        "host": settings.dagster_code_host,
        "port": settings.dagster_code_port,
        "location_name": "emergency_pipeline",
    }
    return yaml.safe_dump({"load_from": [{"grpc_server": server}]}, sort_keys=False)


def code_server_command(python: Path, settings: Settings) -> list[str]:
    """Return the command of the code server; an error in the definitions shows in the UI."""
    port = str(settings.dagster_code_port)
    return [
        *(str(python), "-m", "dagster", "api", "grpc", "--host", settings.bind_host),
        *("--port", port),
        *("--module-name", MODULE, "--location-name", "emergency_pipeline"),
        *("--lazy-load-user-code", "--max-workers", "4", "--log-level", "warning"),
    ]


def webserver_command(python: Path, settings: Settings, workspace: Path) -> list[str]:
    """Return the command of the web server."""
    port = str(settings.dagster_port)
    return [
        *(str(python), "-m", "dagster_webserver", "--host", settings.bind_host, "--port", port),
        *("--workspace", str(workspace), "--log-level", "warning"),
    ]


def daemon_command(python: Path, workspace: Path) -> list[str]:
    """Return the command of the daemon: schedules, sensors, run queue."""
    return [
        *(str(python), "-m", "dagster._daemon", "run"),
        *("--workspace", str(workspace), "--log-level", "warning"),
    ]


def environment(paths: Paths, postgres_password: str) -> Mapping[str, str]:
    """Return what the three processes need in their environment beside the settings."""
    return {
        "DAGSTER_HOME": str(paths.dagster),
        POSTGRES_VARIABLE: postgres_password,
        "DAGSTER_DISABLE_TELEMETRY": "true",
    }


def _database(settings: Settings) -> dict[str, Any]:
    return {
        # SQLAlchemy's own default is psycopg 3 by now, which dagster-postgres does not speak.
        "scheme": "postgresql+psycopg2",
        "hostname": settings.postgres_host,
        "port": settings.postgres_port,
        "username": settings.postgres_user,
        "password": {"env": POSTGRES_VARIABLE},
        "db_name": settings.postgres_dagster_database,
        "params": postgres_security(settings),
    }
