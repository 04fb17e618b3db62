"""Kafka producers: one for everything, and one for CRITICAL that never lingers.

The buffer owns the retry: librdkafka may try for a day, and whatever it gives back is queued
again. Idempotence with at most five requests in flight keeps the order per key.
"""

from __future__ import annotations

import logging
import re
import socket
from collections.abc import Callable
from enum import StrEnum
from typing import Any, Protocol

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from emdata.envelope import Headers
from emdata.transport.kafka import KafkaAddress, client_options, servers_of

Report = Callable[[KafkaError | None, Message], None]


class Lane(StrEnum):
    """Which producer: for everything, for CRITICAL, or one message a batch for suspects."""

    BULK = "bulk"
    CRITICAL = "critical"
    ALONE = "alone"


DAY_MS = 86_400_000
ANY_PARTITION = -1
MAX_MESSAGE_BYTES = 4 * 1024 * 1024

REFUSED_FOR_GOOD = frozenset(
    {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.INVALID_MSG,
        KafkaError.INVALID_RECORD,
        KafkaError.INVALID_TIMESTAMP,
        KafkaError._BAD_MSG,
        KafkaError._INVALID_ARG,
    }
)


# The topic's trouble and not the broker's: other topics must go on meanwhile.
OF_THE_TOPIC = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
    }
)
FATAL = frozenset({KafkaError._FATAL, KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH})


# No answer from any broker, or none to us, whoever we say we are; anything else is an answer.
UNREACHABLE = frozenset(
    {
        KafkaError._MSG_TIMED_OUT,
        KafkaError._TIMED_OUT,
        KafkaError._TRANSPORT,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._PURGE_QUEUE,
        KafkaError._PURGE_INFLIGHT,
        KafkaError._AUTHENTICATION,
        KafkaError._SSL,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    }
)


class _Seldom(logging.Filter):
    """Lets a message through once a minute: a broker that is away says so 20 times a second."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        kind = re.sub(r"\d+", "", record.getMessage())[:80]
        if record.created - self._said.get(kind, 0.0) < 60:
            return False
        self._said = {**self._said, kind: record.created} if len(self._said) < 100 else {}
        return True


class RecordProducer(Protocol):
    """What delivery needs of a producer."""

    def produce(self, topic: str, value: bytes, key: str, headers: Headers, report: Report) -> None:
        """Hand over one message; BufferError when the local queue is full."""
        ...

    def poll(self, timeout: float) -> int:
        """Serve delivery reports; returns how many."""
        ...

    def flush(self, timeout: float) -> int:
        """Wait for reports; returns how many are still out."""
        ...


class KafkaProducer:
    """A confluent-kafka producer for accepted records; ``headers`` go with every message."""

    def __init__(
        self,
        kafka: KafkaAddress,
        lane: Lane = Lane.BULK,
        *,
        extra: dict[str, Any] | None = None,
        headers: Headers | None = None,
    ) -> None:
        self._headers = headers or []
        is_critical = lane is Lane.CRITICAL
        config: dict[str, Any] = {
            **client_options(kafka),
            "client.id": f"emdata-{lane}",
            "enable.idempotence": True,
            "acks": "all",
            "max.in.flight.requests.per.connection": 5,
            "message.timeout.ms": DAY_MS,
            "message.max.bytes": MAX_MESSAGE_BYTES,
            # After an outage the first connection should be the urgent one's.
            "reconnect.backoff.max.ms": 200 if is_critical else 2000,
            "socket.keepalive.enable": True,
            # A topic that is gone must not hold its records in flight for long.
            "topic.metadata.propagation.max.ms": 5000,
            "linger.ms": 5 if lane is Lane.BULK else 0,
            "compression.type": "none" if is_critical else "lz4",
            "queue.buffering.max.messages": 50_000,
            "queue.buffering.max.kbytes": 64 * 1024,
            "log_level": 3,
        }
        if lane is Lane.ALONE:
            config["batch.num.messages"] = 1
        logger = logging.getLogger(f"librdkafka.{lane}")
        if not logger.filters:
            logger.addFilter(_Seldom())
        self._producer = Producer({**config, **(extra or {})}, logger=logger)

    def produce(self, topic: str, value: bytes, key: str, headers: Headers, report: Report) -> None:
        """Hand over one message; BufferError when the local queue is full."""
        if self._headers:
            headers = [*headers, *self._headers]
        # By position: names would cost a fifth of the call. The second None is on_delivery, the
        # other name of the callback before it; 0 is the time of now.
        self._producer.produce(
            topic,
            value,
            key,
            ANY_PARTITION,
            report,
            None,
            0,
            headers,  # type: ignore[arg-type]
        )

    def answers(self, timeout: float) -> bool:
        """Whether Kafka answers over this producer's own connection within ``timeout`` seconds."""
        try:
            self._producer.list_topics(timeout=timeout)
        except KafkaException:
            return False
        return True

    def poll(self, timeout: float) -> int:
        """Serve delivery reports; returns how many."""
        return int(self._producer.poll(timeout))

    def flush(self, timeout: float) -> int:
        """Wait for reports; returns how many are still out."""
        return int(self._producer.flush(timeout))


def is_refused_for_good(error: KafkaError) -> bool:
    """Whether sending the same record again cannot help."""
    return error.code() in REFUSED_FOR_GOOD


def is_fatal(error: KafkaError) -> bool:
    """Whether the producer that reported this can never send again."""
    return error.fatal() or error.code() in FATAL


def is_unreachable(error: KafkaError) -> bool:
    """Whether a report says that no broker answered, or none would have to do with us."""
    return error.code() in UNREACHABLE


def error_of(exception: KafkaException) -> KafkaError:
    """Return the KafkaError inside an exception."""
    error = exception.args[0]
    if not isinstance(error, KafkaError):
        raise TypeError(f"KafkaException without a KafkaError: {exception!r}")
    return error


def broker_answers(kafka: KafkaAddress, timeout: float = 1.0) -> bool:
    """Whether any bootstrap server accepts a TCP connection.

    Asked first, because librdkafka logs twenty lines a second while its broker is away.
    """
    for server in servers_of(kafka).split(","):
        host, _, port = server.strip().rpartition(":")
        try:
            with socket.create_connection((host, int(port)), timeout=timeout):
                return True
        except OSError:
            continue
    return False
