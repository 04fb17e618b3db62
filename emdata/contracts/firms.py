"""NASA FIRMS, active fires seen by satellites: https://firms.modaps.eosdis.nasa.gov/api/area/.

A pixel has no id and no time of update. The first products are replaced by better ones: real time
(RT), ultra real time (URT), near real time (NRT), and months later the standard product (SP).
"""

from __future__ import annotations

import math
from typing import Annotated as A  # noqa: N817
from typing import ClassVar

from emdata.contracts.base import Dataset, Doc, Priority, Record, UtcDatetime

STRONG_FRP_MW = 50.0
PRODUCT_RANKS = {"RT": 0, "URT": 1, "NRT": 2, "SP": 3}


def geo_cell(latitude: float, longitude: float) -> str:
    """Return the cell of one degree that a point lies in: 39.76, -121.62 -> ``geo_39_-122``."""
    return f"geo_{math.floor(latitude)}_{math.floor(longitude)}"


class FireDetection(Record, frozen=True, kw_only=True):
    """One pixel in which a satellite saw fire or another hot spot.

    All fields count as content, so that the payload is also what the hash is taken from; tables of
    a hundred thousand pixels are then encoded once. Fields stand in alphabetical order.
    """

    acquired_at: A[UtcDatetime, Doc("When the satellite passed over, to the minute")]
    brightness_k: A[float | None, Doc("Brightness at about 4 um (VIIRS I-4, MODIS 21/22)", "K")] = (
        None
    )
    brightness_long_wave_k: A[
        float | None, Doc("Brightness at about 11 um (VIIRS I-5, MODIS 31)", "K")
    ] = None
    collection: A[str | None, Doc("Number of the algorithm's collection, such as 2.0")] = None
    confidence: A[
        str | None,
        Doc("low, nominal or high; for MODIS below 30 %, below 80 %, and from 80 %"),
    ] = None
    confidence_percent: A[int | None, Doc("Confidence as MODIS states it", "%")] = None
    detection_type: A[
        int | None,
        Doc("0 vegetation fire, 1 volcano, 2 other static source, 3 offshore; SP products only"),
    ] = None
    frp_mw: A[float | None, Doc("Fire radiative power", "MW")] = None
    is_day: A[bool | None, Doc("Whether it was day at the pixel")] = None
    latitude: A[float, Doc("Center of the pixel, WGS 84, five decimals", "deg")]
    longitude: A[float, Doc("Center of the pixel, WGS 84, five decimals", "deg")]
    processing: A[str, Doc("RT, URT, NRT or SP: how final the product is")]
    product_rank: A[int, Doc("0 RT, 1 URT, 2 NRT, 3 SP; a higher one supersedes")]
    satellite: A[str, Doc("N (Suomi NPP), N20, N21, Terra or Aqua")]
    scan_km: A[float | None, Doc("Size of the pixel across the track", "km")] = None
    source_family: A[str, Doc("Instrument: MODIS or VIIRS")]
    track_km: A[float | None, Doc("Size of the pixel along the track", "km")] = None

    dataset: ClassVar[Dataset] = Dataset(
        name="nasa_firms_fire_detections",
        source="nasa_firms",
        domain="wildfire",
        title="NASA FIRMS fire detections",
        topic_name="wildfire-nasa-firms",
        key=("source_family", "satellite", "acquired_at", "latitude", "longitude"),
        version="product_rank",
        event_time="acquired_at",
        fresh_within="1d",
        terms="Free and open; credit NASA's Fire Information for Resource Management System",
        description="Hot pixels that MODIS and VIIRS saw; a later product supersedes an earlier.",
    )

    def kafka_key(self) -> str:
        """Return the cell of one degree: the point never moves, so versions stay in order."""
        return geo_cell(self.latitude, self.longitude)

    def priority(self) -> Priority:
        """HIGH for a strong fire that is certain; LOW for doubt and for archives; else NORMAL."""
        if self.confidence == "low" or self.processing == "SP":
            return Priority.LOW
        if self.confidence == "high" and (self.frp_mw or 0.0) >= STRONG_FRP_MW:
            return Priority.HIGH
        return Priority.NORMAL
