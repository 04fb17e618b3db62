"""Alerts as CAP 1.2 and as an Atom feed."""

from __future__ import annotations

from api.formats import atom, cap
from api.formats.model import Format

FORMATS = (
    Format(
        name="cap",
        title="Common Alerting Protocol 1.2",
        media_types=(cap.MEDIA_TYPE,),
        suffix="xml",
        encoder=cap.CapEncoder,
        broken=b"",
        is_for=cap.is_alert,
        is_streaming=False,
        is_page=False,
    ),
    Format(
        name="atom",
        title="Atom feed",
        media_types=(atom.MEDIA_TYPE,),
        suffix="atom",
        encoder=atom.AtomEncoder,
        broken=b"",
        is_for=atom.has_feed,
        is_streaming=False,
    ),
)
