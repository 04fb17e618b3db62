"""Units that sources use, converted to SI; the factors are exact by definition."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from emdata.errors import DocumentError

FEET = 0.3048
Convert = Callable[[float], float]
_DIGITS = 6


def same(value: float) -> float:
    """Leave a value as it is."""
    return value


def fahrenheit(value: float) -> float:
    """Degrees Fahrenheit to degrees Celsius."""
    return round((value - 32.0) / 1.8, _DIGITS)


def inches_to_mm(value: float) -> float:
    """Inches to millimeters."""
    return round(value * 25.4, _DIGITS)


def mph(value: float) -> float:
    """Miles per hour to meters per second."""
    return round(value * 0.44704, _DIGITS)


def kmh(value: float) -> float:
    """Kilometers per hour to meters per second."""
    return round(value / 3.6, _DIGITS)


def percent(value: float) -> float:
    """Percent to a fraction."""
    return round(value / 100.0, _DIGITS)


_OF_SPELLING: Mapping[str, Mapping[str, Convert]] = {
    "temperature": {"degf": fahrenheit, "f": fahrenheit, "degc": same, "c": same},
    "fraction": {"fraction": same, "": same, "%": percent, "percent": percent},
    "pressure": {"kpa": same},
    "radiation": {"w/m^2": same, "w/m2": same, "wm-2": same},
    "length": {"in": inches_to_mm, "inches": inches_to_mm, "mm": same},
    "speed": {"mph": mph, "mi/h": mph, "m/s": same, "km/h": kmh},
    "angle": {"deg": same, "degrees": same, "": same},
}


def converter(quantity: str, spelling: str, *, where: str) -> Convert:
    """Return what turns a unit, spelled as a source does, into ours.

    Raises DocumentError for an unknown spelling: a guess would be a silent error of scale.
    """
    known = _OF_SPELLING[quantity]
    word = spelling.strip().lower().replace(" ", "").replace("°", "deg")
    if word not in known:
        raise DocumentError(
            f"{where}: unit {spelling!r} of a {quantity}; known: {', '.join(sorted(known))}"
        )
    return known[word]
