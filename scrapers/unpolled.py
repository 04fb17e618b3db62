"""Streams that poll no source: what pushes, and what is made from other records.

Light, because the lineage reads it: the connectors themselves need clients of their servers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from emdata.contracts.api_usage import ApiUsage
from emdata.contracts.base import Record
from emdata.contracts.derived import EscalationNotice
from emdata.contracts.emissions import Emission
from emdata.contracts.firms import FireDetection
from emdata.contracts.iot import IotSensorReading
from emdata.settings import Settings


@dataclass(frozen=True)
class Unpolled:
    """One such stream. made_from: contracts whose landed records it reads; empty: it pushes.

    off_because returns why the settings leave a pushing stream off, or None.
    """

    name: str
    emits: tuple[type[Record], ...]
    every: str
    description: str
    made_from: tuple[type[Record], ...] = ()
    off_because: Callable[[Settings], str | None] = lambda _settings: None


def _without_broker(settings: Settings) -> str | None:
    return None if settings.mqtt_url else "no MQTT broker is set (EMDATA_MQTT_URL)"


UNPOLLED = (
    Unpolled(
        name="escalation_notices",
        emits=(EscalationNotice,),
        every="15s",
        description="Machine-made notices of fire detections close together near people.",
        made_from=(FireDetection,),
    ),
    Unpolled(
        name="iot_mqtt",
        emits=(IotSensorReading,),
        every="as it arrives",
        description="Sensors of the operator's own, by way of an MQTT broker.",
        off_because=_without_broker,
    ),
    Unpolled(
        name="push-api",
        emits=(Emission, ApiUsage),
        every="as it arrives",
        description="What organizations submit by the open API, and what it counts of its use.",
    ),
)


def off_unpolled(settings: Settings, off_datasets: Iterable[str]) -> dict[str, str]:
    """Return why streams are off, by name; those made from datasets that are off are too."""
    missing = set(off_datasets)
    found = {}
    for stream in UNPOLLED:
        needed = [one.dataset.name for one in stream.made_from if one.dataset.name in missing]
        reason = stream.off_because(settings)
        if needed:
            reason = f"made from {', '.join(needed)}, which is off"
        if reason is not None:
            found[stream.name] = reason
    return found
