"""FEMA disaster declarations: https://www.fema.gov/openfema-data-page/disaster-declarations-summaries-v2."""

from __future__ import annotations

from datetime import date
from typing import Annotated as A  # noqa: N817
from typing import ClassVar

from emdata.contracts.base import Dataset, Doc, Priority, Record, UtcDatetime

_OLD_AFTER_FISCAL_YEARS = 2


class DisasterDeclaration(Record, frozen=True, kw_only=True):
    """One area named in a FEMA declaration. FEMA amends rows in place.

    Dates are calendar dates: FEMA writes them as midnight UTC, and they are never shifted.
    """

    disaster_number: A[int, Doc("FEMA's number of the disaster, such as 4659")]
    place_code: A[str, Doc("FEMA's place code; '0' is statewide, '99' + county otherwise")]
    declaration_id: A[str | None, Doc("Type, number and state, such as DR-4659-CA")] = None
    state: A[str | None, Doc("Two-letter state or territory")] = None
    declaration_type: A[
        str | None,
        Doc("DR major disaster, EM emergency, FM fire management, FS fire suppression (old)"),
    ] = None
    declared_on: A[date | None, Doc("Calendar date of the declaration")] = None
    fiscal_year: A[int | None, Doc("US fiscal year of the declaration")] = None
    incident_type: A[str | None, Doc("Kind of incident, such as Flood or Fire")] = None
    title: A[str | None, Doc("Title of the declaration")] = None
    is_ih_declared: A[bool | None, Doc("Individuals and Households program declared")] = None
    is_ia_declared: A[bool | None, Doc("Individual Assistance program declared")] = None
    is_pa_declared: A[bool | None, Doc("Public Assistance program declared")] = None
    is_hm_declared: A[bool | None, Doc("Hazard Mitigation program declared")] = None
    is_tribal_request: A[bool | None, Doc("Requested by a tribal nation")] = None
    incident_began_on: A[date | None, Doc("First day of the incident")] = None
    incident_ended_on: A[date | None, Doc("Last day of the incident; null: open")] = None
    closed_out_on: A[date | None, Doc("Day on which FEMA closed the disaster; null: open")] = None
    last_ia_filing_on: A[date | None, Doc("Last day to file for Individual Assistance")] = None
    state_fips: A[str | None, Doc("FIPS code of the state, two digits")] = None
    county_fips_part: A[
        str | None,
        Doc("FIPS code of the county in its state; 000: statewide or tribal"),
    ] = None
    county_fips: A[
        str | None,
        Doc("FIPS code of the county, five digits; null: statewide or tribal"),
    ] = None
    designated_area: A[str | None, Doc("Area as named, such as Washoe (County)")] = None
    request_number: A[str | None, Doc("Number of the governor's or tribe's request")] = None
    incident_id: A[str | None, Doc("FEMA's incident, which may span declarations")] = None
    region: A[int | None, Doc("FEMA region, 1 to 10")] = None
    designated_incident_types: A[
        str | None, Doc("Codes of the incident types, separated by commas")
    ] = None
    refreshed_at: A[UtcDatetime, Doc("FEMA's lastRefresh; a reload bumps it")]
    source_hash: A[str | None, Doc("FEMA's hash of the row")] = None
    source_id: A[str | None, Doc("FEMA's id of the row; does not survive a reload")] = None

    dataset: ClassVar[Dataset] = Dataset(
        name="fema_disaster_declarations",
        source="fema",
        domain="disaster",
        title="FEMA disaster declarations by area",
        key=("disaster_number", "place_code"),
        version="refreshed_at",
        unhashed=("refreshed_at", "source_hash", "source_id"),
        event_time="declared_on",
        region="state",
        fresh_within="26h",
        full_snapshot=True,
        terms="US public domain; OpenFEMA terms and conditions",
        description=(
            "Every area of every federal disaster, emergency and fire declaration since 1953. "
            "A key that vanishes was rescinded or merged."
        ),
    )

    def priority(self) -> Priority:
        """HIGH for a new major disaster with aid to persons and for an open emergency.

        Closed-out and old declarations are LOW: a back-fill must not page anybody. Age is counted
        in fiscal years up to the year of ``refreshed_at``, so that it needs no clock.
        """
        if self.closed_out_on is not None or self._is_old():
            return Priority.LOW
        if self.declaration_type == "DR" and (self.is_ih_declared or self.is_ia_declared):
            return Priority.HIGH
        if self.declaration_type == "EM" and self.incident_ended_on is None:
            return Priority.HIGH
        if self.declaration_type in ("DR", "EM", "FM"):
            return Priority.NORMAL
        return Priority.LOW

    def _is_old(self) -> bool:
        declared = self.fiscal_year
        if declared is None:
            if self.declared_on is None:
                return True
            declared = _fiscal_year(self.declared_on)
        return _fiscal_year(self.refreshed_at) - declared > _OLD_AFTER_FISCAL_YEARS


def _fiscal_year(day: date) -> int:
    """The US federal fiscal year, which starts on the first of October before."""
    return day.year + (1 if day.month >= 10 else 0)
