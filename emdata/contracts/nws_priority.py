"""How urgent an alert of the National Weather Service is: pure tables over CAP's fields.

CAP 1.2 (OASIS) defines severity, urgency and certainty; NWS Instruction 10-1703 the VTEC codes.
"""

from __future__ import annotations

from typing import Protocol

from emdata.contracts.base import Priority

_NWS_DOMAIN = "@noaa.gov"

NOW = frozenset({"Immediate", "Expected"})
SURE = frozenset({"Observed", "Likely"})
_SURE_NOW = {
    "Extreme": Priority.CRITICAL,
    "Severe": Priority.HIGH,
    "Moderate": Priority.NORMAL,
}
_LATER = {
    "Extreme": Priority.HIGH,
    "Severe": Priority.NORMAL,
    "Moderate": Priority.NORMAL,
}

# Local authorities rate their own messages high, so HIGH is their limit, but for these codes.
UNCAPPED_CODES = frozenset(
    {
        "CDW", "CEM", "EVI", "EWW", "FFW", "HMW", "LEW", "NUW", "RHW", "SPW", "TOE", "TOR", "TSW",
    }
)  # fmt: skip

# Classes whose open alert can be CRITICAL; FF.W because a flash flood emergency is one.
_CRITICAL_CLASSES = frozenset(
    {"TO.W", "EW.W", "TS.W", "SS.W", "HU.W", "TY.W", "HI.W", "FF.W", "SQ.W"}
)
_HIGH_WATCHES = frozenset({"TO.A", "HU.A", "TY.A", "SS.A", "TS.A", "TR.A"})
_CLASS_OF_EVENT = {
    "Tornado Warning": "TO.W",
    "Extreme Wind Warning": "EW.W",
    "Tsunami Warning": "TS.W",
    "Storm Surge Warning": "SS.W",
    "Hurricane Warning": "HU.W",
    "Typhoon Warning": "TY.W",
    "Hurricane Force Wind Warning": "HI.W",
    "Flash Flood Warning": "FF.W",
    "Snow Squall Warning": "SQ.W",
    "Tornado Watch": "TO.A",
    "Hurricane Watch": "HU.A",
    "Typhoon Watch": "TY.A",
    "Storm Surge Watch": "SS.A",
    "Tsunami Watch": "TS.A",
    "Tropical Storm Watch": "TR.A",
}
_SIGNIFICANCE_OF_WORD = {"Warning": "W", "Watch": "A", "Advisory": "Y", "Statement": "S"}


def open_priority(*, severity: str | None, urgency: str | None, certainty: str | None) -> Priority:
    """Return the priority of an alert that is in force; Minor and Unknown are LOW."""
    table = _SURE_NOW if urgency in NOW and certainty in SURE else _LATER
    return table.get(severity or "", Priority.LOW)


def class_priority(event: str | None, vtec_class: str | None, event_code: str | None) -> Priority:
    """Return the highest priority that an alert of this class usually has while it is open.

    ``vtec_class`` is phenomenon and significance, such as ``TO.W``. The event's name, its VTEC and
    its code may disagree; the most urgent counts.
    """
    found = [_of_class(vtec_class)]
    if event is not None:
        word = event.rpartition(" ")[2]
        named = _CLASS_OF_EVENT.get(event)
        found.append(_of_class(named or f"..{_SIGNIFICANCE_OF_WORD.get(word, '')}"))
    if event_code in UNCAPPED_CODES:
        found.append(Priority.CRITICAL)
    return min(found)


def _of_class(vtec_class: str | None) -> Priority:
    if vtec_class in _CRITICAL_CLASSES:
        return Priority.CRITICAL
    significance = (vtec_class or "").rpartition(".")[2]
    if significance == "W" or vtec_class in _HIGH_WATCHES:
        return Priority.HIGH
    return Priority.NORMAL if significance in ("A", "Y") else Priority.LOW


def closing_priority(
    *,
    severity: str | None,
    event: str | None,
    vtec_class: str | None,
    event_code: str | None,
) -> Priority:
    """Return the priority of a message that ends an alert: that of what it ends.

    The message itself often says Minor and Past, and what it ends is not at hand, so the class of
    the event decides, unless the message's own severity, taken as of an open alert, is more
    urgent. An all-clear is thus never slower than the alarm was, and at times faster.
    """
    is_watch = (vtec_class or "").endswith(".A") or (event or "").endswith(" Watch")
    own = open_priority(
        severity=severity,
        urgency="Future" if is_watch else "Immediate",
        certainty="Possible" if is_watch else "Observed",
    )
    return min(own, class_priority(event, vtec_class, event_code))


def is_nws_sender(sender: str | None) -> bool:
    """Whether the National Weather Service itself sent the message."""
    return sender is not None and sender.strip().lower().endswith(_NWS_DOMAIN)


class Message(Protocol):
    """The fields of a message that its priority depends on."""

    @property
    def status(self) -> str | None: ...
    @property
    def message_type(self) -> str | None: ...
    @property
    def severity(self) -> str | None: ...
    @property
    def urgency(self) -> str | None: ...
    @property
    def certainty(self) -> str | None: ...
    @property
    def sender(self) -> str | None: ...
    @property
    def event(self) -> str | None: ...
    @property
    def event_code(self) -> str | None: ...
    @property
    def vtec_class(self) -> str | None: ...
    @property
    def damage_threat(self) -> str | None: ...
    @property
    def is_closing(self) -> bool: ...


def alert_priority(message: Message) -> Priority:
    """Return the delivery priority of a message.

    Tests, exercises, drafts, acknowledgements and errors are LOW. A CATASTROPHIC damage threat is
    CRITICAL. Other senders than the NWS are held to HIGH unless their event code is on the list.
    """
    if message.status != "Actual" or message.message_type in ("Ack", "Error"):
        return Priority.LOW
    if message.is_closing:
        found = closing_priority(
            severity=message.severity,
            event=message.event,
            vtec_class=message.vtec_class,
            event_code=message.event_code,
        )
    elif message.damage_threat == "CATASTROPHIC":
        found = Priority.CRITICAL
    else:
        found = open_priority(
            severity=message.severity, urgency=message.urgency, certainty=message.certainty
        )
    if not is_nws_sender(message.sender) and message.event_code not in UNCAPPED_CODES:
        return max(found, Priority.HIGH)
    return found
