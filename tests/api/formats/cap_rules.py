"""The rules of the schema of CAP 1.2 (its appendix A) as checks: order, counts, enumerations."""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element

NAMESPACE = "{urn:oasis:names:tc:emergency:cap:1.2}"
_ONE, _MAYBE, _ANY, _MANY = (1, 1), (0, 1), (0, None), (1, None)
Counts = tuple[int, int | None]
ALERT: dict[str, Counts] = {
    "identifier": _ONE,
    "sender": _ONE,
    "sent": _ONE,
    "status": _ONE,
    "msgType": _ONE,
    "source": _MAYBE,
    "scope": _ONE,
    "restriction": _MAYBE,
    "addresses": _MAYBE,
    "code": _ANY,
    "note": _MAYBE,
    "references": _MAYBE,
    "incidents": _MAYBE,
    "info": _ANY,
}
INFO: dict[str, Counts] = {
    "language": _MAYBE,
    "category": _MANY,
    "event": _ONE,
    "responseType": _ANY,
    "urgency": _ONE,
    "severity": _ONE,
    "certainty": _ONE,
    "audience": _MAYBE,
    "eventCode": _ANY,
    "effective": _MAYBE,
    "onset": _MAYBE,
    "expires": _MAYBE,
    "senderName": _MAYBE,
    "headline": _MAYBE,
    "description": _MAYBE,
    "instruction": _MAYBE,
    "web": _MAYBE,
    "contact": _MAYBE,
    "parameter": _ANY,
    "resource": _ANY,
    "area": _ANY,
}
AREA: dict[str, Counts] = {
    "areaDesc": _ONE,
    "polygon": _ANY,
    "circle": _ANY,
    "geocode": _ANY,
    "altitude": _MAYBE,
    "ceiling": _MAYBE,
}
PAIR: dict[str, Counts] = {"valueName": _ONE, "value": _ONE}
WORDS = {
    "status": "Actual Exercise System Test Draft",
    "msgType": "Alert Update Cancel Ack Error",
    "scope": "Public Restricted Private",
    "category": "Geo Met Safety Security Rescue Fire Health Env Transport Infra CBRNE Other",
    "responseType": "Shelter Evacuate Prepare Execute Avoid Monitor Assess AllClear None",
    "urgency": "Immediate Expected Future Past Unknown",
    "severity": "Extreme Severe Moderate Minor Unknown",
    "certainty": "Observed Likely Possible Unlikely Unknown",
}
_INSTANT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[-+]\d\d:\d\d"
_PAIR_OF_NUMBERS = r"-?\d+(\.\d+)?,-?\d+(\.\d+)?"
_INSTANTS = ("sent", "effective", "onset", "expires")


def check(alert: Element) -> None:
    """Fail with the first rule that the document breaks."""
    assert alert.tag == NAMESPACE + "alert"
    _children(alert, ALERT)
    for name in ("identifier", "sender"):
        assert re.fullmatch(r"[^\s,<&]+", _text(alert, name)), name
    for reference in _text(alert, "references", "").split():
        assert re.fullmatch(rf"[^\s,<&]+,[^\s,<&]+,{_INSTANT}", reference), reference
    for info in alert.iter(NAMESPACE + "info"):
        _children(info, INFO)
        for name in ("eventCode", "parameter"):
            for pair in info.iter(NAMESPACE + name):
                _children(pair, PAIR)
        for area in info.iter(NAMESPACE + "area"):
            _children(area, AREA)
            _check_area(area)
    for element in alert.iter():
        _check_text(element)


def _check_area(area: Element) -> None:
    for geocode in area.iter(NAMESPACE + "geocode"):
        _children(geocode, PAIR)
    for polygon in area.iter(NAMESPACE + "polygon"):
        points = (polygon.text or "").split(" ")
        assert len(points) >= 4, points
        assert points[0] == points[-1], "a polygon is closed"
        for point in points:
            assert re.fullmatch(_PAIR_OF_NUMBERS, point), point
            latitude, longitude = map(float, point.split(","))
            assert -90 <= latitude <= 90, point
            assert -180 <= longitude <= 180, point


def _check_text(element: Element) -> None:
    name = element.tag.removeprefix(NAMESPACE)
    if name in _INSTANTS:
        assert re.fullmatch(_INSTANT, element.text or ""), (name, element.text)
    if name in WORDS:
        assert element.text in WORDS[name].split(), (name, element.text)


def _children(parent: Element, allowed: dict[str, Counts]) -> None:
    names = [child.tag.removeprefix(NAMESPACE) for child in parent]
    assert all(child.tag.startswith(NAMESPACE) for child in parent)
    assert set(names) <= set(allowed), names
    assert names == sorted(names, key=list(allowed).index), f"order: {names}"
    for name, (least, most) in allowed.items():
        count = names.count(name)
        assert least <= count and (most is None or count <= most), f"{count} {name}"  # noqa: PT018


def _text(parent: Element, name: str, default: str | None = None) -> str:
    found = parent.findtext(NAMESPACE + name, default)
    assert found is not None, name
    return found
