"""Emissions that organizations report themselves, by the open API or the ingest endpoint."""

from __future__ import annotations

from typing import Annotated as A  # noqa: N817
from typing import ClassVar

import msgspec

from emdata.contracts.base import Dataset, Doc, Priority, Record, Submitted, UtcDatetime
from emdata.errors import ContractError

DECIMALS = 6
"""Decimal places that a value may have: with MAX_VALUE 15 digits, which a double holds exactly."""
MAX_VALUE = 999_999_999.999999
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}\Z"
"""Names of organizations and emissions: short enough to be keys of every table, in ASCII."""
Name = A[str, msgspec.Meta(pattern=NAME_PATTERN)]


class Emission(Record, frozen=True, kw_only=True):
    """One amount that an organization reports. Sent again under its id it replaces itself.

    Raises ContractError on construction for a value out of range or with more than six decimal
    places: totals are sums of decimals, and another digit would be lost in them.
    """

    organization_id: A[Name, Doc("The organization that reports, as it names itself")]
    emission_id: A[Name, Doc("Names the emission within its organization for ever")]
    value: A[
        float,
        msgspec.Meta(ge=-MAX_VALUE, le=MAX_VALUE),
        Doc("The amount, in the unit that the organization reports in; at most 6 decimal places"),
    ]
    reported_at: A[UtcDatetime, Doc("When the emission was received, by the receiver's clock")]

    dataset: ClassVar[Dataset] = Dataset(
        name="emission",
        source="api",
        domain="environment",
        title="Emissions reported by organizations",
        key=("organization_id", "emission_id"),
        # A retry is received later and says the same.
        unhashed=("reported_at",),
        event_time="reported_at",
        fresh_within="31d",
        terms="The reporting organization's own data; its terms are the organization's",
        topic_name="emissions",
        submitted=Submitted(made="emission_id", received="reported_at", reporter="organization_id"),
        description="Pushed by organizations; totals by month are in `aggregated_emission`.",
    )

    def __post_init__(self) -> None:
        """Check what JSON and the types cannot."""
        super().__post_init__()
        if abs(self.value) > MAX_VALUE or round(self.value, DECIMALS) != self.value:
            raise ContractError(
                f"{self.dataset.name}.value",
                value=self.value,
                allowed=f"-{MAX_VALUE} to {MAX_VALUE} with at most {DECIMALS} decimal places",
            )

    def priority(self) -> Priority:
        """NORMAL: somebody waits for the answer, nobody for the alarm."""
        return Priority.NORMAL
