"""Settings of the containers: which of them run, and how processes find each other there."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode

from emdata.settings.names import Port, names

Words = Annotated[tuple[str, ...], NoDecode]
PROFILES = ("starrocks", "lite", "ui", "monitoring", "mqtt")


class ContainerSettings(BaseSettings):
    """What only matters with PROFILE=containers, and hosts that only differ there."""

    compose_profiles: Words = Field(
        ("starrocks",),
        validation_alias=names("compose_profiles", "COMPOSE_PROFILES"),
        description="optional containers: starrocks or lite (embedded StarRocks, 4 GB machines), "
        "ui, monitoring, mqtt",
    )
    compose_files: Words = Field(
        (),
        validation_alias=names("compose_files"),
        description="compose files over docker-compose.yml, comma-separated, such as "
        "docker-compose.ha.yml",
    )
    kafka_ui_port: Port = Field(
        8080, validation_alias=names("kafka_ui_port"), description="Kafka UI (containers)"
    )
    prometheus_port: Port = Field(
        9090, validation_alias=names("prometheus_port"), description="Prometheus (containers)"
    )
    grafana_port: Port = Field(
        3001, validation_alias=names("grafana_port"), description="Grafana (containers)"
    )
    mqtt_port: Port = Field(
        1883, validation_alias=names("mqtt_port"), description="Mosquitto (containers)"
    )
    bind_host: str = Field(
        "127.0.0.1",
        validation_alias=names("bind_host"),
        description="address on which our own processes listen; 0.0.0.0 in a container",
    )
    flink_host: str = Field(
        "127.0.0.1", validation_alias=names("flink_host"), description="host of the JobManager"
    )
    manager_host: str = Field(
        "127.0.0.1",
        validation_alias=names("manager_host"),
        description="host of the stream manager; of active and standby with a comma between",
    )
    simulator_host: str = Field(
        "127.0.0.1", validation_alias=names("simulator_host"), description="host of the simulator"
    )
    dagster_code_host: str = Field(
        "127.0.0.1",
        validation_alias=names("dagster_code_host"),
        description="host of the Dagster code server",
    )
    kafka_replication: int = Field(
        1,
        ge=1,
        le=9,
        validation_alias=names("kafka_replication"),
        description="copies of a new topic's partitions; at most as many as there are brokers",
    )
    landing_parallelism: int = Field(
        1,
        ge=1,
        le=64,
        validation_alias=names("landing_parallelism"),
        description="parallel instances of the landing job on each TaskManager (containers)",
    )

    alert_email: str = Field(
        "",
        validation_alias=names("alert_email"),
        description="address that Alertmanager writes to; needs alert_smtp",
    )
    alert_smtp: str = Field(
        "",
        validation_alias=names("alert_smtp"),
        description="HOST:PORT of the mail server for alerts",
    )
    alert_smtp_user: str = Field(
        "", validation_alias=names("alert_smtp_user"), description="user at that mail server"
    )
    alert_smtp_password: SecretStr | None = Field(
        None,
        validation_alias=names("alert_smtp_password"),
        description="password at that mail server",
    )
    alert_slack_url: SecretStr | None = Field(
        None,
        validation_alias=names("alert_slack_url"),
        description="Slack's incoming webhook that gets every alert",
    )
    alert_pagerduty_key: SecretStr | None = Field(
        None,
        validation_alias=names("alert_pagerduty_key"),
        description="PagerDuty's integration key; gets alerts of severity page only",
    )

    @field_validator("compose_profiles", "compose_files", mode="before")
    @classmethod
    def _split_compose(cls, value: Any) -> Any:
        parts = value.split(",") if isinstance(value, str) else value
        return tuple(part.strip() for part in parts if part.strip())

    @field_validator("compose_profiles", mode="after")
    @classmethod
    def _check_compose_profiles(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not set(value) <= set(PROFILES) or len({"starrocks", "lite"} & set(value)) != 1:
            raise ValueError("starrocks or lite, and any of ui, monitoring, mqtt, comma-separated")
        return value
