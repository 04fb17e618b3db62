"""Settings of the rule that makes escalation notices."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings

from emdata.settings.names import names


class DerivedSettings(BaseSettings):
    """When fire detections near people become a notice; a change starts the clusters anew."""

    escalation_min_detections: int = Field(
        3,
        ge=2,
        le=1000,
        validation_alias=names("escalation_min_detections"),
        description="fire detections close together that make an escalation notice",
    )
    escalation_radius_km: float = Field(
        1.0,
        gt=0,
        le=50,
        validation_alias=names("escalation_radius_km"),
        description="how close together they have to be, in km",
    )
    escalation_place_miles: float = Field(
        5.0,
        gt=0,
        le=100,
        validation_alias=names("escalation_place_miles"),
        description="how near a populated place has to be, in miles",
    )
    escalation_window_hours: float = Field(
        24.0,
        gt=0,
        le=24 * 14,
        validation_alias=names("escalation_window_hours"),
        description="how long a detection counts after the satellite's pass",
    )
    escalation_growth_factor: float = Field(
        2.0,
        ge=1.1,
        le=100,
        validation_alias=names("escalation_growth_factor"),
        description="a cluster is noticed again when it has grown by this factor",
    )
