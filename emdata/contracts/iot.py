"""Readings of the operator's own sensors, as they arrive over MQTT or the ingest endpoint."""

from __future__ import annotations

from typing import Annotated as A  # noqa: N817
from typing import ClassVar

from emdata.contracts.base import Dataset, Doc, Priority, Record, UtcDatetime


class IotSensorReading(Record, frozen=True, kw_only=True):
    """One quantity that one sensor measured at one instant, by the sensor's own clock."""

    sensor_id: A[str, Doc("The sensor's name, as it states it")]
    observed_at: A[UtcDatetime, Doc("When it was measured, by the sensor's clock")]
    quantity: A[str, Doc("What was measured, as the sensor names it, such as temp_c")]
    value: A[float | None, Doc("The number; empty when the sensor says that it has none")] = None
    unit: A[str | None, Doc("The unit as the sensor states it (UCUM where it can)")] = None
    latitude: A[float | None, Doc("WGS 84", "deg")] = None
    longitude: A[float | None, Doc("WGS 84", "deg")] = None
    time_basis: A[
        str, Doc("How the time was read: iso, naive (taken as UTC), epoch_s, epoch_ms or epoch_us")
    ] = "iso"
    is_clock_suspect: A[bool, Doc("The sensor's clock is far from the time of arrival")] = False
    topic: A[str | None, Doc("MQTT topic that it came by")] = None

    dataset: ClassVar[Dataset] = Dataset(
        name="iot_sensor_readings",
        source="iot",
        domain="sensor",
        title="Readings of the operator's own sensors",
        key=("sensor_id", "observed_at", "quantity"),
        # The same reading by another topic, or repeated later, is the same reading.
        unhashed=("topic", "is_clock_suspect", "time_basis"),
        event_time="observed_at",
        fresh_within="1h",
        terms="The operator's own data; its terms are the operator's",
        description="Pushed over MQTT; off until a broker is set (EMDATA_MQTT_URL).",
    )

    def priority(self) -> Priority:
        """NORMAL: sensors are context, and there are many of them."""
        return Priority.NORMAL
