"""The Kafka broker: one KRaft node from the locked jars, and its command-line tools."""

from __future__ import annotations

import base64
import shlex
import subprocess
import uuid
from pathlib import Path

from emdata.errors import ServiceError
from emdata.transport.kafka import client_options
from runtime.context import Context
from runtime.install import Java
from runtime.services.base import LOOPBACK, NotReady, Service, require_port

_FORMAT_TIMEOUT_S = 120
_LOG4J = """\
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{ISO8601}{UTC}Z %-5p %c{1.} - %m%n
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
logger.start.name = kafka.server
logger.start.level = info
"""
TOOLS = {
    "kafka-topics": "org.apache.kafka.tools.TopicCommand",
    "kafka-console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "kafka-console-producer": "org.apache.kafka.tools.ConsoleProducer",
    "kafka-consumer-groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "kafka-configs": "kafka.admin.ConfigCommand",
    "kafka-get-offsets": "org.apache.kafka.tools.GetOffsetShell",
    "kafka-delete-records": "org.apache.kafka.tools.DeleteRecordsCommand",
    "kafka-log-dirs": "org.apache.kafka.tools.LogDirsCommand",
    "kafka-broker-api-versions": "org.apache.kafka.tools.BrokerApiVersionsCommand",
    "kafka-metadata-quorum": "org.apache.kafka.tools.MetadataQuorumCommand",
    "kafka-dump-log": "org.apache.kafka.tools.DumpLogSegments",
    "kafka-consumer-perf-test": "org.apache.kafka.tools.ConsumerPerformance",
    "kafka-producer-perf-test": "org.apache.kafka.tools.ProducerPerformance",
    "kafka-leader-election": "org.apache.kafka.tools.LeaderElectionCommand",
    "kafka-transactions": "org.apache.kafka.tools.TransactionsCommand",
}
_WITHOUT_BOOTSTRAP = frozenset({"kafka-dump-log", "kafka-producer-perf-test"})


def server_properties(context: Context) -> str:
    """The broker's configuration: one node, small threads and buffers, loopback only."""
    settings, paths = context.settings, context.paths
    values = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{LOOPBACK}:{settings.kafka_controller_port}",
        "listeners": f"PLAINTEXT://{LOOPBACK}:{settings.kafka_port},"
        f"CONTROLLER://{LOOPBACK}:{settings.kafka_controller_port}",
        "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{settings.kafka_port}",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": str(paths.kafka / "data"),
        "auto.create.topics.enable": "false",
        "num.partitions": str(settings.kafka_partitions),
        "default.replication.factor": "1",
        "log.retention.hours": str(settings.kafka_retention_hours),
        "log.segment.bytes": str(64 * 1024 * 1024),
        "num.network.threads": "2",
        "num.io.threads": "4",
        "background.threads": "2",
        "num.recovery.threads.per.data.dir": "2",
        "log.cleaner.dedupe.buffer.size": "8388608",
        "group.initial.rebalance.delay.ms": "0",
        "offsets.topic.num.partitions": "4",
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "share.coordinator.state.topic.num.partitions": "4",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
    }
    return "".join(f"{name}={value}\n" for name, value in values.items())


def service(context: Context, java: Java) -> Service:
    """The broker, which is its own controller."""
    settings, paths = context.settings, context.paths
    flags = (
        "-Xms64m",
        f"-Xmx{settings.kafka_heap_mb}m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",  # starts sooner and holds less; loopback load is small
        "-XX:MaxMetaspaceSize=96m",
        "-Xss512k",
        "-Djava.awt.headless=true",
        "-Duser.timezone=UTC",
        f"-Djava.io.tmpdir={paths.kafka / 'tmp'}",
        f"-Dkafka.logs.dir={paths.logs}",
        f"-Dlog4j2.configurationFile={paths.kafka / 'log4j2.properties'}",
    )
    command = (
        str(java.executable),
        *flags,
        *("-cp", class_path(context), "kafka.Kafka", str(paths.kafka / "server.properties")),
    )
    return Service(
        name="kafka",
        title="Kafka",
        command=command,
        prepare=lambda: _prepare(context, java),
        probe=lambda: probe(context),
        ports={
            "EMDATA_KAFKA_PORT": settings.kafka_port,
            "EMDATA_KAFKA_CONTROLLER_PORT": settings.kafka_controller_port,
        },
        stop_stage=1,
        url=f"{LOOPBACK}:{settings.kafka_port}",
    )


def class_path(context: Context) -> str:
    """The jars in a fixed order, which keeps class data sharing usable."""
    return ":".join(str(jar) for jar in sorted(context.paths.kafka_jars.glob("*.jar")))


def probe(context: Context) -> str:
    """Ask for the cluster's metadata; ready when the controller is known."""
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    if not context.settings.kafka_bootstrap_servers:
        require_port(context.settings.kafka_port)
    admin = AdminClient(
        {
            **client_options(context.settings.kafka),
            "socket.timeout.ms": 3000,
            "log_level": 0,
        }
    )
    try:
        metadata = admin.list_topics(timeout=3)
    except KafkaException as error:
        raise NotReady(f"no metadata: {error}") from error
    if metadata.controller_id < 0:
        raise NotReady("no controller elected")
    topics = sum(1 for name in metadata.topics if not name.startswith("__"))
    return f"{topics} topics"


def write_tools(context: Context, java: Java) -> Path:
    """Write one small script per Kafka tool; returns their directory (for PATH)."""
    folder = context.paths.kafka / "bin"
    folder.mkdir(parents=True, exist_ok=True)
    log4j = context.paths.kafka / "log4j2-tools.properties"
    log4j.write_text(
        _LOG4J.replace("= warn", "= error").replace("= info", "= error"), encoding="utf-8"
    )
    for name, main in TOOLS.items():
        start = shlex.join(
            [
                str(java.executable),
                *("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
                f"-Dlog4j2.configurationFile={log4j}",
                *("-cp", class_path(context), main),
            ]
        )
        script = folder / name
        script.write_text(_tool_script(name, start, context.settings.kafka_servers), "utf-8")
        script.chmod(0o755)
    return folder


def _tool_script(name: str, start: str, servers: str) -> str:
    """A wrapper that adds ``--bootstrap-server`` unless the caller gave one."""
    if name in _WITHOUT_BOOTSTRAP:
        return f'#!/bin/sh\nexec {start} "$@"\n'
    return (
        "#!/bin/sh\n"
        'case " $* " in\n'
        f'  *" --bootstrap-server"*|*" --help "*) exec {start} "$@" ;;\n'
        f'  *) exec {start} --bootstrap-server {shlex.quote(servers)} "$@" ;;\n'
        "esac\n"
    )


def _prepare(context: Context, java: Java) -> None:
    """Write the configuration and format the log directory once."""
    folder = context.paths.kafka
    (folder / "tmp").mkdir(parents=True, exist_ok=True)
    (folder / "server.properties").write_text(server_properties(context), encoding="utf-8")
    (folder / "log4j2.properties").write_text(_LOG4J, encoding="utf-8")
    write_tools(context, java)
    if (folder / "data" / "meta.properties").exists():
        return
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    command = [
        str(java.executable),
        *("-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
        f"-Dlog4j2.configurationFile={folder / 'log4j2.properties'}",
        *("-cp", class_path(context), "kafka.tools.StorageTool", "format"),
        # One word: an id may begin with a dash, which the tool would take for an option.
        f"--cluster-id={cluster}",
        *("--ignore-formatted", "-c", str(folder / "server.properties")),
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=_FORMAT_TIMEOUT_S, check=False
    )
    if done.returncode != 0:
        raise ServiceError(f"kafka: format failed: {(done.stderr or done.stdout).strip()[-500:]}")
