"""Plain JSON of sensors into readings; pure.

Taken are one object or an array of objects, each either one reading (``quantity`` and ``value``)
or several (every other number is a quantity of that name), and LoRaWAN envelopes (``devEUI`` with
the numbers in ``object``). Names that devices use for the same thing are listed below.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from emdata.contracts.iot import IotSensorReading
from emdata.errors import RowError

SENSOR = ("sensor_id", "device_id", "deviceId", "devEUI", "id")
TIME = ("observed_at", "ts", "timestamp", "time")
LATITUDE, LONGITUDE = ("latitude", "lat"), ("longitude", "lon", "lng")
NO_VALUE = frozenset({-999.0, -9999.0})
"""What data loggers send in place of a number that they have not."""
CLOCK_AHEAD, CLOCK_BEHIND = timedelta(hours=1), timedelta(days=30)
MAX_READINGS = 1000
# Counters and radio facts of an envelope are not measurements.
NOT_MEASURED = frozenset({"fCnt", "fPort", "applicationID", "seq", "unit"})


def readings(payload: bytes, *, topic: str, received_at: datetime) -> list[IotSensorReading]:
    """Return the readings of one message; none when it holds nothing that was measured.

    Raises RowError, ContractError or msgspec's errors for a message that is not understood: the
    whole message is refused, so that no part of it is taken twice.
    """
    decoded = msgspec.json.decode(payload)
    objects = decoded if isinstance(decoded, list) else [decoded]
    found: list[IotSensorReading] = []
    for one in objects:
        if not isinstance(one, dict):
            raise RowError(f"topic {topic}: {type(one).__name__} where an object is expected")
        found.extend(_of_object(one, topic, received_at))
        if len(found) > MAX_READINGS:
            raise RowError(f"topic {topic}: more than {MAX_READINGS} readings in one message")
    return found


def _of_object(
    message: Mapping[str, Any], topic: str, received_at: datetime
) -> Iterator[IotSensorReading]:
    sensor = _first(message, SENSOR)
    if not isinstance(sensor, str | int) or isinstance(sensor, bool) or sensor == "":
        raise RowError(f"topic {topic}: no sensor; one of {', '.join(SENSOR)} must name it")
    observed_at, basis = _instant(_time_of(message), topic)
    ahead = observed_at - received_at
    common: dict[str, Any] = {
        "sensor_id": str(sensor),
        "observed_at": observed_at,
        "time_basis": basis,
        "is_clock_suspect": ahead > CLOCK_AHEAD or -ahead > CLOCK_BEHIND,
        "latitude": _number(_first(message, LATITUDE)),
        "longitude": _number(_first(message, LONGITUDE)),
        "topic": topic,
    }
    if "quantity" in message:
        quantity, unit = message["quantity"], message.get("unit")
        if not isinstance(quantity, str) or not (unit is None or isinstance(unit, str)):
            raise RowError(f"topic {topic}: quantity and unit must be texts")
        value = _number(message.get("value"))
        yield IotSensorReading(quantity=quantity, value=value, unit=unit, **common)
        return
    inner = message.get("object")
    measured = inner if isinstance(inner, dict) else message
    skip = {*SENSOR, *TIME, *LATITUDE, *LONGITUDE, *NOT_MEASURED}
    for name, raw in measured.items():
        if name not in skip and _is_number(raw):
            yield IotSensorReading(quantity=name, value=_number(raw), **common)


def _time_of(message: Mapping[str, Any]) -> Any:
    found = _first(message, TIME)
    gateways = message.get("rxInfo")
    if found is None and isinstance(gateways, list) and gateways and isinstance(gateways[0], dict):
        return gateways[0].get("time")
    return found


def _first(message: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((message[name] for name in names if message.get(name) is not None), None)


def _instant(value: Any, topic: str) -> tuple[datetime, str]:
    """Read a time; a number's unit shows by its size, a time without an offset is taken as UTC."""
    try:
        if isinstance(value, str) and not _is_plain_number(value):
            at = datetime.fromisoformat(value)
            if at.tzinfo is None:
                return at.replace(tzinfo=UTC), "naive"
            return at.astimezone(UTC), "iso"
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            number = float(value)
            if number >= 1e14:
                return datetime.fromtimestamp(number / 1e6, UTC), "epoch_us"
            if number >= 1e11:
                return datetime.fromtimestamp(number / 1e3, UTC), "epoch_ms"
            return datetime.fromtimestamp(number, UTC), "epoch_s"
    except (ValueError, OverflowError, OSError) as error:
        raise RowError(f"topic {topic}: time {value!r} cannot be read: {error}") from error
    raise RowError(f"topic {topic}: no time; one of {', '.join(TIME)} must hold it")


def _is_plain_number(text: str) -> bool:
    return text.replace(".", "", 1).isdigit() and len(text) > 8


def _is_number(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    if isinstance(value, int | float):
        return True
    try:
        return isinstance(value, str) and math.isfinite(float(value))
    except ValueError:
        return False


def _number(value: Any) -> float | None:
    """Return a finite number; None for nothing and for a logger's stand-in for nothing."""
    if value is None:
        return None
    if not _is_number(value):
        raise RowError(f"value {str(value)[:100]!r} is not a number")
    number = float(value)
    return None if number in NO_VALUE else number
