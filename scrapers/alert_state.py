"""What an NWS message says about its event: which one, whether it ends, and until when.

The rules are stateless, one message at a time, so that a message parsed again says the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from emdata.errors import RowError
from scrapers import values
from scrapers.vtec import Vtec


@dataclass(frozen=True, slots=True)
class Reference:
    """An earlier message that this one refers to; ``sent_at`` None when unreadable."""

    identifier: str
    sender: str | None
    sent: str | None
    sent_at: datetime | None


def reference(identifier: str, sender: str | None, sent: str | None) -> Reference:
    """Make a reference; its time serves only to find the earliest, so it may be unreadable."""
    try:
        sent_at = values.instant(sent, "sent") if sent else None
    except RowError:
        sent_at = None
    return Reference(identifier, sender, sent, sent_at)


def expired_references(texts: Sequence[str]) -> list[Reference]:
    """Read ``expiredReferences``: ONE string of blank-separated ``sender,identifier,sent``.

    Raises RowError for a triple that is none.
    """
    found = []
    for triple in " ".join(texts).split():
        parts = triple.split(",")
        if len(parts) != 3 or not parts[1]:
            raise RowError(
                f"expiredReferences: {values.shown(triple)} is not sender,identifier,sent"
            )
        found.append(reference(parts[1], parts[0], parts[2]))
    return found


def closing_reason(
    *, message_type: str, urgency: str, response: str | None, vtecs: Sequence[Vtec]
) -> str | None:
    """Return which of the four ways of ending a message shows, or None while it is open.

    Terminations also come with messageType Alert, and an upgraded product may stay Severe.
    """
    if message_type == "Cancel":
        return "cancel"
    if urgency == "Past":
        return "past"
    if response == "AllClear":
        return "all_clear"
    if vtecs and all(vtec.is_closing for vtec in vtecs):
        return "vtec"
    return None


def leading_vtec(vtecs: Sequence[Vtec]) -> Vtec | None:
    """Return the VTEC that names the message's event: the first that is open, else the first.

    A product may carry the upgrade of a watch and the new warning; it is about the warning.
    """
    return next((v for v in vtecs if not v.is_closing), vtecs[0] if vtecs else None)


def event_key(
    own_id: str, sent_at: datetime, leading: Vtec | None, references: Sequence[Reference]
) -> str:
    """Return the key that joins the messages of one event.

    Without VTEC it is the earliest message referred to, expired ones included, or the message
    itself; NWS repeats the whole chain in every update.
    """
    if leading is not None:
        return leading.event_key(sent_at)
    dated = [(r.sent_at, r.identifier) for r in references if r.sent_at is not None]
    dated = [(at, identifier) for at, identifier in dated if at <= sent_at]
    return min(dated)[1] if dated else own_id


def closed_event_keys(
    vtecs: Sequence[Vtec], sent_at: datetime, own_key: str, *, is_closing: bool
) -> list[str]:
    """Return the keys of all events that the message ends, its own first when it is one."""
    keys = [own_key] if is_closing else []
    keys += [vtec.event_key(sent_at) for vtec in vtecs if vtec.is_closing]
    return list(dict.fromkeys(keys))
