"""Kafka for people who write assets of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dagster import ConfigurableResource
from pydantic import Field

from emergency_pipeline.site import load_site

if TYPE_CHECKING:
    from kafka import KafkaConsumer

    from emergency_pipeline.resources.producer import IngestProducer


class KafkaResource(ConfigurableResource[Any]):
    """Producers that go through the stream manager, consumers that read Kafka itself.

    The token is read from the credentials file when it is used; it is no part of the
    configuration, which Dagster's UI shows.
    """

    bootstrap_servers: str = Field(description="host:port list of the Kafka in use")
    manager_url: str = Field(description="base address of the stream manager")

    def get_producer(self) -> IngestProducer:
        """Return a producer with ``send(dataset, record)`` and ``flush()``; ``with`` flushes."""
        from emergency_pipeline.resources.producer import IngestProducer

        return IngestProducer(self.manager_url, token=_token)

    def get_consumer(self, *topics: str, **options: Any) -> KafkaConsumer:
        """Return a kafka-python consumer of ``topics``; ``options`` go to it as they are.

        Reads from the beginning without committing offsets unless told otherwise.
        """
        from kafka import KafkaConsumer

        return KafkaConsumer(
            *topics,
            **{
                "bootstrap_servers": self.bootstrap_servers.split(","),
                "auto_offset_reset": "earliest",
                "enable_auto_commit": False,
                **options,
            },
        )


def _token() -> str:
    return load_site().credentials().ingest_token
