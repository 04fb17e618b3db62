"""Creates the topics of the contracts, and brings the settings of existing ones up to date."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from emdata.contracts import contracts
from emdata.derive.topics import TopicSpec, topic_specs
from emdata.errors import ServiceError
from emdata.settings import Settings
from emdata.transport.kafka import client_options
from flink_jobs.windows import endless_datasets, windowed_datasets

_TIMEOUT_S = 20.0


def wanted_topics(settings: Settings) -> list[TopicSpec]:
    """One topic per contract; topics that windows read are kept longer, some for ever."""
    specs = topic_specs(
        contracts().values(),
        partitions=settings.kafka_partitions,
        replication=settings.kafka_replication,
        retention_hours=settings.kafka_retention_hours,
        window_retention_days=settings.kafka_window_retention_days,
        windowed=windowed_datasets(),
    )
    known = contracts()
    endless = {known[name].dataset.topic for name in endless_datasets() if name in known}
    return [_endless(spec) if spec.name in endless else spec for spec in specs]


def _endless(spec: TopicSpec) -> TopicSpec:
    return replace(spec, config={**spec.config, "retention.ms": "-1"})


def create_topics(settings: Settings) -> str:
    """Create missing topics and correct settings that differ; safe to repeat.

    Raises ServiceError naming the topic that the broker refused.
    """
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    admin = AdminClient(client_options(settings.kafka, log_level=0))
    wanted = wanted_topics(settings)
    try:
        existing = set(admin.list_topics(timeout=_TIMEOUT_S).topics)
        missing = [spec for spec in wanted if spec.name not in existing]
        _create(admin, missing)
        changed = _correct(admin, [spec for spec in wanted if spec.name in existing])
    except KafkaException as error:
        raise ServiceError(f"topics: {error.args[0].str()}") from error
    return f"{len(wanted)} topics, {len(missing)} new, {changed} changed"


def _create(admin: Any, specs: list[TopicSpec]) -> None:
    from confluent_kafka import KafkaError, KafkaException
    from confluent_kafka.admin import NewTopic  # type: ignore[attr-defined]

    if not specs:
        return
    new = [
        NewTopic(
            spec.name,
            num_partitions=spec.partitions,
            replication_factor=spec.replication,
            config=spec.config,
        )
        for spec in specs
    ]
    for name, future in admin.create_topics(new, operation_timeout=_TIMEOUT_S).items():
        try:
            future.result(timeout=_TIMEOUT_S)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise ServiceError(f"topic {name}: {error.args[0].str()}") from error


def _correct(admin: Any, specs: list[TopicSpec]) -> int:
    """Set the values that differ; returns how many topics were changed."""
    from confluent_kafka.admin import (  # type: ignore[attr-defined]
        AlterConfigOpType,
        ConfigEntry,
        ConfigResource,
        ConfigSource,
        ResourceType,
    )

    if not specs:
        return 0
    asked = admin.describe_configs([ConfigResource(ResourceType.TOPIC, s.name) for s in specs])
    found = {resource.name: future.result(timeout=_TIMEOUT_S) for resource, future in asked.items()}
    changes = []
    for spec in specs:
        entries = [
            ConfigEntry(
                name,
                value,
                source=ConfigSource.DYNAMIC_TOPIC_CONFIG,
                incremental_operation=AlterConfigOpType.SET,
            )
            for name, value in spec.config.items()
            if found[spec.name][name].value != value
        ]
        if entries:
            changes.append(
                ConfigResource(ResourceType.TOPIC, spec.name, incremental_configs=entries)
            )
    if changes:
        for future in admin.incremental_alter_configs(changes).values():
            future.result(timeout=_TIMEOUT_S)
    return len(changes)
