"""Kafka for people who write assets of their own."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from dagster import ConfigurableResource
from pydantic import Field

from emergency_pipeline.site import load_site
from stream_manager.clients.client import client_buffers

if TYPE_CHECKING:
    from kafka import KafkaConsumer

    from emdata.transport.kafka import KafkaAccess
    from emergency_pipeline.resources.producer import IngestProducer
    from stream_manager.clients.degraded import DegradedWriter


class KafkaResource(ConfigurableResource[Any]):
    """Producers that go through the stream manager, consumers that read Kafka itself.

    The token is read from the credentials file when it is used; it is no part of the
    configuration, which Dagster's UI shows.
    """

    bootstrap_servers: str = Field(description="host:port list of the Kafka in use")
    manager_url: str = Field(
        description="base address of the stream manager; of active and standby with a comma between"
    )

    def get_producer(self) -> IngestProducer:
        """Return a producer with ``send(dataset, record)`` and ``flush()``; ``with`` flushes.

        While no manager can be reached it writes to Kafka itself, as a writer of its own.
        """
        from emergency_pipeline.resources.producer import IngestProducer

        return IngestProducer(
            self.manager_url,
            token=_token,
            fallback=partial(_degraded, self.bootstrap_servers),
            prepare=partial(_prepare, self.bootstrap_servers),
        )

    def get_consumer(self, *topics: str, **options: Any) -> KafkaConsumer:
        """Return a kafka-python consumer of ``topics``; ``options`` go to it as they are.

        Reads from the beginning without committing offsets unless told otherwise.
        """
        from kafka import KafkaConsumer

        return KafkaConsumer(
            *topics,
            **{
                **_access(self.bootstrap_servers).kafka_python(),
                "auto_offset_reset": "earliest",
                "enable_auto_commit": False,
                **options,
            },
        )


def _access(servers: str) -> KafkaAccess:
    """These servers with the login of the settings."""
    return replace(load_site().settings.kafka, servers=servers)


def _token() -> str:
    return load_site().credentials().ingest_token


def _degraded(servers: str) -> DegradedWriter:
    from emdata.clock import SystemClock
    from emdata.contracts import contracts
    from stream_manager.clients.degraded import DegradedConfig, DegradedWriter

    site = load_site()
    config = DegradedConfig(
        name="dagster",
        buffers=site.paths.buffer,
        dsn=site.state.url.render_as_string(hide_password=False),
        kafka=_access(servers),
        records=contracts(),
        is_simulated=site.is_simulated,
    )
    return DegradedWriter(config, SystemClock())


def _prepare(servers: str) -> None:
    """Get a number to write under while PostgreSQL is there to give it."""
    if not client_buffers(load_site().paths.buffer):
        with closing(_degraded(servers)) as writer:
            writer.prepare()
