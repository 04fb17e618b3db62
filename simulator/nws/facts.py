"""What the ledger counts in an alert, read from the feature as served."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simulator.answers import Fact, fingerprint
from simulator.geography.places import STATES
from simulator.instants import iso_utc, read_iso

ALERTS = "nws_alerts"
ZONES = "nws_alert_zones"
_STATE_OF = {state.fips: code for code, state in STATES.items()}
_CLOSING_ACTIONS = {"CAN", "EXP", "UPG"}


def facts_of(made: Mapping[str, Any]) -> list[Fact]:
    """Return one fact for the alert, one per UGC zone and one per SAME code."""
    properties = made["properties"]
    number = properties["id"]
    reason = _closing_reason(properties)
    values = {
        "alert_id": number,
        "event": properties["event"],
        "severity": properties["severity"],
        "sent_at": iso_utc(read_iso(properties["sent"])),
        "status": properties["status"],
        "message_type": properties["messageType"],
        "is_closing": reason is not None,
        "closing_reason": reason,
    }
    mark = fingerprint(made)
    facts = [Fact(ALERTS, number, mark, values)]
    codes = [(code, "ugc", code[:2]) for code in properties["geocode"].get("UGC", ())]
    for code in properties["geocode"]["SAME"]:  # 0 and the county's FIPS code: a whole county
        codes.append((f"S{code[1:]}", "same", _STATE_OF.get(code[1:3], "")))
    zoned = {k: properties[k] for k in ("onset", "expires", "ends")}
    for code, kind, state in codes:
        zone = {**values, "zone_code": code, "code_type": kind, "state": state}
        facts.append(Fact(ZONES, f"{number}|{code}", fingerprint([zone, zoned]), zone))
    return facts


def _closing_reason(properties: Mapping[str, Any]) -> str | None:
    actions = {text.split(".")[1] for text in properties["parameters"].get("VTEC", ())}
    if properties["messageType"] == "Cancel":
        return "cancel"
    if properties["urgency"] == "Past":
        return "past"
    if properties["response"] == "AllClear":
        return "all_clear"
    return "vtec" if actions and actions <= _CLOSING_ACTIONS else None
