"""What CoAgMet measures: its names, labels, units and what is physically possible."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from emdata.errors import DocumentError, RowError
from scrapers import values
from scrapers.units import Convert, converter

_MISSING = -999.0


@dataclass(frozen=True, slots=True)
class Field:
    """A field of ours: the network's name, the quantity, and what is physically possible."""

    wire: str
    ours: str
    quantity: str
    low: float
    high: float


FIELDS = (
    Field("t", "air_temperature_c", "temperature", -70.0, 65.0),
    Field("rh", "relative_humidity", "fraction", 0.0, 1.1),
    Field("dewpt", "dewpoint_c", "temperature", -90.0, 50.0),
    Field("vp", "vapor_pressure_kpa", "pressure", 0.0, 15.0),
    Field("solarRad", "solar_radiation_w_m2", "radiation", -50.0, 2000.0),
    Field("precip", "precipitation_mm", "length", 0.0, 500.0),
    Field("windSpeed", "wind_speed_m_s", "speed", 0.0, 120.0),
    Field("windDir", "wind_direction_deg", "angle", 0.0, 360.0),
    Field("gustSpeed", "wind_gust_m_s", "speed", 0.0, 150.0),
    Field("gustDir", "wind_gust_direction_deg", "angle", 0.0, 360.0),
    Field("st5cm", "soil_temperature_5cm_c", "temperature", -60.0, 80.0),
    Field("st15cm", "soil_temperature_15cm_c", "temperature", -60.0, 80.0),
)
BY_WIRE = {field.wire: field for field in FIELDS}
NAMES = frozenset(BY_WIRE)
UNUSED = frozenset({"rso", "bp_avg", "wetb", "dt", "gustTime"})
_UNITS = {
    "us": {"temperature": "degF", "length": "in", "speed": "mph"},
    "m": {"temperature": "degC", "length": "mm", "speed": "m/s"},
}
_UNITS_OF_BOTH = {"fraction": "", "pressure": "kPa", "radiation": "W/m2", "angle": "deg"}
# Labels drift between releases, so they count only where no `fields` parameter says the order.
LABELS = {
    "air temp": "t",
    "rh": "rh",
    "dewpoint": "dewpt",
    "dew point": "dewpt",
    "vapor pressure": "vp",
    "solar rad": "solarRad",
    "precip": "precip",
    "liquid precip": "precip",
    "wind": "windSpeed",
    "wind speed": "windSpeed",
    "wind dir": "windDir",
    "gust": "gustSpeed",
    "gust speed": "gustSpeed",
    "gust time": "gustTime",
    "gust dir": "gustDir",
    "5cm soil temp": "st5cm",
    "15cm soil temp": "st15cm",
    "soil temp 5cm": "st5cm",
    "soil temp 15cm": "st15cm",
}


@lru_cache(maxsize=4)
def converters_of(units: str) -> Mapping[str, Convert]:
    """Return the conversions of a payload in ``us`` or ``m`` units, by the network's names.

    Raises DocumentError for other units.
    """
    if units not in _UNITS:
        raise DocumentError(f"units {values.shown(units)}; known: {', '.join(_UNITS)}")
    spelling = {**_UNITS_OF_BOTH, **_UNITS[units]}
    return {f.wire: converter(f.quantity, spelling[f.quantity], where=f.wire) for f in FIELDS}


def present(value: Any, field: str) -> float | None:
    """Return a measured number; null, empty text and -999 (also -999.0) are missing.

    Raises RowError for what is no finite number.
    """
    number = values.number(value, field)
    return None if number == _MISSING else number


def measured(row: Mapping[str, Any], converters: Mapping[str, Convert]) -> dict[str, float | None]:
    """Return our fields in our units.

    Raises RowError for a value that is physically impossible, which is how a wrong unit shows.
    """
    found: dict[str, float | None] = {}
    for field in FIELDS:
        value = present(row.get(field.wire), field.wire)
        if value is not None:
            value = converters[field.wire](value)
            if not field.low <= value <= field.high:
                raise RowError(
                    f"{field.wire}: {values.shown(str(row[field.wire]))} is impossible; allowed: "
                    f"{field.low:g} to {field.high:g} as {field.ours}"
                )
        found[field.ours] = value
    return found
