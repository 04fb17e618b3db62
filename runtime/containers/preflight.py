"""What is checked before a container starts; every problem is one line that says what to do."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path

from emdata.settings import REPOSITORY, Settings
from runtime.containers.engine import (
    COMPOSE_VERSION,
    ENGINE_VERSION,
    EngineMissing,
    compose_version,
    engine_version,
)
from runtime.install import missing_jars, read_jar_lock
from runtime.preflight import available_memory_mb, check_home, check_ports, check_python

MEMORY_MB = {"starrocks": 7000, "lite": 3500}
"""Available memory needed; monitoring and the Kafka UI ask for 700 MB more each."""
_EXTRA_MB = 700
_DISK_MB = 8000
_CPU_INFO = Path("/proc/cpuinfo")


def published_ports(settings: Settings, *, is_simulated: bool) -> dict[str, int]:
    """Ports that the chosen containers publish on the loopback address, by setting."""
    ports = {
        "EMDATA_KAFKA_PORT": settings.kafka_port,
        "EMDATA_POSTGRES_PORT": settings.postgres_port,
        "STARROCKS_PORT": settings.starrocks_mysql_port,
        "EMDATA_STARROCKS_HTTP_PORT": settings.starrocks_http_port,
        "EMDATA_MANAGER_PORT": settings.manager_port,
        "EMDATA_API_PORT": settings.api_port,
        "EMDATA_FLINK_REST_PORT": settings.flink_rest_port,
        "EMDATA_DAGSTER_PORT": settings.dagster_port,
    }
    if is_simulated:
        ports["EMDATA_SIMULATOR_PORT"] = settings.simulator_port
    if "ui" in settings.compose_profiles:
        ports["EMDATA_KAFKA_UI_PORT"] = settings.kafka_ui_port
    if "monitoring" in settings.compose_profiles:
        ports["EMDATA_PROMETHEUS_PORT"] = settings.prometheus_port
        ports["EMDATA_GRAFANA_PORT"] = settings.grafana_port
    if "mqtt" in settings.compose_profiles:
        ports["EMDATA_MQTT_PORT"] = settings.mqtt_port
    return ports


def check_engine() -> list[str]:
    """An engine and Compose answer, and are new enough for the file's health checks."""
    try:
        engine, compose = engine_version(), compose_version()
    except EngineMissing as error:
        return [f"{error}; install Docker with Compose and start it, or use PROFILE=embedded"]
    problems = []
    if engine < ENGINE_VERSION:
        problems.append(_old("engine", engine, ENGINE_VERSION))
    if compose is not None and compose < COMPOSE_VERSION:
        problems.append(_old("compose", compose, COMPOSE_VERSION))
    return problems


def check_processor(settings: Settings, cpu_info: str, machine: str) -> list[str]:
    """StarRocks' back end runs on x86-64 with AVX2, or on arm64 by itself (not emulated)."""
    if "starrocks" not in settings.compose_profiles or machine in ("aarch64", "arm64"):
        return []
    if machine not in ("x86_64", "AMD64"):
        return [f"processor: StarRocks has no image for {machine}; set COMPOSE_PROFILES=lite"]
    flags = next((line for line in cpu_info.splitlines() if line.startswith("flags")), "avx2")
    if "avx2" in flags.split() or flags == "avx2":
        return []
    return ["processor: StarRocks' back end needs AVX2; set COMPOSE_PROFILES=lite"]


def check_memory(settings: Settings, available_mb: int) -> list[str]:
    """Enough for the chosen containers."""
    kind = "lite" if "lite" in settings.compose_profiles else "starrocks"
    extras = len({"ui", "monitoring"} & set(settings.compose_profiles))
    needed = MEMORY_MB[kind] + extras * _EXTRA_MB
    if available_mb >= needed:
        return []
    help_ = "" if kind == "lite" else ", or set COMPOSE_PROFILES=lite (3500 MB)"
    return [f"memory: {available_mb} MB available, {needed} MB needed; close programs{help_}"]


def check_agent(lock: Path, jars: Path) -> list[str]:
    """The jar that the broker's container gets from here is there, and is the locked one."""
    agents = [jar for jar in read_jar_lock(lock) if jar.folder == "agents"]
    return [
        f"installation: {jar.filename} is missing or damaged in {jars}; run `make dev-setup`"
        for jar in missing_jars(agents, jars)
    ]


def preflight(settings: Settings, ports: Mapping[str, int], data: Path) -> list[str]:
    """All problems found; empty when the containers can start. ``ports``: not yet ours."""
    problems = check_python() + check_home(settings.home, _DISK_MB) + check_engine()
    if problems:
        return problems
    cpu_info = _CPU_INFO.read_text(encoding="utf-8") if _CPU_INFO.exists() else ""
    return [
        *check_processor(settings, cpu_info, platform.machine()),
        *check_memory(settings, available_memory_mb()),
        *check_agent(REPOSITORY / "requirements" / "jars.lock", settings.tools_dir / "jars"),
        *check_ports(ports, data),
    ]


def _old(what: str, found: tuple[int, int], needed: tuple[int, int]) -> str:
    versions = ["{}.{}".format(*found), "{}.{}".format(*needed)]
    return f"{what}: version {versions[0]} is too old, {versions[1]} is needed"
