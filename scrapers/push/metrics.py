"""Prometheus metrics of push streams; served by the stream manager."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

MESSAGES = Counter(
    "stream_mqtt_messages_total",
    "MQTT messages: new, redelivered, retained or dropped_qos_0",
    ["kind"],
)
CONNECTED = Gauge("stream_mqtt_connected", "1 while connected to the MQTT broker")
