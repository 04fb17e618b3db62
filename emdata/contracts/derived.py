"""Records that a rule of this platform makes from others. They are advice, never an alert.

No authority issues them: they have no severity, urgency or instruction, they lie in a dataset of
their own, and the records that caused them stay as they are.
"""

from __future__ import annotations

from typing import Annotated as A  # noqa: N817
from typing import ClassVar

from emdata.contracts.base import Dataset, Doc, JsonText, LongText, Priority, Record, UtcDatetime


class EscalationNotice(Record, frozen=True, kw_only=True):
    """Fires that satellites saw close together and near people, as a rule of ours found them.

    A cluster that grew by the rule's steps is a new version of the same notice.
    """

    notice_id: A[str, Doc("Names the cluster for ever; the same however often it is noticed")]
    step: A[int, Doc("Detections that made this version due: 3, 6, 12, ... by default")]
    rule_id: A[str, Doc("The rule, such as fires_near_people")]
    rule_version: A[int, Doc("Version of the rule's code")]
    rule_parameters: A[JsonText, Doc("The parameters that were in force")]
    is_machine_made: A[bool, Doc("Always true: no person has looked at it")]
    is_advisory: A[bool, Doc("Always true: it orders nothing and replaces no authority's alert")]
    advisory: A[LongText, Doc("The notice in words, with what it is not")]
    cause_dataset: A[str, Doc("Dataset of the records that caused it")]
    cause_ids: A[JsonText, Doc("Ids (writer-dataset-seq) of the accepted records that caused it")]
    inputs: A[JsonText, Doc("What the rule saw of each cause, and the places near the cluster")]
    detection_count: A[
        int, Doc("Detections of the cluster so far, also out of the window", "count")
    ]
    first_detected_at: A[UtcDatetime, Doc("First detection of the cluster")]
    last_detected_at: A[UtcDatetime, Doc("Last detection of the cluster")]
    latitude: A[float, Doc("Mean of the causes, WGS 84", "deg")]
    longitude: A[float, Doc("Mean of the causes, WGS 84", "deg")]
    place_name: A[str, Doc("The nearest populated place")]
    place_state: A[str, Doc("Its state or territory, two letters")]
    place_id: A[int, Doc("Its id at GeoNames")]
    place_distance_km: A[float, Doc("From it to the nearest detection", "km")]
    place_population: A[int, Doc("Its population")]
    places_nearby: A[int, Doc("Populated places within the rule's distance")]
    people_nearby: A[int, Doc("Their populations together")]
    place_source: A[str, Doc("Where the places come from, with their licence")]

    dataset: ClassVar[Dataset] = Dataset(
        name="derived_escalation_notices",
        source="derived",
        domain="wildfire",
        title="Notices of fire detections near people (machine-made, advisory)",
        key=("notice_id",),
        version="step",
        event_time="last_detected_at",
        fresh_within="1d",
        terms="Ours, Apache-2.0; from NASA FIRMS (credit NASA) and GeoNames (CC BY 4.0)",
        description="Made by a rule from accepted fire detections. Not an official alert.",
    )

    def priority(self) -> Priority:
        """HIGH: somebody may want to look at once; CRITICAL is for authorities."""
        return Priority.HIGH
