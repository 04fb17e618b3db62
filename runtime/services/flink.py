"""Flink's JobManager and TaskManager, started from the jars of the PyFlink package."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from emdata.errors import ServiceError
from runtime.context import Context
from runtime.install import Java
from runtime.services.base import LOOPBACK, NotReady, Service
from runtime.services.rest import get_json

SLOTS = 8  # the jobs, and one that rebuilds beside them
_FRAMEWORK_HEAP_MB = 64
_FRAMEWORK_OFF_HEAP_MB = 64
_TASK_OFF_HEAP_MB = 32
_NETWORK_MB = 32
_METASPACE_MB = 192
_OPENED = (
    *("lang", "net", "io", "nio", "lang.reflect", "text", "time", "util"),
    *("util.concurrent", "util.concurrent.atomic", "util.concurrent.locks"),
)
_LOG4J = """\
rootLogger.level = INFO
rootLogger.appenderRef.console.ref = Console
logger.pekko.name = org.apache.pekko
logger.pekko.level = WARN
logger.kafka.name = org.apache.kafka
logger.kafka.level = WARN
logger.checkpoints.name = org.apache.flink.runtime.checkpoint.CheckpointCoordinator
logger.checkpoints.level = WARN
logger.load.name = com.starrocks.data.load.stream
logger.load.level = WARN
logger.sink.name = com.starrocks.connector.flink
logger.sink.level = WARN
appender.console.name = Console
appender.console.type = CONSOLE
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{ISO8601}{UTC}Z %-5p %c{1.} - %m%n
"""


def config(context: Context) -> dict[str, str]:
    """Flink's configuration, shared by both processes and by the client."""
    settings, paths = context.settings, context.paths
    return {
        "jobmanager.rpc.address": settings.flink_host,
        "jobmanager.rpc.port": str(settings.flink_rpc_port),
        "jobmanager.bind-host": LOOPBACK,
        "blob.server.port": str(settings.flink_blob_port),
        "rest.address": settings.flink_host,
        "rest.bind-address": LOOPBACK,
        "rest.port": str(settings.flink_rest_port),
        "rest.bind-port": str(settings.flink_rest_port),
        "web.submit.enable": "false",
        "taskmanager.host": LOOPBACK,
        "taskmanager.bind-host": LOOPBACK,
        "taskmanager.rpc.port": str(settings.flink_taskmanager_rpc_port),
        "taskmanager.data.port": str(settings.flink_taskmanager_data_port),
        "taskmanager.numberOfTaskSlots": str(SLOTS),
        "parallelism.default": "1",
        # Started without Flink's scripts, which would derive these
        "taskmanager.cpu.cores": "2.0",
        "taskmanager.memory.framework.heap.size": f"{_FRAMEWORK_HEAP_MB}m",
        "taskmanager.memory.framework.off-heap.size": f"{_FRAMEWORK_OFF_HEAP_MB}m",
        "taskmanager.memory.task.heap.size": f"{_task_heap_mb(context)}m",
        "taskmanager.memory.task.off-heap.size": f"{_TASK_OFF_HEAP_MB}m",
        "taskmanager.memory.network.min": f"{_NETWORK_MB}m",
        "taskmanager.memory.network.max": f"{_NETWORK_MB}m",
        "taskmanager.memory.managed.size": "0m",
        "taskmanager.memory.jvm-metaspace.size": f"{_METASPACE_MB}m",
        "taskmanager.memory.jvm-overhead.min": "64m",
        "taskmanager.memory.jvm-overhead.max": "64m",
        # Window state is small (about 100 bytes a key) and fits the heap
        "state.backend.type": "hashmap",
        "execution.checkpointing.dir": paths.checkpoints.as_uri(),
        "execution.checkpointing.savepoint-dir": paths.savepoints.as_uri(),
        "execution.checkpointing.interval": f"{settings.flink_checkpoint_ms} ms",
        "execution.checkpointing.timeout": "2 min",
        "execution.checkpointing.tolerable-failed-checkpoints": "2147483647",
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        "restart-strategy.type": "exponential-delay",
        "restart-strategy.exponential-delay.initial-backoff": "1 s",
        "restart-strategy.exponential-delay.max-backoff": "10 s",
        "restart-strategy.exponential-delay.reset-backoff-threshold": "1 min",
        # A killed TaskManager is noticed within seconds; a busy 2-core machine must not look dead
        "heartbeat.interval": "2 s",
        "heartbeat.timeout": "15 s",
        "heartbeat.rpc-failure-threshold": "2",
        "metrics.reporter.prom.factory.class": (
            "org.apache.flink.metrics.prometheus.PrometheusReporterFactory"
        ),
        "metrics.reporter.prom.port": str(settings.flink_metrics_port),
        "io.tmp.dirs": str(paths.flink / "tmp"),
        "classloader.resolve-order": "parent-first",
    }


def client_environment(context: Context, java: Java) -> dict[str, str]:
    """Environment of the servers and of a PyFlink client: one class path for all of them."""
    home = context.paths.flink_home
    return {
        "FLINK_HOME": str(home),
        "FLINK_CONF_DIR": str(context.paths.flink_conf),
        "FLINK_LIB_DIR": str(home / "lib"),
        "FLINK_PLUGINS_DIR": str(home / "plugins"),
        "FLINK_OPT_DIR": str(home / "opt"),
        "JAVA_HOME": str(java.home),
    }


def jobmanager(context: Context, java: Java) -> Service:
    """The JobManager, with the dashboard."""
    settings = context.settings
    heap = settings.flink_jobmanager_heap_mb
    return Service(
        name="jobmanager",
        title="Flink JobManager",
        command=_java_command(
            context,
            java,
            [f"-Xmx{heap}m", "-Xms64m", f"-XX:MaxMetaspaceSize={_METASPACE_MB}m"],
            "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint",
            "jobmanager",
        ),
        environment=client_environment(context, java),
        prepare=lambda: prepare(context),
        probe=lambda: probe_jobmanager(context),
        ports={
            "EMDATA_FLINK_REST_PORT": settings.flink_rest_port,
            "EMDATA_FLINK_RPC_PORT": settings.flink_rpc_port,
            "EMDATA_FLINK_BLOB_PORT": settings.flink_blob_port,
            "EMDATA_FLINK_METRICS_PORT": settings.flink_metrics_port,
        },
        stop_stage=2,
        url=f"http://{LOOPBACK}:{settings.flink_rest_port}",
    )


def taskmanager(context: Context, java: Java) -> Service:
    """The TaskManager; it dies on purpose when a task hangs, so it must be restarted."""
    settings = context.settings
    direct = _FRAMEWORK_OFF_HEAP_MB + _TASK_OFF_HEAP_MB + _NETWORK_MB
    heap = settings.flink_taskmanager_heap_mb
    flags = [
        f"-Xmx{heap}m",
        "-Xms96m",
        f"-XX:MaxDirectMemorySize={direct}m",
        f"-XX:MaxMetaspaceSize={_METASPACE_MB}m",
    ]
    metrics_port = settings.flink_metrics_port + 1
    return Service(
        name="taskmanager",
        title="Flink TaskManager",
        command=(
            *_java_command(
                context,
                java,
                flags,
                "org.apache.flink.runtime.taskexecutor.TaskManagerRunner",
                "taskmanager",
            ),
            *("-D", f"metrics.reporter.prom.port={metrics_port}"),
        ),
        environment=client_environment(context, java),
        prepare=lambda: prepare(context),
        probe=lambda: probe_taskmanager(context),
        ports={
            "EMDATA_FLINK_TASKMANAGER_RPC_PORT": settings.flink_taskmanager_rpc_port,
            "EMDATA_FLINK_TASKMANAGER_DATA_PORT": settings.flink_taskmanager_data_port,
            "EMDATA_FLINK_METRICS_PORT + 1": metrics_port,
        },
        stop_stage=2,
    )


def rest(context: Context, path: str, timeout: float = 3.0) -> Any:
    """GET a path of the JobManager's REST interface; raises NotReady."""
    settings = context.settings
    return get_json(settings.flink_rest_port, path, timeout=timeout, host=settings.flink_host)


def probe_jobmanager(context: Context) -> str:
    """Ready when /overview answers."""
    overview = rest(context, "/overview")
    return f"Flink {overview['flink-version']}, {overview['jobs-running']} jobs"


def probe_taskmanager(context: Context) -> str:
    """Ready when the JobManager has the TaskManager's slots and hears its heartbeat."""
    managers = rest(context, "/taskmanagers")["taskmanagers"]
    slots = sum(int(manager["slotsNumber"]) for manager in managers)
    if slots < SLOTS:
        raise NotReady(f"{slots} of {SLOTS} slots registered")
    free = sum(int(manager["freeSlots"]) for manager in managers)
    return f"{free} of {slots} slots free"


def prepare(context: Context) -> None:
    """Write the configuration and the folder of links that is FLINK_HOME."""
    paths = context.paths
    for folder in (paths.flink_conf, paths.checkpoints, paths.savepoints, paths.flink / "tmp"):
        folder.mkdir(parents=True, exist_ok=True)
    text = "".join(f"{name}: {value}\n" for name, value in config(context).items())
    _replace(paths.flink_conf / "config.yaml", text)
    for name in ("log4j.properties", "log4j-console.properties", "log4j-cli.properties"):
        _replace(paths.flink_conf / name, _LOG4J)
    if not (paths.pyflink / "lib").is_dir():
        raise ServiceError(f"flink: {paths.pyflink} is missing; run `make dev-setup`")
    _link_home(paths.pyflink, paths.flink_jars, paths.flink_home)


def _link_home(pyflink: Path, connectors: Path, home: Path) -> None:
    """Make ``home`` a FLINK_HOME of links; safe when two servers prepare at the same time."""
    (home / "lib").mkdir(parents=True, exist_ok=True)
    wanted = {
        jar.name: jar for jar in (*(pyflink / "lib").glob("*.jar"), *connectors.glob("*.jar"))
    }
    for link in (home / "lib").iterdir():
        if link.name not in wanted:
            link.unlink(missing_ok=True)
    for name, target in wanted.items():
        _link(home / "lib" / name, target)
    for name in ("opt", "bin"):
        _link(home / name, pyflink / name)
    (home / "plugins").mkdir(exist_ok=True)
    _link(home / "plugins" / "metrics-prometheus", pyflink / "plugins" / "metrics-prometheus")


def _link(link: Path, target: Path) -> None:
    if link.is_symlink() and link.readlink() == target:
        return
    if link.is_dir() and not link.is_symlink():
        shutil.rmtree(link)
    link.unlink(missing_ok=True)
    try:
        link.symlink_to(target)
    except FileExistsError:
        if link.readlink() != target:
            raise


def _replace(file: Path, text: str) -> None:
    if not file.exists() or file.read_text(encoding="utf-8") != text:
        file.write_text(text, encoding="utf-8")


def _task_heap_mb(context: Context) -> int:
    return context.settings.flink_taskmanager_heap_mb - _FRAMEWORK_HEAP_MB


def class_path(context: Context) -> str:
    """Jars in a fixed order, flink-dist last, as Flink's own scripts have it."""
    names = {jar.name for jar in (context.paths.pyflink / "lib").glob("*.jar")}
    names |= {jar.name for jar in context.paths.flink_jars.glob("*.jar")}
    ordered = sorted(names, key=lambda name: (name.startswith("flink-dist"), name))
    return ":".join(str(context.paths.flink_home / "lib" / name) for name in ordered)


def _java_command(
    context: Context, java: Java, flags: list[str], main: str, log_name: str
) -> tuple[str, ...]:
    opens = [f"--add-opens=java.base/java.{name}=ALL-UNNAMED" for name in _OPENED]
    return (
        str(java.executable),
        *flags,
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-Xss512k",
        "-Duser.timezone=UTC",
        f"-Djava.io.tmpdir={context.paths.flink / 'tmp'}",
        "-XX:+IgnoreUnrecognizedVMOptions",
        *opens,
        "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
        f"-Dlog.file={context.paths.logs / log_name}.log",
        f"-Dlog4j.configurationFile={context.paths.flink_conf / 'log4j-console.properties'}",
        *("-cp", class_path(context), main, "--configDir", str(context.paths.flink_conf)),
    )
