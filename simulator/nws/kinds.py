"""Kinds of alerts: codes and ratings as the National Weather Service uses them.

Codes: https://www.weather.gov/vtec/ (phenomena, significance) and NWS Instruction 10-1712 (SAME).
"""

from __future__ import annotations

from dataclasses import dataclass

from simulator.geography.zones import ZoneType


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of alert. ``phenomenon`` is empty when products of this kind carry no VTEC.

    hours: shortest and longest life. lead: hours between issuance and onset at most.
    product_hours: after which a product lapses unless followed by another.
    upgrade: the event that a watch may become. sender: empty for the NWS itself.
    """

    event: str
    phenomenon: str
    significance: str
    same: str
    code: str
    severity: str
    certainty: str
    urgency: str
    response: str
    areas: ZoneType
    hours: tuple[float, float]
    weight: float
    polygon: bool = False
    lead: float = 0.0
    upgrade: str = ""
    sender: str = ""
    status: str = "Actual"
    category: str = "Met"
    split: bool = False

    @property
    def product_hours(self) -> float:
        """Hours after which a product lapses."""
        return min(self.hours[1], 8.0)

    @property
    def product(self) -> str:
        """First three letters of the AWIPS identifier."""
        return {"FW": "RFW", "WS": "WSW", "WW": "WSW", "HW": "NPW"}.get(
            self.phenomenon, self.code if self.phenomenon in ("TO", "SV", "FF") else "NPW"
        )


def _nws(text: str) -> Kind:
    """Read one line of the table below."""
    event, vtec, same, code, ratings, response, areas, hours, lead, weight, flags = (
        part.strip() for part in text.split("|")
    )
    phenomenon, _, significance = vtec.partition(".")
    severity, certainty, urgency = ratings.split("/")
    low, high = (float(part) for part in hours.split("-"))
    place: ZoneType = "fire" if areas == "fire" else "county" if areas == "county" else "forecast"
    upgrade = flags.removeprefix("to ") if flags.startswith("to ") else ""
    return Kind(
        event, phenomenon, significance, same, code, severity, certainty, urgency, response, place,
        (low, high), float(weight), polygon=flags == "polygon", lead=float(lead), upgrade=upgrade,
        split=flags == "split",
    )  # fmt: skip


_TABLE = """
Tornado Warning|TO.W|TOR|TOW|Extreme/Observed/Immediate|Shelter|county|0.5-0.8|0|5|polygon
Severe Thunderstorm Warning|SV.W|SVR|SVW|Severe/Observed/Immediate|Shelter|county|0.5-1|0|12|polygon
Flash Flood Warning|FF.W|FFW|FFW|Severe/Likely/Immediate|Avoid|county|2-4|0|7|polygon
Flood Advisory|FA.Y|FLS|FAY|Minor/Likely/Expected|Avoid|county|2-5|0|6|polygon
Winter Storm Watch|WS.A|WSA|WSA|Severe/Possible/Future|Prepare|zone|6-9|12|6|to Winter Storm Warning
Winter Storm Warning|WS.W|WSW|WSW|Severe/Likely/Expected|Prepare|zone|6-14|4|8|
Winter Weather Advisory|WW.Y|NWS|WWY|Moderate/Likely/Expected|Execute|zone|4-10|2|9|
High Wind Watch|HW.A|HWA|HWA|Severe/Possible/Future|Prepare|zone|5-9|10|5|to High Wind Warning
High Wind Warning|HW.W|HWW|HWW|Severe/Likely/Expected|Prepare|zone|4-9|3|7|
Wind Advisory|WI.Y|NWS|WIY|Moderate/Likely/Expected|Execute|zone|3-8|2|9|
Fire Weather Watch|FW.A|NWS|FWA|Severe/Possible/Future|Prepare|fire|6-10|10|5|to Red Flag Warning
Red Flag Warning|FW.W|NWS|FWW|Severe/Likely/Expected|Prepare|fire|4-9|3|8|
Dense Fog Advisory|FG.Y|NWS|FGY|Minor/Likely/Expected|Execute|zone|2-5|0|6|
Freeze Warning|FZ.W|NWS|FZW|Moderate/Likely/Expected|Execute|zone|5-9|4|5|
Special Weather Statement||SPS|SPS|Moderate/Observed/Expected|Execute|zone|0.5-1|0|9|
Air Quality Alert||NWS|AQA|Unknown/Unknown/Unknown|Monitor|county|10-20|0|3|split
"""

_OTHERS = (
    Kind("Civil Emergency Message", "", "", "CEM", "", "Severe", "Observed", "Immediate", "Shelter",
         "county", (1.0, 6.0), 1.5, polygon=True, sender="Public Safety", category="Safety"),
    Kind("Evacuation Immediate", "", "", "EVI", "", "Extreme", "Observed", "Immediate", "Evacuate",
         "county", (1.0, 6.0), 1.0, polygon=True, sender="Sheriff's Office", category="Safety"),
    Kind("911 Telephone Outage", "", "", "TOE", "", "Extreme", "Observed", "Immediate", "Monitor",
         "county", (1.0, 4.0), 0.7, sender="Communications Center", category="Infra"),
    Kind("Test Message", "", "", "RWT", "", "Minor", "Unlikely", "Unknown", "None",
         "county", (0.5, 1.0), 2.0, status="Test"),
)  # fmt: skip

KINDS: dict[str, Kind] = {
    kind.event: kind for kind in (*map(_nws, _TABLE.strip().split("\n")), *_OTHERS)
}
