"""US Drought Monitor by county: https://droughtmonitor.unl.edu/DmData/DataDownload/WebServiceInfo.aspx."""

from __future__ import annotations

from datetime import date
from typing import Annotated as A  # noqa: N817
from typing import ClassVar

from emdata.contracts.base import Dataset, Doc, Priority, Record

CUMULATIVE, CATEGORICAL = 1, 2
_EMIT_AT_PERCENT = 1.0


class DroughtCounty(Record, frozen=True, kw_only=True):
    """Share of one county's area in each drought class on one weekly map.

    In cumulative statistics (1) a class contains the worse ones, so that none + d0 = 100; in
    categorical statistics (2) the six shares add up to 100.
    """

    county_fips: A[str, Doc("FIPS code of the county, five digits")]
    valid_on: A[date, Doc("Date of the map, a Tuesday")]
    statistics_type: A[int, Doc("1 cumulative, 2 categorical")]
    county: A[str | None, Doc("Name of the county")] = None
    state: A[str | None, Doc("Two-letter state")] = None
    none_percent: A[float | None, Doc("Area without drought", "%")] = None
    d0_percent: A[float | None, Doc("Area abnormally dry (D0)", "%")] = None
    d1_percent: A[float | None, Doc("Area in moderate drought (D1)", "%")] = None
    d2_percent: A[float | None, Doc("Area in severe drought (D2)", "%")] = None
    d3_percent: A[float | None, Doc("Area in extreme drought (D3)", "%")] = None
    d4_percent: A[float | None, Doc("Area in exceptional drought (D4)", "%")] = None
    valid_from: A[date | None, Doc("First day for which the map holds")] = None
    valid_to: A[date | None, Doc("Last day for which the map holds")] = None

    dataset: ClassVar[Dataset] = Dataset(
        name="usda_drought_counties",
        source="usda",
        domain="drought",
        title="US Drought Monitor by county and week",
        key=("county_fips", "valid_on", "statistics_type"),
        event_time="valid_on",
        region="state",
        fresh_within="10d",
        periodic=True,
        terms=("Free with credit to the National Drought Mitigation Center, USDA, NOAA and NASA"),
        description="Weekly map of drought, released on Thursdays; past weeks are seldom revised.",
    )

    def priority(self) -> Priority:
        """HIGH with exceptional, NORMAL with extreme drought on 1 % of the area; LOW otherwise."""
        if (self.d4_percent or 0.0) >= _EMIT_AT_PERCENT:
            return Priority.HIGH
        if (self.d3_percent or 0.0) >= _EMIT_AT_PERCENT:
            return Priority.NORMAL
        return Priority.LOW
