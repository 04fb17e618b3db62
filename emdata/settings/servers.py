"""Settings of the servers that the platform runs or uses, and of its own processes' ports."""

from __future__ import annotations

from pydantic import Field, SecretStr

from emdata.settings.containers import ContainerSettings
from emdata.settings.names import Port, names


class ServerSettings(ContainerSettings):
    """Kafka, Flink, StarRocks, PostgreSQL, Dagster, the simulator."""

    # Kafka
    kafka_bootstrap_servers: str = Field(
        "",
        validation_alias=names("kafka_bootstrap_servers", "KAFKA_BOOTSTRAP_SERVERS"),
        description="host:port list of another Kafka; empty: the embedded broker",
    )
    kafka_port: Port = Field(9092, validation_alias=names("kafka_port"), description="Kafka broker")
    kafka_controller_port: Port = Field(
        9093,
        validation_alias=names("kafka_controller_port"),
        description="Kafka KRaft controller",
    )
    kafka_heap_mb: int = Field(
        128,
        ge=64,
        validation_alias=names("kafka_heap_mb"),
        description="broker heap in MiB",
    )
    kafka_partitions: int = Field(
        1,
        ge=1,
        le=1000,
        validation_alias=names("kafka_partitions"),
        description="partitions of a new topic",
    )
    kafka_retention_hours: int = Field(
        24 * 7,
        ge=1,
        validation_alias=names("kafka_retention_hours"),
        description="retention of landed topics",
    )
    kafka_window_retention_days: int = Field(
        60,
        ge=1,
        validation_alias=names("kafka_window_retention_days"),
        description="retention of topics that windows read; longer than the windows' state",
    )

    # Flink
    flink_rest_port: Port = Field(
        8081,
        validation_alias=names("flink_rest_port"),
        description="Flink dashboard and REST",
    )
    flink_rpc_port: Port = Field(
        6123, validation_alias=names("flink_rpc_port"), description="JobManager RPC"
    )
    flink_blob_port: Port = Field(
        6124, validation_alias=names("flink_blob_port"), description="JobManager blobs"
    )
    flink_taskmanager_rpc_port: Port = Field(
        6122,
        validation_alias=names("flink_taskmanager_rpc_port"),
        description="TaskManager RPC",
    )
    flink_taskmanager_data_port: Port = Field(
        6121,
        validation_alias=names("flink_taskmanager_data_port"),
        description="TaskManager data exchange",
    )
    flink_metrics_port: Port = Field(
        9249,
        le=65534,
        validation_alias=names("flink_metrics_port"),
        description="Flink Prometheus reporter: JobManager here, TaskManager at the next port",
    )
    watchdog_metrics_port: Port = Field(
        8011,
        validation_alias=names("watchdog_metrics_port"),
        description="watchdog: metrics of lost Flink jobs and of Dagster's runs",
    )
    flink_jobmanager_heap_mb: int = Field(
        192,
        ge=128,
        validation_alias=names("flink_jobmanager_heap_mb"),
        description="JobManager heap in MiB",
    )
    flink_taskmanager_heap_mb: int = Field(
        256,
        ge=128,
        validation_alias=names("flink_taskmanager_heap_mb"),
        description="TaskManager heap in MiB",
    )
    flink_checkpoint_ms: int = Field(
        1000,
        ge=200,
        validation_alias=names("flink_checkpoint_ms"),
        description="checkpoint interval in ms",
    )
    window_state_days: int = Field(
        40,
        ge=1,
        validation_alias=names("window_state_days"),
        description="TTL of window state in days",
    )

    # StarRocks
    starrocks_host: str = Field(
        "127.0.0.1",
        validation_alias=names("starrocks_host", "STARROCKS_HOST"),
        description="front end host",
    )
    starrocks_mysql_port: Port = Field(
        9030,
        validation_alias=names("starrocks_mysql_port", "STARROCKS_PORT"),
        description="StarRocks MySQL protocol",
    )
    starrocks_http_port: Port = Field(
        8030,
        validation_alias=names("starrocks_http_port"),
        description="StarRocks HTTP and loads",
    )
    starrocks_user: str = Field(
        "root",
        validation_alias=names("starrocks_user", "STARROCKS_USER"),
        description="StarRocks user",
    )
    starrocks_password: SecretStr | None = Field(
        None,
        validation_alias=names("starrocks_password", "STARROCKS_PASSWORD"),
        description="StarRocks password; empty: the one made at the first start",
    )
    starrocks_database: str = Field(
        "emergency_data",
        validation_alias=names("starrocks_database", "STARROCKS_DATABASE"),
        description="database of the models; landed tables live in raw_data",
    )
    starrocks_memory_mb: int = Field(
        384,
        ge=128,
        validation_alias=names("starrocks_memory_mb"),
        description="memory limit of the embedded StarRocks",
    )

    # PostgreSQL
    postgres_host: str = Field(
        "127.0.0.1",
        validation_alias=names("postgres_host"),
        description="PostgreSQL host; another host: not ours to start",
    )
    postgres_port: Port = Field(
        5432, validation_alias=names("postgres_port"), description="PostgreSQL"
    )
    postgres_user: str = Field(
        "emdata",
        validation_alias=names("postgres_user"),
        description="PostgreSQL user",
    )
    postgres_password: SecretStr | None = Field(
        None,
        validation_alias=names("postgres_password"),
        description="empty: the one made at the first start",
    )
    postgres_database: str = Field(
        "emdata",
        validation_alias=names("postgres_database"),
        description="database of the state",
    )
    postgres_dagster_database: str = Field(
        "dagster",
        validation_alias=names("postgres_dagster_database"),
        description="database of Dagster's storage",
    )

    # Our own processes
    dagster_port: Port = Field(
        3000, validation_alias=names("dagster_port"), description="Dagster web UI"
    )
    dagster_code_port: Port = Field(
        3030,
        validation_alias=names("dagster_code_port"),
        description="Dagster code server",
    )
    manager_port: Port = Field(
        8010,
        validation_alias=names("manager_port"),
        description="stream manager: ingest, health, metrics",
    )
    simulator_port: Port = Field(
        8020, validation_alias=names("simulator_port"), description="simulator"
    )
    simulator_seed: int = Field(
        1,
        ge=0,
        validation_alias=names("simulator_seed"),
        description="seed of the simulated world",
    )
    simulator_speed: float = Field(
        1.0,
        gt=0,
        le=100_000,
        validation_alias=names("simulator_speed"),
        description="simulated seconds per second",
    )
