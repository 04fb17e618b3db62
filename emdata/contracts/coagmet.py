"""CoAgMet, Colorado's agricultural weather network: https://coagmet.colostate.edu/data/doc.html."""

from __future__ import annotations

from typing import Annotated as A  # noqa: N817
from typing import ClassVar

from emdata.contracts.base import Dataset, Doc, Priority, Record, UtcDatetime

_TERMS = "Free with attribution to CoAgMet, Colorado State University"

FROST_BELOW_C = 0.0
STRONG_GUST_M_S = 26.0
HEAVY_RAIN_MM = 25.0
_GROWING_SEASON = range(4, 11)


class Station(Record, frozen=True, kw_only=True):
    """One weather station."""

    station_id: A[str, Doc("Id of the station, lower case")]
    network: A[str | None, Doc("Network that runs the station")] = None
    name: A[str | None, Doc("Name of the station")] = None
    location: A[str | None, Doc("Where it stands, in words")] = None
    latitude: A[float | None, Doc("Latitude, WGS 84", "deg")] = None
    longitude: A[float | None, Doc("Longitude, WGS 84", "deg")] = None
    elevation_m: A[float | None, Doc("Height above sea level", "m")] = None
    anemometer_height_m: A[
        float | None, Doc("Height of the anemometer above ground; null: not known", "m")
    ] = None
    is_active: A[bool | None, Doc("Whether the station still reports")] = None
    irrigation: A[str | None, Doc("Irrigation around it: dry, part, full or unknown")] = None
    first_observed_at: A[UtcDatetime | None, Doc("First observation")] = None
    last_observed_at: A[UtcDatetime | None, Doc("Last observation when this was read")] = None
    timestep_seconds: A[int | None, Doc("Interval of the observations", "s")] = None

    dataset: ClassVar[Dataset] = Dataset(
        name="coagmet_stations",
        source="coagmet",
        domain="agriculture",
        title="CoAgMet weather stations",
        key=("station_id",),
        unhashed=("last_observed_at",),
        event_time="last_observed_at",
        fresh_within="2d",
        full_snapshot=True,
        terms=_TERMS,
        description="Where the stations stand and what they are like.",
    )


class HourlyObservation(Record, frozen=True, kw_only=True):
    """What one station measured in the hour that ends at ``observed_at``.

    Quality control revises values for days; a value that was withdrawn is null.
    """

    station_id: A[str, Doc("Id of the station, lower case")]
    observed_at: A[UtcDatetime, Doc("End of the hour")]
    air_temperature_c: A[float | None, Doc("Mean air temperature", "Cel")] = None
    relative_humidity: A[float | None, Doc("Relative humidity, a fraction from 0 to 1", "1")] = None
    dewpoint_c: A[float | None, Doc("Dewpoint", "Cel")] = None
    vapor_pressure_kpa: A[float | None, Doc("Vapor pressure", "kPa")] = None
    solar_radiation_w_m2: A[float | None, Doc("Mean solar radiation", "W/m2")] = None
    precipitation_mm: A[float | None, Doc("Liquid precipitation in the hour", "mm")] = None
    wind_speed_m_s: A[float | None, Doc("Mean wind speed", "m/s")] = None
    wind_direction_deg: A[float | None, Doc("Mean wind direction, from north", "deg")] = None
    wind_gust_m_s: A[float | None, Doc("Strongest gust", "m/s")] = None
    wind_gust_direction_deg: A[float | None, Doc("Direction of that gust", "deg")] = None
    soil_temperature_5cm_c: A[float | None, Doc("Soil temperature at 5 cm", "Cel")] = None
    soil_temperature_15cm_c: A[float | None, Doc("Soil temperature at 15 cm", "Cel")] = None

    dataset: ClassVar[Dataset] = Dataset(
        name="coagmet_hourly_observations",
        source="coagmet",
        domain="agriculture",
        title="CoAgMet hourly observations",
        key=("station_id", "observed_at"),
        event_time="observed_at",
        fresh_within="3h",
        periodic=True,
        terms=_TERMS,
        description="Hourly weather at farms and ranges, quality-controlled and revised for days.",
    )

    def priority(self) -> Priority:
        """NORMAL for a strong gust, heavy rain, or frost in the growing season; LOW otherwise."""
        if (self.wind_gust_m_s or 0.0) > STRONG_GUST_M_S:
            return Priority.NORMAL
        if (self.precipitation_mm or 0.0) > HEAVY_RAIN_MM:
            return Priority.NORMAL
        temperature = self.air_temperature_c
        is_frost = temperature is not None and temperature < FROST_BELOW_C
        if is_frost and self.observed_at.month in _GROWING_SEASON:
            return Priority.NORMAL
        return Priority.LOW
