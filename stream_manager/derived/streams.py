"""The derived streams, put together from the settings."""

from __future__ import annotations

from emdata.clock import Clock
from emdata.contracts.firms import FireDetection
from emdata.settings import Settings
from stream_manager.derived.notices import EscalationNotices
from stream_manager.derived.places import us_places
from stream_manager.derived.rule import Rule
from stream_manager.derived.topic import TopicReader

EVERY_SECONDS = 15.0


def escalation_notices(settings: Settings, clock: Clock) -> EscalationNotices:
    """Return the stream of notices; it reads the topic of fire detections."""
    rule = Rule(
        min_detections=settings.escalation_min_detections,
        radius_km=settings.escalation_radius_km,
        place_miles=settings.escalation_place_miles,
        window_hours=settings.escalation_window_hours,
        growth_factor=settings.escalation_growth_factor,
    )
    reader = TopicReader(settings.kafka, FireDetection.dataset.topic)
    return EscalationNotices(rule, us_places(), reader, clock)
